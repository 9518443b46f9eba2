"""The two ways in which a benchmark set is fine-tuned and scored: as in Hu, Liu et al., and as molft does.

One call is one set with one seed. The epoch and the answer are chosen on validation; the test part is only
read for the scores.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from molft.errors import MolftError
from molft.model.encoder import Encoder
from molft.train.encoders import new_encoder
from molft.train.finetune import Examples, Task, finetune
from molft.train.loop import predict
from molft.train.precision import choose_half
from molft.train.snap import EPOCHS, snap_plan
from molft.use.benchmark_data import BenchmarkData
from molft.use.evaluate import turn
from molft.use.fitting import (
    GROWING,
    LIKENING,
    fit,
    forest_features,
    grow_forest,
    plan_model,
    standardize_labels,
    start_encoder,
)
from molft.use.model import About, build_network, finish
from molft.use.options import Options, Silent

PROTOCOLS = ("molft", "snap")
SEEDS = {"molft": 3, "snap": 10}
FOREST_SEEDS = 3  # in protocol snap; a forest hardly depends on its seed, and takes longest on ToxCast

Tell = Callable[[int, int, str], None]
"""Told of every epoch: how many are done, how many there will be at most, and how it goes."""


@dataclass(frozen=True)
class Setting:
    """What all runs of a table have in common; ``epochs`` None and ``ensemble_size`` 0 mean by the plan.

    ``precision`` is that of training: ``auto`` is 32 bits in snap, as in the paper, and as ``molft finetune``
    chooses in molft.
    """

    protocol: str = "molft"
    encoder: str = "default"
    epochs: int | None = None
    ensemble_size: int = 0
    trees: int = 500
    device: str = "cpu"
    precision: str = "auto"
    workers: int = 1

    def __post_init__(self) -> None:
        """Refuse, by a :class:`MolftError`, what no run can be made with."""
        if self.protocol not in PROTOCOLS:
            raise MolftError(f"protocol {self.protocol!r} is unknown; expected {' or '.join(PROTOCOLS)}")
        if self.epochs is not None and self.epochs < 1:
            raise MolftError(f"epochs is {self.epochs}; it must be at least 1")
        if self.protocol == "snap" and self.ensemble_size > 1:
            raise MolftError("protocol snap trains one network a seed; leave --ensemble-size out")

    def options(self, seed: int) -> Options:
        """The options of a fine-tuning with this seed."""
        return Options(
            encoder=self.encoder,
            ensemble_size=1 if self.protocol == "snap" else self.ensemble_size,
            epochs=self.epochs,
            trees=self.trees,
            seed=seed,
            device=self.device,
            precision="float32" if self.protocol == "snap" and self.precision == "auto" else self.precision,
            workers=self.workers,
        )

    def half(self, conv: str) -> bool:
        """Whether layers of that kind are computed in 16 bits while training."""
        return choose_half(self.options(0).precision, torch.device(self.device), conv)


def starting_encoder(setting: Setting, seed: int = 0) -> tuple[Encoder, dict[str, Any]]:
    """The encoder that a run starts from, and its card; ``none`` reads the paper's features in snap."""
    if setting.protocol == "snap" and setting.encoder == "none":
        torch.manual_seed(seed)
        return new_encoder("snap"), {}
    return start_encoder(setting.options(seed))


def run_seed(data: BenchmarkData, setting: Setting, seed: int, folder: Path, tell: Tell) -> dict[str, Any]:
    """Train and score with one seed; ``folder`` keeps what a killed run goes on from, and is removed.

    Gives ``scores`` (answer -> ``valid``, ``test`` and the number of tasks scored in test; fractions, or the
    unit of the labels for RMSE), ``best_epoch`` and ``epochs`` of each network, and ``answer``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = (_run_snap if setting.protocol == "snap" else _run_molft)(data, setting, seed, folder, tell)
    shutil.rmtree(folder)
    return found


def _run_snap(data: BenchmarkData, setting: Setting, seed: int, folder: Path, tell: Tell) -> dict[str, Any]:
    """Hu et al.: one network, everything trained; its test score at the first best epoch and at the last."""
    options, dataset = setting.options(seed), data.data
    torch.manual_seed(seed)
    encoder, _ = starting_encoder(setting, seed)
    about, _ = plan_model(dataset, encoder, {}, options, Silent())
    plan = replace(
        snap_plan(about.task_type, encoder.config.layers, setting.epochs or EPOCHS), select=data.metric
    )
    network = build_network(about, encoder).to(setting.device)
    test = dataset.examples(dataset.split.test)
    train, valid = (standardize_labels(dataset, rows, about) for rows in dataset.split[:2])

    def judge(_: Examples, outputs: NDArray[np.float32]) -> float | None:
        return turn(data.metric, data.score("valid", finish(about, outputs))[0])

    def on_epoch(record: dict[str, Any]) -> None:
        # As in their code, test is scored at every epoch; nothing reads it before the end.
        outputs = finish(about, predict(network, test.graphs))
        record["test_score"], record["test_tasks"] = data.score("test", outputs)
        shown = turn(data.metric, record["valid_score"])
        tell(record["epoch"], plan.epochs, "" if shown is None else f"validation {data.metric} {shown:.3f}")

    task = Task(network, train, valid, plan, judge, seed, setting.half(encoder.config.conv))
    progress = finetune(task, folder / "network.checkpoint", on_epoch=on_epoch)
    history = progress.history
    chosen, last = history[progress.kept_epoch - 1], history[-1]
    scores = {"network": _epoch_scores(data, chosen), "last epoch": _epoch_scores(data, last)}
    if seed < FOREST_SEEDS:
        values = {
            part: finish(about, predict(network, dataset.examples(getattr(dataset.split, part)).graphs))
            for part in ("valid", "test")
        }
        scores |= _with_forest(data, about, options, values)
    return {
        "scores": scores,
        "answer": "network",
        "best_epoch": [chosen["epoch"]],
        "epochs": [last["epoch"]],
        "plan": plan.to_json(),
    }


def _epoch_scores(data: BenchmarkData, record: dict[str, Any]) -> dict[str, Any]:
    return {
        "valid": turn(data.metric, record["valid_score"]),
        "test": record["test_score"],
        "tasks": record["test_tasks"],
    }


def _with_forest(
    data: BenchmarkData, about: About, options: Options, values: dict[str, NDArray[np.float64]]
) -> dict[str, dict[str, Any]]:
    """Scores of the forest, and of the mean of both. ``values`` are the network's by part."""
    dataset = data.data
    features, forest = forest_features(dataset.block), grow_forest(dataset, about, options, Silent())
    found: dict[str, dict[str, NDArray[np.float64]]] = {"forest": {}, "blend": {}}
    for part, network in values.items():
        found["forest"][part] = forest.predict(features[getattr(dataset.split, part)])
        found["blend"][part] = (network + found["forest"][part]) / 2
    return {name: _part_scores(data, parts) for name, parts in found.items()}


def _part_scores(data: BenchmarkData, predictions: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
    test, tasks = data.score("test", predictions["test"])
    return {"valid": data.score("valid", predictions["valid"])[0], "test": test, "tasks": tasks}


def _run_molft(data: BenchmarkData, setting: Setting, seed: int, folder: Path, tell: Tell) -> dict[str, Any]:
    """As ``molft finetune`` does with a table: plan, ensemble, forest, and the answer validation chooses.

    But epochs and answer are chosen by the metric that the set is scored by, which a lab's table has not.
    """
    options = setting.options(seed)
    encoder, card = starting_encoder(setting, seed)
    about, plan = plan_model(data.data, encoder, card, options, Silent())
    plan = replace(plan, select=data.metric)
    trials = 1 if plan.loss == "focal" else 0  # where the focal loss has to beat cross-entropy first
    reporter = _EpochCounter((about.members + trials) * plan.epochs, tell)
    fitted = fit(data.data, encoder, about, plan, folder, options, reporter)
    predictions = fitted.evaluation.predictions
    scores = {
        name: _part_scores(data, {part: predictions[part][name] for part in predictions})
        for name in predictions["test"]
    }
    answer = fitted.model.about.answer
    return {
        "scores": scores | {"answer": scores[answer]},
        "answer": answer,
        "best_epoch": [found.kept_epoch for found in fitted.progress],
        "epochs": [found.epoch for found in fitted.progress],
        "plan": fitted.model.about.facts["plan"],
    }


class _EpochCounter(Silent):
    """A reporter that passes on how many epochs were trained in all."""

    def __init__(self, total: int, tell: Tell) -> None:
        self._done, self._total, self._tell = 0, total, tell

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Count one more epoch; the tasks of forest and process come after the last, told beside it."""
        if what in (GROWING, LIKENING):
            self._tell(self._done, self._total, f"{what}: {done} of {total}")
            return
        self._done += 1
        self._tell(self._done, self._total, f"{what}: {note}")
