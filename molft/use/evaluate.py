"""Network, forest and their blend on the same molecules: which one answers, and how good it is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molft.chem.prepare import Block
from molft.train.finetune import Examples
from molft.use.metrics import LOWER_IS_BETTER
from molft.use.model import ANSWERS, Model, squash
from molft.use.scores import Scores, score
from molft.use.thresholds import choose_thresholds

PRIMARY = {"classification": "roc_auc", "regression": "rmse"}


def validation_score(examples: Examples, outputs: NDArray[np.float32], select: str) -> float | None:
    """How good raw network outputs are on labelled molecules by the metric ``select``, higher is better.

    None where the metric is undefined (one class only).
    """
    classes = select in ("roc_auc", "pr_auc")
    predictions = squash(outputs) if classes else outputs
    tasks = [str(task) for task in range(outputs.shape[1])]
    found = score(
        examples.labels,
        predictions,
        "classification" if classes else "regression",
        tasks,
        bounds=None if classes else examples.bounds,
        resamples=0,
    ).mean[select]
    return turn(select, found.value)


def turn(metric: str, value: float | None) -> float | None:
    """The value turned so that higher is better."""
    return -value if value is not None and metric in LOWER_IS_BETTER else value


@dataclass(frozen=True)
class Evaluation:
    """Scores of every answer on the validation and test parts; ``verdict`` says which one answers and why."""

    scores: dict[str, dict[str, Scores]]
    predictions: dict[str, dict[str, NDArray[np.float64]]]
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """``part -> answer -> scores``, as ``metrics.json`` holds it."""
        return {
            part: {answer: scores.to_json() for answer, scores in found.items()}
            for part, found in self.scores.items()
        }


def evaluate(model: Model, parts: dict[str, tuple[Block, Examples]], select: str) -> tuple[Model, Evaluation]:
    """Let validation choose the model's answer and thresholds, then score all answers on every part.

    ``parts`` maps ``valid`` and ``test`` to molecules and their labels (in the label's own unit). The
    chosen answer is entered into the returned model. The test part is only read for the scores.
    """
    predictions = {part: model.answers(block, every=True) for part, (block, _) in parts.items()}
    about = model.about
    valid = parts["valid"][1]
    thresholds = {}
    for name, values in predictions["valid"].items():
        thresholds[name] = (
            choose_thresholds(valid.labels, values) if about.task_type == "classification" else None
        )
    scores = {
        part: {
            name: _score(model, examples, predictions[part][name], thresholds[name])
            for name in predictions[part]
        }
        for part, (_, examples) in parts.items()
    }
    ranks = rank_answers(model, valid, predictions["valid"], select)
    answer, verdict = choose_answer(ranks, select, _noise(scores["valid"].get("blend"), select))
    chosen = thresholds[answer]
    about = replace(
        about,
        answer=answer,
        thresholds=tuple(chosen.tolist()) if chosen is not None else (0.0,) * len(about.tasks),
    )
    return replace(model, about=about), Evaluation(scores, predictions, verdict)


def rank_answers(
    model: Model, valid: Examples, predictions: dict[str, NDArray[np.float64]], select: str
) -> dict[str, float | None]:
    """Mean validation score of each answer, higher is better, over the tasks where all answers have one.

    So nobody wins by keeping silent where a task is hard (a forest has no answer for a task without
    training labels). None where there is no such task. Errors of several tasks count in units of each
    task's spread, lest the one with the largest numbers decides alone.
    """
    about = model.about
    units = np.mean(about.scale) / np.asarray(about.scale)
    found = {}
    for name, values in predictions.items():
        tasks = _score(model, valid, values, None, resamples=0).tasks
        # An undefined value is None, which NumPy makes NaN.
        found[name] = np.array([tasks[task][select].value for task in about.tasks], np.float64) * units
    shared = np.isfinite(list(found.values())).all(axis=0)
    if not shared.any():
        return dict.fromkeys(found)
    return {name: turn(select, float(values[shared].mean())) for name, values in found.items()}


def _noise(blend: Scores | None, select: str) -> float:
    """Standard error of the blend's validation score as a share of it, from the resampled interval.

    Infinite where too few molecules give no interval: they can't choose at all. 0 without a blend.
    """
    if blend is None:
        return 0.0
    found = blend.mean[select]
    if not found.value or found.low is None or found.high is None:
        return float("inf")
    return (found.high - found.low) / 3.92 / abs(found.value)


def choose_answer(ranks: dict[str, float | None], select: str, noise: float = 0.0) -> tuple[str, str]:
    """Network, forest or blend by their validation scores, and a sentence that says why.

    ``ranks`` are scores where higher is better. The blend answers unless another one is better by more than
    ``noise`` (a share of the blend's score): validation is small and has already chosen the network's
    epoch, so it flatters the network, and a mean of two different models errs least. Where none is
    defined the blend answers too.
    """
    defined = {name: value for name, value in ranks.items() if value is not None}
    if not defined:
        name = "blend" if "blend" in ranks else "network"
        return name, f"{name}: the validation {select} is undefined, so nothing could choose"
    told = ", ".join(f"{name} {abs(value):.3f}" for name, value in defined.items())
    best = max(reversed(ANSWERS), key=lambda name: defined.get(name, -np.inf))
    if "blend" in defined and 0 < defined[best] - defined["blend"] <= noise * abs(defined["blend"]):
        return "blend", f"blend: within the noise of the best validation {select} ({told})"
    return best, f"{best}: best validation {select} ({told})"


def _score(
    model: Model,
    examples: Examples,
    predictions: NDArray[np.float64],
    thresholds: NDArray[np.float64] | None,
    resamples: int = 1000,
) -> Scores:
    about = model.about
    classes = about.task_type == "classification"
    return score(
        examples.labels,
        predictions,
        about.task_type,  # type: ignore[arg-type]
        about.tasks,
        thresholds=thresholds,
        bounds=None if classes else examples.bounds,
        resamples=resamples,
    )
