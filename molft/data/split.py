"""Splits: which rows train, which choose, which judge.

A score on rows whose near relatives were trained on says little, and one on rows that were themselves
trained on says nothing. So every split here moves whole groups of rows: rows with the same key (canonical
SMILES) always travel together, and the scaffold and cluster splits keep whole series together as well.

Symbols: R rows, G groups of rows. `sizes` are the wanted fractions of train, valid and test; they sum to 1,
and a part of size 0 stays empty. Where a part that was asked for would come out empty, `MolftError` says
what to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from molft.chem.cluster import butina
from molft.data.groups import SIZES, Rows, Sizes, collect, fill, join, number, part_counts
from molft.errors import MolftError

PARTS = ("train", "valid", "test")
_SPELLINGS = {
    "train": "train", "training": "train",
    "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid",
    "test": "test", "testing": "test", "holdout": "test",
}  # fmt: skip


class Split(NamedTuple):
    """Row numbers of the three parts, disjoint, together all R rows.

    Shapes: int64 [R_train], [R_valid], [R_test].
    """

    train: Rows
    valid: Rows
    test: Rows


def scaffold_split(
    scaffolds: Sequence[str],
    keys: Sequence[str] | None = None,
    sizes: Sizes = SIZES,
    ties: Literal["row", "name"] = "name",
) -> Split:
    """Whole scaffolds, largest first, into train until it is full, then into valid, then into test.

    With ``ties="row"`` and no keys this is the split of the SNAP code (Hu, Liu et al., ICLR 2020), index for
    index: of two groups of one size the one that starts later in the file goes first. With ``ties="name"``
    the scaffold's SMILES decides instead, so that the order of the rows doesn't matter. There is no seed.

    >>> scaffold_split(["a", "a", "b", "a", "c"], sizes=(0.6, 0.2, 0.2), ties="row").valid.tolist()
    [4]
    """
    code = join(number(scaffolds), keys)
    groups = collect(code)
    if ties == "row":
        groups.sort(key=lambda group: (-len(group), -group[0]))
    else:
        groups.sort(key=lambda group: (-len(group), code[group[0]]))
    return assign(groups, fill(groups, sizes), sizes, "scaffold")


def balanced_scaffold_split(
    scaffolds: Sequence[str], keys: Sequence[str] | None = None, sizes: Sizes = SIZES, seed: int = 0
) -> Split:
    """Whole scaffolds in random order, those too big for valid or test first, filled in the same way.

    "Too big" is more than half of the smaller of valid and test, so that one series can't be most of a part;
    such groups land in train while it has room. Another seed gives another split (Yang et al., J. Chem. Inf.
    Model. 2019, 59, 3370), so several seeds show how much a score depends on the choice.
    """
    groups = collect(join(number(scaffolds), keys))
    limit = len(scaffolds) * min((size for size in sizes[1:] if size > 0), default=0.0) / 2
    order = np.random.default_rng(seed).permutation(len(groups))
    shuffled = sorted((groups[i] for i in order), key=lambda group: len(group) <= limit)
    return assign(shuffled, fill(shuffled, sizes), sizes, "balanced scaffold")


def random_split(keys: Sequence[str], sizes: Sizes = SIZES, seed: int = 0) -> Split:
    """Molecules at random; rows with one key stay together, and the order of the rows doesn't matter."""
    groups = collect(number(keys))
    shuffled = [groups[i] for i in np.random.default_rng(seed).permutation(len(groups))]
    # A group belongs to the part its first row falls into, so no part is more than a group too big.
    starts = np.cumsum([0, *map(len, shuffled)])[:-1]
    part = np.searchsorted(np.cumsum(part_counts(len(keys), sizes))[:2], starts, side="right")
    return assign(shuffled, part, sizes, "random")


def butina_split(
    fingerprints: NDArray[np.uint8], keys: Sequence[str], sizes: Sizes = SIZES, similarity: float = 0.65
) -> Split:
    """Whole clusters of similar molecules, largest first, filled in as in `scaffold_split`.

    Clusters are those of `molft.chem.cluster.butina`, on the fingerprints made there. Rows are clustered in
    the order of their keys, so that the order of the table doesn't matter.

    Shapes: fingerprints uint8 [R, 256].
    """
    if len(fingerprints) != len(keys):
        raise MolftError(
            f"{len(fingerprints)} fingerprints for {len(keys)} rows; give one fingerprint a row."
        )
    order = np.argsort(np.asarray(keys, dtype=object), kind="stable")
    centres = np.empty(len(keys), dtype=np.int64)
    centres[order] = order[butina(fingerprints[order], similarity)]
    names = [keys[centre] for centre in centres.tolist()]
    code = join(number(names), keys)
    groups = sorted(collect(code), key=lambda group: (-len(group), code[group[0]]))
    return assign(groups, fill(groups, sizes), sizes, "butina")


def column_split(
    values: Sequence[str], keys: Sequence[str] | None = None, valid_fraction: float = 0.1, seed: int = 0
) -> Split:
    """The parts a column of the table names: train, valid (validation, val, dev) and test, in any case.

    Where no row says valid, `valid_fraction` of the train molecules become it, drawn with `seed`: something
    has to choose the epoch, and it must not be the test rows. An unknown or empty value, a column without
    train or test, and a molecule on two sides raise `MolftError`.
    """
    names = [_SPELLINGS.get(str(value).strip().lower()) for value in values]
    if None in names:
        odd = sorted({repr(value) for value in values if str(value).strip().lower() not in _SPELLINGS})[:5]
        raise MolftError(
            f"the split column says {', '.join(odd)}; expected train, valid or test in every row."
        )
    split = Split(*(np.flatnonzero([name == part for name in names]).astype(np.int64) for part in PARTS))
    absent = [part for part, rows in zip(PARTS, split, strict=True) if not len(rows) and part != "valid"]
    if absent:
        raise MolftError(
            f"no row of the split column says {' or '.join(absent)}; mark some, or use another split."
        )
    if keys is not None and (shared := leaks(split, keys)):
        raise MolftError(
            f"the split column puts {len(shared)} molecules on two sides, such as {shared[0]!r}: "
            "a score on rows that were trained on is no score. Give all rows of a molecule one value."
        )
    return split if len(split.valid) else _draw_valid(split, keys, valid_fraction, seed)


def assign(groups: Sequence[Rows], part: Rows, sizes: Sizes, kind: str) -> Split:
    """The split where group g goes to part[g] (0 train, 1 valid, 2 test), rows in the order of the groups.

    A part of size above 0 that gets no row raises `MolftError`; `kind` names the split in the message.

    Shapes: part int [G].
    """
    none = np.empty(0, dtype=np.int64)
    members = ([group for group, p in zip(groups, part, strict=True) if p == side] for side in range(3))
    split = Split(*(np.concatenate([none, *rows]) for rows in members))
    empty = [name for name, rows, size in zip(PARTS, split, sizes, strict=True) if size > 0 and not len(rows)]
    if empty:
        raise MolftError(
            f"the {kind} split leaves {' and '.join(empty)} empty: {sum(map(len, groups))} rows in "
            f"{len(groups)} groups, the largest of {max(map(len, groups))}. "
            "Use more rows, other split sizes, or the random split."
        )
    return split


def leaks(split: Split, keys: Sequence[str]) -> list[str]:
    """Keys that stand in more than one part, sorted; empty for every split that was made with these keys."""
    sides = [{keys[row] for row in rows.tolist()} for rows in split]
    return sorted((sides[0] & sides[1]) | (sides[0] & sides[2]) | (sides[1] & sides[2]))


def fingerprint(rows: Iterable[int]) -> str:
    """First 12 hex digits of the SHA-1 of the sorted row numbers joined by commas: names a split in a report.

    >>> fingerprint([10, 2, 1]) == fingerprint([1, 2, 10])
    True
    """
    text = ",".join(map(str, sorted(int(row) for row in rows)))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:12]


def _draw_valid(split: Split, keys: Sequence[str] | None, fraction: float, seed: int) -> Split:
    train = split.train
    names = (
        [keys[row] for row in train.tolist()]
        if keys is not None
        else [f"{row:012d}" for row in train.tolist()]
    )
    kept, drawn, _ = random_split(names, (1 - fraction, fraction, 0.0), seed)
    return Split(np.sort(train[kept]), np.sort(train[drawn]), split.test)
