"""Which scores people are shown, and in what order: the same on the page and on the terminal."""

from __future__ import annotations

from molft.train.plan import Plan
from molft.use.evaluate import Evaluation, turn
from molft.use.model import About
from molft.use.scores import Score, Scores

METRIC_NAMES = {
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "mcc": "MCC",
    "enrichment_1": "enrichment, top 1 %",
    "brier": "Brier",
    "ece": "calibration error",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "spearman": "Spearman",
    "bounds_kept": "bounds kept",
}
"""How each metric of :mod:`molft.use.metrics` is written for people."""

PART_NAMES = {"train": "training", "valid": "validation", "test": "test"}

_SHOWN = {
    "classification": ("roc_auc", "pr_auc", "mcc"),
    "regression": ("rmse", "mae", "r2", "spearman", "bounds_kept"),
}
_ENDS = 3  # of many tasks, so many of the worst and of the best are listed


def shown_part(evaluation: Evaluation) -> str:
    """The part whose scores count: ``test``, or ``valid`` where the split has no test part."""
    return "test" if "test" in evaluation.scores else "valid"


def shown_metrics(evaluation: Evaluation, about: About) -> list[str]:
    """Names of the metrics worth a row, in order; ``bounds_kept`` only where labels have bounds."""
    found = [scores.mean for answers in evaluation.scores.values() for scores in answers.values()]
    return [name for name in _SHOWN[about.task_type] if any(name in mean for mean in found)]


def overall(scores: Scores) -> dict[str, Score]:
    """Each metric of the only task, or its mean over the tasks."""
    return next(iter(scores.tasks.values())) if len(scores.tasks) == 1 else scores.mean


def chosen_metric(about: About) -> str:
    """The metric that chose epoch and answer; a model without a readable plan is a :class:`MolftError`."""
    return Plan.from_json(about.facts["plan"]).select


def listed_tasks(evaluation: Evaluation, about: About, most: int = 8) -> list[str]:
    """Names of the tasks worth a row of their own, and why these.

    All of a few, in their order. Of more than ``most`` the worst and the best three, from the worst up, by
    the chosen answer and metric; tasks where that is undefined are left out.
    """
    if len(about.tasks) <= most:
        return list(about.tasks)
    ranked = rank_tasks(evaluation, about)
    return ranked if len(ranked) <= 2 * _ENDS else [*ranked[:_ENDS], *ranked[-_ENDS:]]


def rank_tasks(evaluation: Evaluation, about: About) -> list[str]:
    """Tasks where the chosen answer has a score, from the worst to the best."""
    metric = chosen_metric(about)
    scores = evaluation.scores[shown_part(evaluation)][about.answer].tasks
    ranks = {task: turn(metric, scores[task][metric].value) for task in about.tasks}
    defined = {task: rank for task, rank in ranks.items() if rank is not None}
    return sorted(defined, key=lambda task: defined[task])
