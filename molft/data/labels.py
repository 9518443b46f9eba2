"""Which columns of a table are the labels, and what they say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from molft.data.cells import Cells, decimal_mark, parse_labels, read_relations
from molft.data.formats import PROBLEM
from molft.data.table import listed, suggest
from molft.errors import MolftError, Rejected

TaskType = Literal["classification", "regression"]

# A column of numbers whose name ends in one of these words is no measurement.
IDENTIFIERS = frozenset(
    ("id", "ids", "cid", "sid", "cas", "name", "number", "num", "index", "idx", "row", "barcode", "batch",
     "lot", "plate", "well", "date", "fold", "split", "set", "inchikey")
)  # fmt: skip
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_MANY_ROWS = 20


@dataclass(frozen=True)
class Labels:
    """The labels of a table, one column a task.

    ``notes`` say what was read how, for the user; ``rejected`` are cells that hold no label.
    Shapes: values float64 [R, T], NaN is missing; bounds int8 [R, T], +1 the true value is above (the cell
    says ``>``), -1 below, 0 exact.
    """

    values: npt.NDArray[np.float64]
    bounds: npt.NDArray[np.int8]
    task_type: TaskType
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()


def infer_targets(
    frame: pd.DataFrame,
    smiles_column: str,
    wanted: Sequence[str] | None = None,
    task_type: Literal["auto", "classification", "regression"] = "auto",
) -> Labels:
    """Read the ``wanted`` label columns (``CHEMBL*`` means all that start so); with none, find them.

    In ``["CHEMBL*", "!CHEMBL4822"]`` the second takes one of them away again.

    Candidates are the columns of classes or numbers that are neither identifiers nor constant. If all are
    classes, all are tasks; a single candidate is the task; anything else is a :class:`MolftError` that lists
    the candidates. So are an absent or empty column, classes mixed with numbers, and a column of which more
    than 20 % can't be read; a single cell that can't be read is missing and listed in ``rejected``. A column
    of relations alone (``>``, ``=``) beside a target qualifies it.
    """
    if task_type not in ("auto", *get_args(TaskType)):
        raise MolftError(f"task type {task_type!r}; expected auto, classification or regression")
    names = [name for name in frame.columns if name not in (smiles_column, PROBLEM)]
    decimal = decimal_mark((frame[name] for name in names), str(frame.attrs.get("delimiter", "")))
    wanted = _expand(wanted or (), names)
    forced = task_type == "regression"
    read = {name: parse_labels(frame[name], decimal, forced) for name in (wanted or names)}
    chosen = dict(read) if wanted else _candidates(read)
    if not wanted:
        _check_choice(chosen, read)
    _check_readable(chosen)
    found = _common_type(chosen, task_type)
    relations, relation_notes = _relations(frame, names, list(chosen), found)
    notes = [*_left_out(read, chosen), *relation_notes, *_notes(chosen, found)]
    if decimal == ",":
        notes.insert(0, "numbers have a decimal comma")
    return _assemble(chosen, relations, found, notes)


def _expand(wanted: Sequence[str], names: list[str]) -> list[str]:
    """The columns that were asked for, each once: ``*`` and ``?`` make patterns, ``!`` takes away."""
    expanded: dict[str, None] = {}
    for pattern in wanted:
        if pattern.startswith("!") and pattern not in names:
            expanded = {name: None for name in expanded if not fnmatchcase(name, pattern[1:])}
            continue
        found = [pattern] if pattern in names else [name for name in names if fnmatchcase(name, pattern)]
        if not found:
            raise MolftError(f"no label column {pattern!r}; {suggest(pattern, names)}")
        expanded.update(dict.fromkeys(found))
    return list(expanded)


def _candidates(read: dict[str, Cells]) -> dict[str, Cells]:
    return {name: cells for name, cells in read.items() if not _why_not(name, cells)}


def _why_not(name: str, cells: Cells) -> str:
    """Why a column is no label, or ''."""
    if cells.kind in ("text", "empty"):
        return cells.kind
    words = _WORDS.findall(name)
    if words and words[-1].lower() in IDENTIFIERS:
        return "identifier by its name"
    values = cells.values
    steps = np.diff(values)
    if (
        cells.kind == "number"
        and len(values) > 2
        and np.all(values == np.round(values))
        and np.all(steps == 1)
    ):
        return "running number"
    if (
        cells.kind == "number"
        and len(values) > _MANY_ROWS
        and np.all(values == np.round(values))
        and np.all(steps > 0)
    ):
        return "ascending number"
    if np.nanmin(values) == np.nanmax(values):
        return "one class only" if cells.kind == "binary" else "constant"
    return ""


def _check_choice(chosen: dict[str, Cells], read: dict[str, Cells]) -> None:
    if len(chosen) == 1 or (chosen and all(cells.kind == "binary" for cells in chosen.values())):
        return
    how = "name the labels with --target-columns"
    if not chosen:
        others = listed([f"{name!r} ({_why_not(name, cells)})" for name, cells in read.items()])
        raise MolftError(f"no column looks like a label; {how}. Columns: {others or 'none but the SMILES'}")
    raise MolftError(
        f"{len(chosen)} columns could be the label; {how}. Candidates: "
        + listed([f"{name!r} ({_describe(cells)})" for name, cells in chosen.items()])
    )


def _check_readable(chosen: dict[str, Cells]) -> None:
    for name, cells in chosen.items():
        if cells.kind == "empty":
            raise MolftError(f"label column {name!r} has no values")
        if cells.kind == "text":
            reasons = list(dict.fromkeys(cells.unreadable.values()))[:3]
            filled = len(cells.unreadable) + int(np.isfinite(cells.values).sum())
            raise MolftError(
                f"label column {name!r}: {len(cells.unreadable)} of {filled} filled cells can't be read, "
                f"at most 20 % may: {'; '.join(reasons)}"
            )


def _common_type(chosen: dict[str, Cells], task_type: str) -> TaskType:
    if task_type == "regression":
        return "regression"
    numbers = [name for name, cells in chosen.items() if cells.kind == "number"]
    if task_type == "classification" and numbers:
        example = np.unique(chosen[numbers[0]].values)[:3].tolist()
        raise MolftError(
            f"label column {numbers[0]!r} holds numbers such as {example}, not two classes; give a "
            "column of 0/1 or active/inactive, or choose regression"
        )
    if numbers and len(numbers) < len(chosen):
        classes = [name for name in chosen if name not in numbers]
        raise MolftError(
            f"classes ({listed(classes)}) and numbers ({listed(numbers)}) can't be learnt together; name "
            "columns of one type with --target-columns"
        )
    return "regression" if numbers else "classification"


def _relations(
    frame: pd.DataFrame, names: list[str], targets: list[str], task_type: TaskType
) -> tuple[dict[str, npt.NDArray[np.int8]], list[str]]:
    """Columns of relations, each given to the target right of it, or else left of it (ChEMBL's order)."""
    found: dict[str, npt.NDArray[np.int8]] = {}
    notes = []
    for place, name in enumerate(names):
        if name in targets or (bounds := read_relations(frame[name])) is None:
            continue
        beside = [
            near
            for near in (*names[place + 1 : place + 2], *names[max(place - 1, 0) : place])
            if near in targets
        ]
        if not beside or beside[0] in found or task_type == "classification":
            notes.append(
                f"column {name!r} holds relations (>, <, =) but no number to qualify stands beside it"
            )
            continue
        found[beside[0]] = bounds
        notes.append(f"column {name!r} says whether {beside[0]!r} is exact or a bound")
    return found, notes


def _left_out(read: dict[str, Cells], chosen: dict[str, Cells]) -> list[str]:
    others = [f"{name!r} ({_why_not(name, cells)})" for name, cells in read.items() if name not in chosen]
    return [f"not labels: {listed(others)}"] if others else []


def _notes(chosen: dict[str, Cells], task_type: TaskType) -> list[str]:
    notes = []
    for name, cells in chosen.items():
        notes += [f"{name!r}: {note}" for note in cells.notes]
        present = np.unique(cells.values[np.isfinite(cells.values)])
        if task_type == "classification" and len(present) == 1:
            notes.append(f"{name!r}: one class only ({present[0]:g}); there is nothing to tell apart")
    return notes


def _assemble(
    chosen: dict[str, Cells],
    relations: dict[str, npt.NDArray[np.int8]],
    task_type: TaskType,
    notes: list[str],
) -> Labels:
    values = np.stack([cells.values for cells in chosen.values()], axis=1)
    bounds = np.stack(
        [np.where(cells.bounds == 0, relations.get(name, 0), cells.bounds) for name, cells in chosen.items()],
        axis=1,
    ).astype(np.int8)
    bounds[np.isnan(values)] = 0
    notes += [
        f"{name!r}: {count} of {np.isfinite(column).sum()} values are bounds (> or <)"
        for name, count, column in zip(chosen, np.count_nonzero(bounds, axis=0), values.T, strict=True)
        if count
    ]
    rejected = [
        Rejected(row, "label", f"{name}: {reason}")
        for name, cells in chosen.items()
        for row, reason in cells.unreadable.items()
    ]
    return Labels(values, bounds, task_type, tuple(chosen), tuple(notes), tuple(sorted(rejected)))


def _describe(cells: Cells) -> str:
    present = cells.values[np.isfinite(cells.values)]
    what = "classes" if cells.kind == "binary" else "numbers"
    return f"{what}, {len(present)} values, {present.min():g} to {present.max():g}"
