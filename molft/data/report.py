"""What became of every row of a table, for the chemist to read and for a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_SHOWN = 10


class Line(NamedTuple):
    """Something that happened to one or several rows. Rows count from 1, the first below the header."""

    rows: tuple[int, ...]
    smiles: str
    reason: str


@dataclass(frozen=True)
class Report:
    """Every row that was dropped, changed or merged, with its reason.

    ``rejected`` rows have no molecule, ``unlabelled`` ones no label; both are dropped. ``changed`` rows lost
    salts or charges, ``as_written`` ones could not be standardised. ``cells`` are single labels that can't
    be read. ``merged`` rows say the same of one molecule; ``conflicts`` do not, and the reason says how they
    were settled. ``tasks`` counts the labels of the molecules that are left.
    """

    rows: int
    molecules: int
    tasks: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    rejected: tuple[Line, ...]
    unlabelled: tuple[Line, ...]
    cells: tuple[Line, ...]
    changed: tuple[Line, ...]
    as_written: tuple[Line, ...]
    merged: tuple[Line, ...]
    conflicts: tuple[Line, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, texts, lists and dicts, with every line; no NaN."""
        plain = asdict(self)
        for title, _ in _SECTIONS:
            plain[title] = [line._asdict() | {"rows": list(line.rows)} for line in getattr(self, title)]
        return plain | {"tasks": list(self.tasks), "notes": list(self.notes)}

    def text(self, shown: int = _SHOWN) -> str:
        """Counts, and the first ``shown`` lines of every kind."""
        return "\n".join(self._paragraphs(shown))

    def _paragraphs(self, shown: int) -> Iterator[str]:
        yield f"{self.rows} rows, {self.molecules} molecules with labels"
        yield from (f"  {describe_task(task)}" for task in self.tasks)
        yield from (f"  note: {note}" for note in self.notes)
        for title, meaning in _SECTIONS:
            lines = getattr(self, title)
            if lines:
                yield f"{meaning}: {len(lines)}"
                yield from (f"  {_say(line)}" for line in lines[:shown])
            if shown and len(lines) > shown:
                yield f"  ... and {len(lines) - shown} more"


_SECTIONS = (
    ("rejected", "rows dropped, no molecule"),
    ("unlabelled", "rows dropped, no label"),
    ("cells", "labels that can't be read, taken as missing"),
    ("conflicts", "conflicts between the rows of one molecule"),
    ("merged", "molecules in several rows that agree"),
    ("changed", "molecules changed by standardising"),
    ("as_written", "molecules left as written"),
)


def _say(line: Line) -> str:
    word = "rows" if len(line.rows) > 1 else "row"
    rows = ", ".join(map(str, line.rows[:_SHOWN])) + (", ..." if len(line.rows) > _SHOWN else "")
    return f"{word} {rows}: {_short(line.smiles, 60)}: {_short(line.reason, 120)}"


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def count_labels(
    labels: npt.NDArray[np.float32], bounds: npt.NDArray[np.int8], names: tuple[str, ...], task_type: str
) -> tuple[dict[str, Any], ...]:
    """Count what each task has to learn from.

    Shapes: labels float32 [B, T], NaN is missing; bounds int8 [B, T].
    """
    tasks = []
    for name, column, bound in zip(names, labels.T, bounds.T, strict=True):
        present = column[np.isfinite(column)].astype(float)
        task: dict[str, Any] = {"name": name, "labels": len(present), "missing": len(column) - len(present)}
        if task_type == "classification":
            task |= {"positive": int(present.sum()), "negative": int((present == 0).sum())}
        elif len(present):
            low, middle, high = np.quantile(present, (0, 0.5, 1)).tolist()
            task |= {"lowest": low, "median": middle, "highest": high, "bounds": int(np.count_nonzero(bound))}
        tasks.append(task)
    return tuple(tasks)


def describe_task(task: dict[str, Any]) -> str:
    """Say the counts of one task in a line.

    >>> describe_task({"name": "active", "labels": 3, "missing": 1, "positive": 3, "negative": 0})
    'active: 3 labels (1 missing), 3 positive, 0 negative: ONE CLASS ONLY'
    """
    text = f"{task['name']}: {task['labels']} labels ({task['missing']} missing)"
    if "positive" in task:
        alone = 0 in (task["positive"], task["negative"])
        return f"{text}, {task['positive']} positive, {task['negative']} negative" + (
            ": ONE CLASS ONLY" if alone else ""
        )
    if "median" not in task:
        return text
    text += f", {task['lowest']:g} to {task['highest']:g}, median {task['median']:g}"
    return text + (f", {task['bounds']} are bounds" if task["bounds"] else "")
