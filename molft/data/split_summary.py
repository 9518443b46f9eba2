"""What a split is like: sizes, classes, and what a score on it can't tell.

Symbols: R rows, T tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from molft.data.split import PARTS, Split, fingerprint

FEW = 10
_LISTED = 5


@dataclass(frozen=True)
class PartSummary:
    """One part: its rows, their fingerprint, and per task (in order) the observed labels by class.

    For a regression task `positive` and `negative` are 0 and only `observed` counts.
    """

    name: str
    rows: int
    fingerprint: str
    observed: list[int]
    positive: list[int]
    negative: list[int]


@dataclass(frozen=True)
class SplitSummary:
    """All three parts, and one sentence for each thing to know before believing a score."""

    tasks: list[str]
    parts: list[PartSummary]
    warnings: list[str]

    def text(self) -> str:
        """Lines for a terminal or a log."""
        lines = [_line(part) for part in self.parts]
        return "\n".join(lines + [f"warning: {warning}" for warning in self.warnings])

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return asdict(self)


def summarize(
    split: Split,
    labels: NDArray[np.floating],
    tasks: Sequence[str],
    task_type: Literal["classification", "regression"] = "classification",
) -> SplitSummary:
    """Count a split. Labels are 0 and 1, or any numbers for regression; NaN is missing.

    Warns of a part with one class only (no ROC-AUC), of fewer than ten labels or ten of the rarer class in
    valid or test (a score close to noise), and of tasks without any label in a part.

    Shapes: labels float [R, T].
    """
    parts = [_count(name, rows, labels[rows], task_type) for name, rows in zip(PARTS, split, strict=True)]
    warnings = [text for part in parts if part.rows for text in _warn(part, tasks, task_type)]
    return SplitSummary(list(tasks), parts, warnings)


def _count(name: str, rows: NDArray[np.int64], labels: NDArray[np.floating], task_type: str) -> PartSummary:
    classes = labels if task_type == "classification" else np.full_like(labels, np.nan)
    counts = (~np.isnan(labels), classes == 1, classes == 0)
    observed, positive, negative = (count.sum(axis=0).tolist() for count in counts)
    return PartSummary(name, len(rows), fingerprint(rows), observed, positive, negative)


def _warn(part: PartSummary, tasks: Sequence[str], task_type: str) -> list[str]:
    def say(faulty: Sequence[bool], what: str) -> list[str]:
        names = [task for task, fault in zip(tasks, faulty, strict=True) if fault]
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return [f"{part.name}: {what}: {', '.join(names[:_LISTED])}{more}"] if names else []

    found = say([count == 0 for count in part.observed], "no label at all")
    if task_type == "regression":
        if part.name == "train":
            return found
        few = [0 < seen < FEW for seen in part.observed]
        return found + say(few, f"fewer than {FEW} labels, so a score is close to noise")
    rarer = [min(pair) for pair in zip(part.positive, part.negative, strict=True)]
    one_class = [low == 0 < seen for low, seen in zip(rarer, part.observed, strict=True)]
    found += say(one_class, "one class only, so ROC-AUC is undefined")
    if part.name != "train":
        found += say(
            [0 < low < FEW for low in rarer],
            f"fewer than {FEW} of the rarer class, so a score is close to noise",
        )
    return found


def _line(part: PartSummary) -> str:
    line = f"{part.name:5} {part.rows:7} rows"
    if len(part.observed) > 1:
        scorable = sum(min(pair) > 0 for pair in zip(part.positive, part.negative, strict=True))
        return (
            f"{line}, {sum(part.observed)} labels, {scorable} of {len(part.observed)} tasks with both classes"
        )
    if part.positive[0] + part.negative[0]:
        return f"{line}, {part.positive[0]} positive, {part.negative[0]} negative"
    return f"{line}, {part.observed[0]} labels"
