"""Rows to molecules: one entry a molecule, with labels that its rows agree on, and a report of the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from molft.chem.prepare import Block
from molft.chem.smiles import parse
from molft.chem.standardize import canonical_key
from molft.data.formats import PROBLEM
from molft.data.labels import Labels, TaskType
from molft.data.merge import merge_task
from molft.data.report import Line, Report, count_labels
from molft.errors import MolftError, Rejected

# Standardising can only change a molecule of several parts or with a charge.
_MAY_CHANGE = re.compile(r"\.|\[[^\]]*[+-]")


@dataclass(frozen=True)
class Assay:
    """Molecules with labels, each molecule once, in the order of their first rows.

    ``smiles`` are canonical, of the standardised molecule, so each is also the key of its molecule. ``rows``
    gives the source rows of each molecule, counted from 0 as positions in the table; ``source`` the place of
    the molecule in the :class:`~molft.chem.prepare.Block` it came from, to take its graph from there.
    Shapes: labels float32 [B, T], NaN is missing; bounds int8 [B, T], +1 the true value is above the label,
    -1 below, 0 exact; source int64 [B].
    """

    smiles: list[str]
    labels: npt.NDArray[np.float32]
    bounds: npt.NDArray[np.int8]
    names: tuple[str, ...]
    task_type: TaskType
    rows: list[tuple[int, ...]]
    source: npt.NDArray[np.int64]
    report: Report


def curate(frame: pd.DataFrame, smiles_column: str, labels: Labels, block: Block) -> Assay:
    """Merge the rows of a table into molecules.

    ``block`` is what :func:`molft.chem.prepare.prepare` made of the SMILES column, with keys. Rows of one
    key are one molecule; how differing labels are settled is said in :mod:`molft.data.merge`. Rows without a
    molecule or without any label are dropped and reported. No molecule left is a :class:`MolftError`.
    """
    texts = [str(text).strip() for text in frame[smiles_column]]
    rejected = _rejections(frame, block)
    labelled = np.asarray(np.isfinite(labels.values).any(axis=1))
    unlabelled = [row for row in block.index.tolist() if not labelled[row] and row not in rejected]
    usable = labelled & ~np.isin(np.arange(len(texts)), list(rejected))
    source = np.flatnonzero(usable[block.index])
    rows = block.index[source]
    groups = _group([block.keys[place] for place in source])
    firsts = source[[group[0] for group in groups]] if groups else source
    smiles = [block.keys[place] for place in firsts]
    values, bounds, merged, conflicts = _merge_groups(labels, rows, groups, smiles)
    kept = np.flatnonzero(np.isfinite(values).any(axis=1))
    if len(kept) == 0:
        raise MolftError(_nothing_left(len(texts), rejected, len(unlabelled), len(conflicts)))
    values, bounds = values[kept], bounds[kept]
    report = Report(
        rows=len(texts),
        molecules=len(kept),
        tasks=count_labels(values, bounds, labels.names, labels.task_type),
        notes=labels.notes,
        rejected=tuple(Line((row + 1,), texts[row], rejected[row].status) for row in sorted(rejected)),
        unlabelled=tuple(Line((row + 1,), texts[row], "no label") for row in unlabelled),
        cells=tuple(Line((r.row + 1,), texts[r.row], r.reason) for r in labels.rejected),
        changed=tuple(_changes(texts, block)),
        as_written=tuple(Line((row + 1,), texts[row], note) for row, note in sorted(block.notes.items())),
        merged=tuple(merged),
        conflicts=tuple(conflicts),
    )
    return Assay(
        smiles=[smiles[group] for group in kept],
        labels=values,
        bounds=bounds,
        names=labels.names,
        task_type=labels.task_type,
        rows=[tuple(rows[groups[group]].tolist()) for group in kept],
        source=firsts[kept],
        report=report,
    )


def _rejections(frame: pd.DataFrame, block: Block) -> dict[int, Rejected]:
    """Rows without a molecule, and rows not written like the header, whose cells can't be trusted."""
    rejected = {fault.row: fault for fault in block.rejected}
    for row, problem in enumerate(frame[PROBLEM] if PROBLEM in frame.columns else ()):
        if problem:
            rejected[row] = Rejected(row, "text", problem)
    return rejected


def _group(keys: Sequence[str]) -> list[npt.NDArray[np.int64]]:
    """Places of equal keys, in the order of their first appearance."""
    codes, _ = pd.factorize(np.array(keys, dtype=object))
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(keys) else []


def _merge_groups(
    labels: Labels, rows: npt.NDArray[np.int64], groups: list[npt.NDArray[np.int64]], smiles: list[str]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int8], list[Line], list[Line]]:
    """The labels of every group; groups of one row, nearly all, are copied at once."""
    firsts = rows[[group[0] for group in groups]] if groups else rows
    values, bounds = labels.values[firsts].copy(), labels.bounds[firsts].copy()
    merged, conflicts = [], []
    for number, group in enumerate(groups):
        if len(group) == 1:
            continue
        members = rows[group]
        at = tuple((members + 1).tolist())
        reasons = []
        for task, name in enumerate(labels.names):
            value, bound, reason = merge_task(
                labels.values[members, task], labels.bounds[members, task], labels.task_type
            )
            values[number, task], bounds[number, task] = value, bound
            reasons += [Line(at, smiles[number], f"{name}: {reason}")] if reason else []
        conflicts += reasons
        merged += [] if reasons else [Line(at, smiles[number], "the labels agree")]
    return values.astype(np.float32), bounds, merged, conflicts


def _changes(texts: list[str], block: Block) -> list[Line]:
    lines = []
    for row, key in zip(block.index.tolist(), block.keys, strict=True):
        if not _MAY_CHANGE.search(texts[row]):
            continue
        mol = parse(texts[row])
        if mol and canonical_key(mol) != key:
            lines.append(Line((row + 1,), texts[row], f"became {key}"))
    return lines


def _nothing_left(rows: int, rejected: dict[int, Rejected], unlabelled: int, conflicts: int) -> str:
    first = min(rejected, default=None)
    example = f" (row {first + 1}: {rejected[first].status})" if first is not None else ""
    return (
        f"none of the {rows} rows gives a molecule with a label: {len(rejected)} have no molecule{example}, "
        f"{unlabelled} have no label, {conflicts} conflicts. Check the SMILES column and the label columns"
    )
