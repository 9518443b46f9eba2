"""Finished fine-tunings made by hand: nothing was trained, the predictions are labels with noise."""

from typing import Any

import numpy as np
import pandas as pd

from molft.chem.prepare import Recipe, prepare
from molft.data.curate import curate
from molft.data.labels import Labels
from molft.data.split import Split
from molft.model.config import EncoderConfig
from molft.train.plan import make_plan
from molft.use.dataset import Dataset
from molft.use.evaluate import Evaluation
from molft.use.model import About, Model
from molft.use.molecules import take_rows
from molft.use.scores import score

History = list[list[dict[str, Any]]]
Finished = tuple[Model, Dataset, Evaluation, History]

# Alcohols, chlorides, acids and pyridines with a chain of up to 30 carbons: 120 molecules.
SERIES = ["C" * n + end for n in range(1, 31) for end in ("O", "Cl", "C(=O)O", "c1ccncc1")]


def finish(
    task_type: str = "classification",
    tasks: tuple[str, ...] = ("active",),
    *,
    smiles: tuple[str, ...] = (),
    column: str = "smiles",
    file: str = "assay.csv",
    noise: float = 0.6,
    answer: str = "blend",
    parts: tuple[str, ...] = ("valid", "test"),
    bounded: int = 0,
    card: dict[str, Any] | None = None,
) -> Finished:
    """A model and all that belongs to it; ``smiles`` are rows of the table before those of the series.

    The labels of the first ``bounded`` molecules are lower bounds. ``parts`` are those that were scored.
    """
    classes = task_type == "classification"
    data = _dataset(task_type, tasks, [*smiles, *SERIES], column, file, bounded)
    plan = make_plan(64, task_type, pretrained=True, layers=5, strategy="gradual" if classes else "full")
    about = About(
        tasks=tasks,
        task_type=task_type,
        answer=answer,
        recipe=Recipe(),
        encoder=EncoderConfig(),
        readout="mean",
        head="linear",
        members=2,
        centre=(0.0,) * len(tasks),
        scale=(1.0,) * len(tasks),
        thresholds=(0.4,) * len(tasks),
        facts={
            "data": data.source,
            "split": data.split_name,
            "seed": 7,
            "encoder": {"name": "default", **(card or {"molecules": 1000})},
            "plan": plan.to_json(),
        },
    )
    return (
        Model(about, [], None),
        data,
        _evaluation(about, data, noise, parts),
        _history(plan.epochs, classes),
    )


def _dataset(
    task_type: str, tasks: tuple[str, ...], smiles: list[str], column: str, file: str, bounded: int
) -> Dataset:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({column: smiles})
    values = rng.normal(6.0, 1.2, (len(smiles), len(tasks)))
    bounds = np.zeros(values.shape, np.int8)
    if task_type == "classification":
        values = (values > 6.6).astype(np.float64)
    bounds[:bounded] = 1
    labels = Labels(values, bounds, task_type, tasks, ("numbers have a decimal comma",), [])  # type: ignore[arg-type]
    block = prepare(smiles, Recipe(keys=True))
    assay = curate(frame, column, labels, block)
    order = rng.permutation(len(assay.smiles))
    cuts = (int(0.5 * len(order)), int(0.7 * len(order)))
    source = {"file": file, "sha256": "5f" * 32, "rows": len(frame)}
    split = Split(*(np.sort(rows) for rows in np.split(order, cuts)))
    return Dataset(frame, column, assay, take_rows(block, assay.source), split, "scaffold", source)


def _evaluation(about: About, data: Dataset, noise: float, parts: tuple[str, ...]) -> Evaluation:
    rng = np.random.default_rng(1)
    predictions: dict[str, dict[str, np.ndarray]] = {}
    for part in parts:
        labels = data.assay.labels[getattr(data.split, part)].astype(np.float64)
        noisy = [labels + rng.normal(0, noise, labels.shape) for _ in range(2)]
        found = dict(zip(("network", "forest", "blend"), [*noisy, sum(noisy) / 2], strict=True))
        classes = about.task_type == "classification"
        predictions[part] = {k: 1 / (1 + np.exp(1.5 - 3 * v)) if classes else v for k, v in found.items()}
    scores = {
        part: {
            answer: score(
                data.assay.labels[getattr(data.split, part)],
                values,
                about.task_type,  # type: ignore[arg-type]
                about.tasks,
                bounds=data.assay.bounds[getattr(data.split, part)],
                resamples=200,
            )
            for answer, values in answers.items()
        }
        for part, answers in predictions.items()
    }
    verdict = f"{about.answer}: best validation roc_auc (network 0.801, forest 0.794, blend 0.822)"
    return Evaluation(scores, predictions, verdict)


def _history(epochs: int, classes: bool) -> History:
    rise = 1 - np.exp(-np.arange(1, min(epochs, 30) + 1) / 6)
    return [
        [
            {
                "epoch": number + 1,
                "train_loss": 0.7 - 0.4 * value + 0.02 * member,
                "valid_score": 0.5 + 0.3 * value - 0.02 * member if classes else -1.2 + 0.5 * value,
                "seconds": 1.0,
                "molecules": 60,
            }
            for number, value in enumerate(rise.tolist())
        ]
        for member in range(2)
    ]
