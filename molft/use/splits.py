"""The split that a fine-tuning asked for, or the strictest one that leaves something to measure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molft.chem.cluster import fingerprints
from molft.chem.scaffold import lab_scaffold
from molft.data.groups import SIZES, Sizes
from molft.data.split import (
    Split,
    balanced_scaffold_split,
    butina_split,
    column_split,
    random_split,
    scaffold_split,
)
from molft.data.split_summary import summarize
from molft.data.stratify import stratified_split
from molft.errors import MolftError

SPLITS = ("auto", "scaffold", "balanced", "random", "stratified", "butina")


def split_molecules(
    name: str,
    smiles: Sequence[str],
    labels: NDArray[np.float32],
    task_type: str,
    *,
    sizes: Sizes = SIZES,
    seed: int = 0,
    column: Sequence[str] | None = None,
) -> tuple[Split, str]:
    """Split distinct molecules (canonical SMILES); the split and the name of what was done.

    ``auto`` takes whole scaffolds, and where that leaves a part without both classes (or empty) tries
    balanced scaffolds, then a stratified split; the name says which. ``column`` holds a user's own split.

    Shapes: labels float32 [B, T], NaN is missing.
    """
    if column is not None:
        return column_split(column, smiles, seed=seed), f"column {name}"
    if name not in SPLITS:
        raise MolftError(f"split {name!r} is neither a column of the table nor one of {', '.join(SPLITS)}")
    if name != "auto":
        return _split(name, smiles, labels, task_type, sizes, seed), name
    for attempt in ("scaffold", "balanced"):
        try:
            split = _split(attempt, smiles, labels, task_type, sizes, seed)
        except MolftError:
            continue  # an empty part: the next, more lenient split is tried, and its name is told
        if _measurable(split, labels, task_type):
            return split, attempt
    return _split("stratified", smiles, labels, task_type, sizes, seed), "stratified"


def _split(
    name: str, smiles: Sequence[str], labels: NDArray[np.float32], task_type: str, sizes: Sizes, seed: int
) -> Split:
    if name in ("scaffold", "balanced"):
        scaffolds = [lab_scaffold(text) for text in smiles]
        if name == "scaffold":
            return scaffold_split(scaffolds, smiles, sizes)
        return balanced_scaffold_split(scaffolds, smiles, sizes, seed)
    if name == "butina":
        return butina_split(fingerprints([Chem.MolFromSmiles(text) for text in smiles]), smiles, sizes)
    if name == "stratified":
        return stratified_split(labels, smiles, sizes, seed, task_type)  # type: ignore[arg-type]
    return random_split(smiles, sizes, seed)


def _measurable(split: Split, labels: NDArray[np.float32], task_type: str) -> bool:
    """Whether some task has a score in every part; one that was asked to be empty needs none."""
    if task_type == "regression":
        return all(np.isfinite(labels[rows]).any() for rows in split if len(rows))
    tasks = [str(task) for task in range(labels.shape[1])]
    return all(
        any(min(pair) > 0 for pair in zip(part.positive, part.negative, strict=True))
        for part in summarize(split, labels, tasks, "classification").parts
        if part.rows
    )
