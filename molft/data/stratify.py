"""Stratified splits: every part gets its share of every class of every task.

Symbols: R rows, T tasks, L strata (a stratum is one class, or one range of the values, of one task).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from molft.data.groups import SIZES, Rows, Sizes, collect, number, part_counts
from molft.data.split import Split, assign
from molft.errors import MolftError

BINS = 10  # ranges of a regression task, of at least as many rows each


def stratified_split(
    labels: NDArray[np.floating],
    keys: Sequence[str],
    sizes: Sizes = SIZES,
    seed: int = 0,
    task_type: Literal["classification", "regression"] = "classification",
) -> Split:
    """Iterative stratification of molecules (Sechidis, Tsoumakas & Vlahavas, ECML PKDD 2011, Algorithm 1).

    The rarest stratum is dealt out first, each molecule to the part that still lacks most of it; so a class
    of three molecules has one in each part. Rows with one key stay together. Missing labels (NaN) belong to
    no stratum. The values of a regression task are cut into up to ten strata of equal numbers of rows.
    Labels of another shape raise `MolftError`.

    Shapes: labels float [R, T].

    >>> labels = np.array([[1.0]] * 4 + [[0.0]] * 16)
    >>> split = stratified_split(labels, [f"{row:02d}" for row in range(20)], sizes=(0.5, 0.25, 0.25))
    >>> [float(labels[part].sum()) for part in split]
    [2.0, 1.0, 1.0]
    """
    if labels.ndim != 2 or len(labels) != len(keys) or not len(keys):
        raise MolftError(
            f"labels have shape {labels.shape} for {len(keys)} keys; "
            "expected one row a key, one column a task."
        )
    code = number(keys)
    groups = collect(code)
    strata = _strata(labels, task_type)
    members = np.zeros((len(groups), strata.shape[1]), dtype=np.int64)
    np.add.at(members, code, strata)
    part = _deal(members, np.bincount(code), sizes, np.random.default_rng(seed))
    return assign(groups, part, sizes, "stratified")


def _strata(labels: NDArray[np.floating], task_type: str) -> NDArray[np.bool_]:
    """Which rows belong to which stratum.  Shapes: bool [R, L]."""
    columns = []
    for values in labels.T:
        if task_type == "regression":
            ranks = pd.Series(values).rank(method="average", pct=True).to_numpy()
            values = np.ceil(ranks * np.clip(len(values) // BINS, 1, BINS))
        columns += [values == value for value in np.unique(values[~np.isnan(values)])]
    return np.stack(columns, axis=1) if columns else np.zeros((len(labels), 0), dtype=bool)


def _deal(members: Rows, weight: Rows, sizes: Sizes, random: np.random.Generator) -> Rows:
    """Part of each group.  Shapes: members int64 [G, L] (rows in each stratum), weight int64 [G] (rows)."""
    room = part_counts(int(weight.sum()), sizes)
    left = members.sum(axis=0)
    wanted = np.stack([np.zeros(3, np.int64), *(part_counts(count, sizes) for count in left.tolist())])[
        1:
    ]  # [L, 3]
    open_parts = [p for p in range(3) if sizes[p] > 0]
    part = np.full(len(members), -1, dtype=np.int64)
    order = random.permutation(len(members))
    while left.any():
        rarest = int(np.where(left > 0, left, left.max() + 1).argmin())
        for group in order[(part[order] < 0) & (members[order, rarest] > 0)]:
            part[group] = max(open_parts, key=lambda p: (room[p] > 0, wanted[rarest, p], room[p]))
            wanted[:, part[group]] -= members[group]
            room[part[group]] -= weight[group]
            left -= members[group]
    for group in order[part[order] < 0]:
        part[group] = max(open_parts, key=lambda p: room[p])
        room[part[group]] -= weight[group]
    return part
