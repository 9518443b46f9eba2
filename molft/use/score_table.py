"""The scores of a model as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from molft.use.evaluate import Evaluation
from molft.use.metrics import LOWER_IS_BETTER
from molft.use.model import About
from molft.use.score_rows import (
    METRIC_NAMES,
    PART_NAMES,
    chosen_metric,
    listed_tasks,
    overall,
    shown_metrics,
)
from molft.use.scores import Score
from molft.use.text import clean, shorten


def score_table(evaluation: Evaluation, about: About) -> Table:
    """Scores of all answers on the test part, with the validation part beside it.

    The mean over the tasks, then the tasks themselves, or of many the worst and the best. A star marks the
    answer; the caption says why a score is undefined. Made for 80 columns: long names are broken.
    """
    parts = sorted(evaluation.scores, key=list(PART_NAMES).index, reverse=True)
    table = Table(box=box.SIMPLE, pad_edge=False, caption_justify="left", caption_style="")
    table.add_column("", overflow="fold")
    table.add_column("answer", no_wrap=True)
    for part in parts:
        table.add_column(PART_NAMES[part], no_wrap=True)
    for metric in shown_metrics(evaluation, about):
        found = {
            part: {a: overall(s).get(metric) for a, s in evaluation.scores[part].items()} for part in parts
        }
        _add_answers(table, METRIC_NAMES[metric], found, about.answer)
    if len(about.tasks) > 1:
        metric = chosen_metric(about)
        for task in listed_tasks(evaluation, about):
            found = {
                part: {a: s.tasks[task][metric] for a, s in evaluation.scores[part].items()} for part in parts
            }
            _add_answers(table, task, found, about.answer)
    table.caption = Text(_caption(evaluation, about))
    return table


def _add_answers(
    table: Table, name: str, found: Mapping[str, Mapping[str, Score | None]], chosen: str
) -> None:
    """One row for every answer; ``found`` holds a score by part and answer."""
    table.add_section()
    answers = list(next(iter(found.values())))
    for answer in answers:
        scores = [by_answer[answer] for by_answer in found.values()]
        table.add_row(
            Text(clean(shorten(name)) if answer == answers[0] else ""),
            Text(f"{'*' if answer == chosen else ' '} {answer}"),
            *(Text(_score_text(score)) for score in scores),
            style="bold" if answer == chosen else "",
        )


def _score_text(score: Score | None) -> str:
    if score is None:
        return ""
    return "undefined" if score.value is None else score.text


def _caption(evaluation: Evaluation, about: About) -> str:
    told = [f"* {evaluation.verdict}.", "In brackets: 95 % interval."]
    lower = [METRIC_NAMES[name] for name in shown_metrics(evaluation, about) if name in LOWER_IS_BETTER]
    if lower:
        told.append(f"Lower {' and '.join(lower)} is better.")
    metric, listed = chosen_metric(about), listed_tasks(evaluation, about)
    if len(about.tasks) > 1:
        which = "each" if len(listed) == len(about.tasks) else f"the {len(listed)} that are worst and best"
        told.append(f"First the means over {len(about.tasks)} tasks, then {METRIC_NAMES[metric]} of {which}.")
    found = [
        (PART_NAMES[part], task, evaluation.scores[part][about.answer].tasks[task][metric])
        for part in evaluation.scores
        for task in listed
    ]
    reasons = [f"{part}, {shorten(task)}: {score.note}" for part, task, score in found if score.value is None]
    if reasons:
        told.append(f"Undefined: {'; '.join(reasons)}.")
    return clean(" ".join(told))
