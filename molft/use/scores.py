"""What a set of predictions scores: every metric per task and as a mean, with 95 % intervals.

All tasks, and all calls with the same rows and seed, share the resamples of the intervals, so that network
and forest are compared on the same ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from molft.errors import MolftError
from molft.use.bootstrap import average_defined, find_interval, resample
from molft.use.metrics import (
    Metric,
    TaskType,
    bounds_kept,
    brier,
    check_classes,
    ece,
    enrichment,
    mae,
    mcc,
    pr_auc,
    r2,
    rmse,
    roc_auc,
    spearman,
)

Array = NDArray[np.float64]


class Score(NamedTuple):
    """One metric's value, and how sure it is; ``None`` stands for what is undefined."""

    value: float | None
    low: float | None
    """Lower end of the 95 % interval; ``None`` without one (under ten rows, ECE, hardly any defined)."""
    high: float | None
    rows: int
    """Labelled rows that were judged."""
    note: str = ""
    """Why the value is undefined; for a mean, how many tasks it is of."""

    @property
    def text(self) -> str:
        """Value and interval for people.

        >>> Score(0.8123, 0.75, 0.86, 200).text
        '0.812 [0.750, 0.860]'
        >>> Score(None, None, None, 3, "only class 0 among 3 rows").text
        'undefined (only class 0 among 3 rows)'
        """
        if self.value is None:
            return f"undefined ({self.note})"
        if self.low is None or self.high is None:
            return _format(self.value)
        return f"{_format(self.value)} [{_format(self.low)}, {_format(self.high)}]"


def _format(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"


@dataclass(frozen=True)
class Scores:
    """Scores by task and metric, and the mean of each metric over the tasks where it is defined."""

    tasks: dict[str, dict[str, Score]]
    mean: dict[str, Score]

    def to_json(self) -> dict[str, object]:
        """Return plain dictionaries; undefined is ``None``, never NaN."""
        tasks = {task: {name: s._asdict() for name, s in found.items()} for task, found in self.tasks.items()}
        return {"tasks": tasks, "mean": {name: score._asdict() for name, score in self.mean.items()}}


class _Job(NamedTuple):
    """One metric of one task, on the rows that it can judge."""

    task: str
    metric: str
    formula: Metric
    rows: NDArray[np.int64]
    labels: Array
    predictions: Array
    problem: str

    def run(self, weights: Array) -> Array:
        """Values under weights of all rows.  Shapes: [R, B] -> [R]."""
        if self.problem:
            return np.full(len(weights), np.nan)
        return self.formula(self.labels, self.predictions, weights[:, self.rows])


def score(
    labels: NDArray[np.floating],
    predictions: NDArray[np.floating],
    task_type: TaskType,
    tasks: Sequence[str],
    *,
    thresholds: Sequence[float] | NDArray[np.float64] | None = None,
    bounds: NDArray[np.int8] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Scores:
    """Score predictions against labels; NaN labels are left out, task by task.

    Classes (predictions are probabilities of class 1): roc_auc, pr_auc, mcc (at the task's threshold, 0.5
    without), enrichment_1 (top 1 %), brier, ece. Values: rmse, mae, r2, spearman.

    Of a censored row (``bounds`` +1 for ``>10``, -1 for ``<10``) only the side can be judged. It is left out
    of the four metrics above, as any error put in for it would be invented. Tasks that have such rows get
    one metric more: ``bounds_kept``, the share of them that is predicted on the right side.

    A metric is undefined, with the reason as its note, where a class is missing, nothing varies, or a
    prediction of a labelled row is NaN: rows are never dropped for the sake of a model. ``ece`` has no
    interval, as resampling itself adds miscalibration. ``resamples=0`` gives values only.

    Shapes that disagree, probabilities outside 0 to 1, other classes than 0 and 1, infinities, and bounds on
    classes give :class:`MolftError`.

    Shapes: labels, predictions, bounds [B, T]; thresholds [T].
    """
    truth, guess = np.asarray(labels, np.float64), np.asarray(predictions, np.float64)
    sides = np.zeros(truth.shape, np.int8) if bounds is None else np.asarray(bounds)
    cuts = np.full(len(tasks), 0.5) if thresholds is None else np.asarray(thresholds, np.float64)
    _check(truth, guess, sides, cuts, task_type, tasks)
    jobs = [
        job
        for t, task in enumerate(tasks)
        for job in _plan(task, truth[:, t], guess[:, t], sides[:, t], task_type, float(cuts[t]))
    ]
    blocks = resample(len(truth), resamples, seed)
    parts = [[job.run(weights) for job in jobs] for weights in blocks]
    drawn = [np.concatenate(values) for values in zip(*parts, strict=True)]
    scores: dict[str, dict[str, Score]] = {task: {} for task in tasks}
    for job, values in zip(jobs, drawn, strict=True):
        scores[job.task][job.metric] = _summarise(job, values)
    names = dict.fromkeys(job.metric for job in jobs)
    return Scores(scores, {name: _average(name, jobs, drawn, len(tasks)) for name in names})


def _plan(
    task: str, labels: Array, predictions: Array, sides: NDArray[np.int8], task_type: TaskType, cut: float
) -> Iterator[_Job]:
    known = ~np.isnan(labels)
    exact, censored = np.flatnonzero(known & (sides == 0)), np.flatnonzero(known & (sides != 0))
    formulae = _class_formulae(cut) if task_type == "classification" else _value_formulae()
    for name, formula in formulae.items():
        problem = _find_problem(name, labels[exact], predictions[exact])
        yield _Job(task, name, formula, exact, labels[exact], predictions[exact], problem)
    if len(censored):
        formula = partial(bounds_kept, bounds=sides[censored])
        problem = _find_problem("bounds_kept", labels[censored], predictions[censored])
        yield _Job(task, "bounds_kept", formula, censored, labels[censored], predictions[censored], problem)


def _class_formulae(threshold: float) -> dict[str, Metric]:
    return {
        "roc_auc": roc_auc,
        "pr_auc": pr_auc,
        "mcc": partial(mcc, threshold=threshold),
        "enrichment_1": enrichment,
        "brier": brier,
        "ece": ece,
    }


def _value_formulae() -> dict[str, Metric]:
    return {"rmse": rmse, "mae": mae, "r2": r2, "spearman": spearman}


def _find_problem(metric: str, labels: Array, predictions: Array) -> str:
    """Say why a metric is undefined on these rows; empty where it isn't."""
    if not len(labels):
        return "no row to judge"
    missing = int(np.isnan(predictions).sum())
    if missing:
        return f"{missing} of {len(labels)} predictions are missing"
    if metric in ("roc_auc", "pr_auc", "mcc", "enrichment_1") and np.ptp(labels) == 0:
        return f"only class {labels[0]:.0f} among {len(labels)} rows"
    if metric in ("r2", "spearman") and np.ptp(labels) == 0:
        return f"all {len(labels)} labels are equal"
    if metric == "spearman" and np.ptp(predictions) == 0:
        return f"all {len(labels)} predictions are equal"
    return ""


def _summarise(job: _Job, values: Array) -> Score:
    rows = len(job.rows)
    if np.isnan(values[0]):
        return Score(None, None, None, rows, job.problem)
    low, high = (None, None) if job.metric == "ece" else find_interval(values[1:], rows)
    return Score(float(values[0]), low, high, rows)


def _average(metric: str, jobs: list[_Job], drawn: list[Array], tasks: int) -> Score:
    """Mean of a metric over the tasks where it is defined, in each resample too."""
    pairs = zip(jobs, drawn, strict=True)
    used = [(job, values) for job, values in pairs if job.metric == metric and not np.isnan(values[0])]
    note = f"{len(used)} of {tasks} tasks"
    if not used:
        return Score(None, None, None, 0, note)
    together = average_defined(np.stack([values for _, values in used]))
    rows = len(np.unique(np.concatenate([job.rows for job, _ in used])))
    low, high = (None, None) if metric == "ece" else find_interval(together[1:], rows)
    return Score(float(together[0]), low, high, rows, note)


def _check(
    labels: Array,
    predictions: Array,
    sides: NDArray[np.int8],
    cuts: Array,
    task_type: TaskType,
    tasks: Sequence[str],
) -> None:
    if task_type not in ("classification", "regression"):
        raise MolftError(f"task type {task_type!r}, expected 'classification' or 'regression'")
    if len(set(tasks)) != len(tasks):
        raise MolftError(f"two tasks have the same name: {', '.join(sorted(tasks))}")
    for name, table in (("labels", labels), ("predictions", predictions), ("bounds", sides)):
        if table.shape != (len(labels), len(tasks)):
            raise MolftError(f"{name} of shape {table.shape}, expected {(len(labels), len(tasks))}")
    if cuts.shape != (len(tasks),):
        raise MolftError(f"{cuts.size} thresholds for {len(tasks)} tasks; one is needed for each")
    if np.isinf(labels).any() or np.isinf(predictions).any():
        raise MolftError("a label or prediction is infinite")
    if task_type == "classification":
        _check_probabilities(labels, predictions, sides)


def _check_probabilities(labels: Array, predictions: Array, sides: NDArray[np.int8]) -> None:
    check_classes(labels)
    if (predictions < 0).any() or (predictions > 1).any():
        raise MolftError("a prediction is outside 0 to 1; classes are scored on probabilities, not on logits")
    if (sides != 0).any():
        raise MolftError("a class label has a bound; only values can be censored")
