"""Classifier and regressor on lists of SMILES, with scikit-learn's conventions."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import NotFittedError

from molft.data.labels import Labels
from molft.errors import MolftError
from molft.use.dataset import build_dataset
from molft.use.fitting import fit, plan_model, start_encoder
from molft.use.model import Model
from molft.use.options import Options, Silent

_LARGEST = float(np.finfo(np.float32).max)  # labels end as 32-bit numbers


class _MoleculeEstimator(BaseEstimator):
    """What both have in common; ``X`` is always a sequence of SMILES strings.

    A tenth of the molecules (``valid_size``) is set aside to choose the epoch and between network, forest,
    Gaussian process and blend. Training molecules that can't be used are left out with a warning that says
    how many and why; ``report_`` names them. In ``predict`` such a molecule keeps its place and gets NaN.
    """

    _task_type: Literal["classification", "regression"]

    def __init__(
        self,
        encoder: str = "default",
        *,
        strategy: str = "auto",
        loss: str = "auto",
        split: str = "random",
        valid_size: float = 0.1,
        ensemble_size: int = 0,
        epochs: int | None = None,
        batch_size: int | None = None,
        trees: int = 500,
        random_state: int = 0,
        workers: int = 2,
    ) -> None:
        self.encoder = encoder
        self.strategy = strategy
        self.loss = loss
        self.split = split
        self.valid_size = valid_size
        self.ensemble_size = ensemble_size
        self.epochs = epochs
        self.batch_size = batch_size
        self.trees = trees
        self.random_state = random_state
        self.workers = workers

    def fit(self, X: Sequence[str], y: ArrayLike) -> _MoleculeEstimator:
        """Fine-tune on SMILES and labels [B] or [B, T]; NaN is a missing label."""
        smiles = _check_smiles(X)
        labels = _check_labels(y, len(smiles), self._task_type)
        options = Options(
            encoder=self.encoder,
            strategy=self.strategy,
            loss=self.loss,
            split=self.split,
            split_sizes=(1 - self.valid_size, self.valid_size, 0.0),
            ensemble_size=self.ensemble_size,
            epochs=self.epochs,
            batch_size=self.batch_size,
            trees=self.trees,
            seed=self.random_state,
            workers=self.workers,
        )
        encoder, card = start_encoder(options)
        frame = pd.DataFrame({"smiles": smiles})
        source = {"rows": len(frame)}
        data = build_dataset(frame, "smiles", labels, source, options, encoder.config.scheme, Silent())
        self.report_ = data.assay.report
        if self.report_.rejected:
            first = self.report_.rejected[0]
            warnings.warn(
                f"{len(self.report_.rejected)} of {len(smiles)} molecules were left out, the first: "
                f"{first.smiles!r}, {first.reason}",
                stacklevel=2,
            )
        about, plan = plan_model(data, encoder, card, options, Silent())
        with tempfile.TemporaryDirectory() as run:
            fitted = fit(data, encoder, about, plan, Path(run), options, Silent())
        self.model_, self.evaluation_, self.history_ = fitted.model, fitted.evaluation, fitted.history
        self.n_tasks_ = len(labels.names)
        return self

    def _values(self, smiles: Sequence[str]) -> NDArray[np.float64]:
        """The model's answers float64 [B, T]; NaN for a molecule that can't be read."""
        model: Model | None = getattr(self, "model_", None)
        if model is None:
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; call fit first")
        table = model.predict(_check_smiles(smiles))
        return table[list(model.about.tasks)].to_numpy(np.float64)


class MoleculeClassifier(ClassifierMixin, _MoleculeEstimator):
    """Predicts classes 0 and 1 from SMILES; several columns of labels are several tasks."""

    _task_type = "classification"

    def fit(self, X: Sequence[str], y: ArrayLike) -> MoleculeClassifier:
        """Fine-tune on SMILES and labels 0, 1 or NaN, [B] or [B, T]."""
        super().fit(X, y)
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities: [B, 2] for one task (classes 0 and 1), [B, T] of class 1 for T > 1 tasks."""
        positive = self._values(X)
        return np.hstack([1 - positive, positive]) if positive.shape[1] == 1 else positive

    def predict(self, X: Sequence[str]) -> NDArray[np.float64]:
        """Classes 0.0 and 1.0 at the thresholds chosen on validation, [B] or [B, T]; NaN where unreadable."""
        positive = self._values(X)
        calls = np.where(np.isnan(positive), np.nan, positive >= np.asarray(self.model_.about.thresholds))
        return calls[:, 0] if calls.shape[1] == 1 else calls


class MoleculeRegressor(RegressorMixin, _MoleculeEstimator):
    """Predicts values from SMILES; several columns of labels are several tasks."""

    _task_type = "regression"

    def predict(self, X: Sequence[str]) -> NDArray[np.float64]:
        """Values in the labels' unit, [B] or [B, T]; NaN for a molecule that can't be read."""
        values = self._values(X)
        return values[:, 0] if values.shape[1] == 1 else values


def _check_smiles(smiles: Any) -> list[str]:  # noqa: ANN401  (that is what is checked)
    several = isinstance(smiles, Iterable) and not isinstance(smiles, str)
    texts = list(smiles) if several else []
    if not several or not all(isinstance(text, str) for text in texts):
        raise MolftError("X must be a list of SMILES strings, one for each molecule")
    if not texts:
        raise MolftError("X holds no molecule")
    return texts


def _check_labels(y: ArrayLike, rows: int, task_type: Literal["classification", "regression"]) -> Labels:
    try:
        values = np.asarray(y, np.float64)
    except (TypeError, ValueError) as error:
        raise MolftError(
            f"y must hold numbers, [{rows}] or [{rows}, tasks], NaN where missing: {error}"
        ) from error
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) != rows or not values.shape[1]:
        raise MolftError(
            f"y has shape {np.shape(y)} for {rows} molecules; expected [{rows}] or [{rows}, tasks]"
        )
    known = values[~np.isnan(values)]
    too_large = known[np.abs(known) > _LARGEST]
    if len(too_large):
        raise MolftError(f"y holds {too_large[0]:g}; at most {_LARGEST:g} is possible")
    if task_type == "classification" and not np.isin(known, (0, 1)).all():
        odd = known[~np.isin(known, (0, 1))][0]
        raise MolftError(f"y holds {odd:g}; classes are 0 and 1 (NaN where missing)")
    names = tuple(f"task_{number + 1}" for number in range(values.shape[1]))
    return Labels(values, np.zeros(values.shape, np.int8), task_type, names)
