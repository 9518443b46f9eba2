"""Which drawings the report shows, and what stands below them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from molft.train.plan import Plan
from molft.use.dataset import Dataset
from molft.use.evaluate import Evaluation, turn
from molft.use.metrics import LOWER_IS_BETTER
from molft.use.model import Model
from molft.use.plots import MOST_POINTS, Array, draw_class_curves, draw_learning, draw_values
from molft.use.score_rows import METRIC_NAMES, rank_tasks, shown_part

_DRAWN = 3  # of more tasks, the worst and the best are drawn


class Drawing(NamedTuple):
    """One figure of the page; ``svg`` is empty where ``caption`` says why there is nothing to draw."""

    svg: str
    caption: str


def draw_tasks(model: Model, data: Dataset, evaluation: Evaluation) -> Iterator[Drawing]:
    """Every task of a few, of many the worst and the best, as the chosen answer predicts the shown part."""
    about, part = model.about, shown_part(evaluation)
    rows = data.split.test if part == "test" else data.split.valid
    predictions = evaluation.predictions[part][about.answer]
    for number, (task, mark) in enumerate(_drawn_tasks(model, evaluation)):
        column = about.tasks.index(task)
        labels, bounds = (table[rows, column] for table in (data.assay.labels, data.assay.bounds))
        known = np.isfinite(labels)
        values = labels[known].astype(np.float64), predictions[known, column], bounds[known]
        yield _draw_task(f"{task}{mark}", about.task_type, *values, f"task-{number}")


def _drawn_tasks(model: Model, evaluation: Evaluation) -> list[tuple[str, str]]:
    """Names of the tasks to draw, each with what to say about the choice."""
    if len(model.about.tasks) <= _DRAWN:
        return [(task, "") for task in model.about.tasks]
    ranked = rank_tasks(evaluation, model.about)
    return [(ranked[0], ", the worst task"), (ranked[-1], ", the best task")] if ranked else []


def _draw_task(
    title: str, task_type: str, labels: Array, predicted: Array, bounds: NDArray[np.int8], name: str
) -> Drawing:
    if not len(labels):
        return Drawing("", f"{title}: no labelled molecule.")
    if np.isnan(predicted).any():
        return Drawing("", f"{title}: there is no prediction, as no training molecule has a label.")
    if task_type == "classification":
        return _draw_classes(title, labels, predicted, name)
    return _draw_values(title, labels, predicted, bounds, name)


def _draw_classes(title: str, labels: Array, predicted: Array, name: str) -> Drawing:
    positive = int(labels.sum())
    caption = f"{title}: {positive} positive and {len(labels) - positive} negative molecules."
    if positive in (0, len(labels)):
        return Drawing("", f"{caption} With one class only there is no curve.")
    return Drawing(draw_class_curves(labels, predicted, name), f"{caption} Dashed: guessing.")


def _draw_values(title: str, labels: Array, predicted: Array, bounds: NDArray[np.int8], name: str) -> Drawing:
    drawn = f", {MOST_POINTS} of them drawn" if len(labels) > MOST_POINTS else ""
    caption = f"{title}: {len(labels)} molecules{drawn}. Dashed: perfect prediction."
    if bounds.any():
        caption += " Triangles: labels with a bound; they point to where the truth lies."
    return Drawing(draw_values(labels, predicted, bounds, name), caption)


def draw_history(model: Model, history: Sequence[Sequence[Mapping[str, Any]]]) -> Drawing:
    """Learning curves of all networks; ``history`` holds the epochs of each."""
    plan = Plan.from_json(model.about.facts["plan"])
    lower = plan.select in LOWER_IS_BETTER
    epochs, losses, scores = (
        [np.array([_number(plan, name, record) for record in records]) for records in history]
        for name in ("epoch", "train_loss", "valid_score")
    )
    releases = [stage.epoch + 1 for stage in plan.stages[1:]]
    several = f"{len(history)} networks, the first drawn darkest. " if len(history) > 1 else ""
    caption = f"{several}The dot is the epoch that was kept."
    if lower:
        caption += " The score is in standard deviations of the training labels."
    if releases:
        caption += " Dotted: from here on more of the encoder was trained."
    svg = draw_learning(epochs, losses, scores, METRIC_NAMES[plan.select], lower, releases)
    return Drawing(svg, caption)


def _number(plan: Plan, name: str, record: Mapping[str, Any]) -> float:
    value = turn(plan.select, record[name]) if name == "valid_score" else record[name]
    return np.nan if value is None else float(value)
