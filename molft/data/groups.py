"""Groups of rows that must travel together, and how groups fill the parts of a split.

Symbols: R rows, G groups. A group is an array of row numbers in ascending order. `sizes` are the wanted
fractions of train, valid and test.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from molft.errors import MolftError

Rows = NDArray[np.int64]
Sizes = tuple[float, float, float]

SIZES: Sizes = (0.8, 0.1, 0.1)


def part_counts(rows: int, sizes: Sizes = SIZES) -> Rows:
    """Rows of each part: near rows x sizes, at least one where the size is above 0 and there are enough rows.

    Shapes: int64 [3].

    >>> part_counts(12).tolist()
    [10, 1, 1]
    """
    check_sizes(sizes)
    exact = rows * np.asarray(sizes)
    counts = np.floor(exact + 1e-9).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: rows - counts.sum()]] += 1
    for part in np.flatnonzero((np.asarray(sizes) > 0) & (counts == 0)):
        donor = counts.argmax()
        if counts[donor] > 1:
            counts[[donor, part]] += (-1, 1)
    return counts


def check_sizes(sizes: Sizes) -> None:
    """`MolftError` unless there are three sizes, none negative, a train part, and a sum of 1."""
    if (
        len(sizes) != 3
        or not all(0 <= size <= 1 for size in sizes)
        or not sizes[0]
        or abs(sum(sizes) - 1) > 1e-6
    ):
        raise MolftError(
            f"split sizes are {tuple(sizes)}; expected three fractions that sum to 1, such as 0.8,0.1,0.1."
        )


def number(names: Sequence[str]) -> Rows:
    """Number of each row's name among the sorted distinct names.  Shapes: int64 [R]."""
    if not len(names):
        raise MolftError("there are no rows to split; check how many molecules of the table were accepted.")
    return pd.factorize(np.asarray(names, dtype=object), sort=True)[0].astype(np.int64)


def join(code: Rows, keys: Sequence[str] | None) -> Rows:
    """Codes where groups that share a key have become one, under the smaller code.  Shapes: int64 [R]."""
    if keys is None:
        return code
    if len(keys) != len(code):
        raise MolftError(f"{len(keys)} keys for {len(code)} rows; give one key a row.")
    names = int(code.max()) + 1
    link = names + number(keys)
    graph = coo_array((np.ones(len(code), dtype=np.int8), (code, link)), shape=(int(link.max()) + 1,) * 2)
    component = connected_components(graph, directed=False)[1][:names]
    _, first = np.unique(component, return_index=True)
    return first[component][code].astype(np.int64)


def collect(code: Rows) -> list[Rows]:
    """Rows of each code, ascending, in the order of the codes."""
    order = np.argsort(code, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(code[order])) + 1)


def fill(groups: Sequence[Rows], sizes: Sizes) -> Rows:
    """Part of each group, filled in the given order: train while there is room, then valid, then test.

    The limits are exact fractions, not rounded, and a small late group may still go to train, as in the
    SNAP code (Hu, Liu et al., ICLR 2020).

    Shapes: int64 [G].
    """
    check_sizes(sizes)
    rows = sum(map(len, groups))
    train_limit = sizes[0] * rows
    valid_limit = (sizes[0] + sizes[1]) * rows if sizes[2] > 0 else rows
    filled, part = [0, 0, 0], np.empty(len(groups), dtype=np.int64)
    for g, group in enumerate(groups):
        fits_train = filled[0] + len(group) <= train_limit
        fits_valid = filled[0] + filled[1] + len(group) <= valid_limit
        part[g] = 0 if fits_train else 1 if fits_valid else 2
        filled[part[g]] += len(group)
    return part
