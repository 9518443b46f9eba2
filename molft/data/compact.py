"""Packed graphs in fewer bytes, for a corpus on disk.

The codes of an atom are digits of one number (base: the table sizes of the scheme), which is stored in as
many bytes as the largest needs: 4 instead of 9 for ``ogb``, 2 for ``snap``; a bond takes one byte. Atoms are
counted in one byte, so a molecule may have 256 at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from molft.chem.features import Scheme
from molft.chem.graphs import Graphs
from molft.errors import MolftError

MOST_ATOMS = 256


def compact(graphs: Graphs, scheme: Scheme) -> Graphs:
    """The same molecules with joined codes: atoms and bonds uint8 [., bytes], ends uint8 [M, 2].

    Codes outside the scheme's tables, and molecules of more than 256 atoms, are a :class:`MolftError`.
    """
    if len(graphs) and int(np.diff(graphs.atom_ptr).max()) > MOST_ATOMS:
        raise MolftError(f"a molecule has more than {MOST_ATOMS} atoms; filter the corpus by size first")
    atoms, bonds = _join(graphs.atoms, scheme.atom_sizes), _join(graphs.bonds, scheme.bond_sizes)
    return replace(graphs, atoms=atoms, bonds=bonds, ends=graphs.ends.astype(np.uint8))


def expand(graphs: Graphs, scheme: Scheme) -> Graphs:
    """The inverse of :func:`compact`."""
    atoms, bonds = _split(graphs.atoms, scheme.atom_sizes), _split(graphs.bonds, scheme.bond_sizes)
    return replace(graphs, atoms=atoms, bonds=bonds, ends=graphs.ends.astype(np.uint16))


def _join(codes: NDArray[np.uint8], sizes: Sequence[int]) -> NDArray[np.uint8]:
    if codes.shape[1] != len(sizes) or (codes >= np.array(sizes)).any():
        raise MolftError(f"codes do not fit the tables {tuple(sizes)}; they are of another feature scheme")
    number = np.zeros(len(codes), np.int64)
    for column, size in enumerate(sizes):
        number = number * size + codes[:, column]
    return (number[:, None] >> _shifts(sizes)).astype(np.uint8)


def _split(joined: NDArray[np.uint8], sizes: Sequence[int]) -> NDArray[np.uint8]:
    number = (joined.astype(np.int64) << _shifts(sizes)).sum(axis=1)
    columns = []
    for size in reversed(sizes):
        number, code = np.divmod(number, size)
        columns.append(code.astype(np.uint8))
    return np.stack(columns[::-1], axis=1)


def _shifts(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Bits below each byte of a number under the product of the sizes, least byte first."""
    return 8 * np.arange(-(-(prod(sizes) - 1).bit_length() // 8))
