"""Packed molecular graphs: the one record that molft uses at every scale.

B molecules lie one after the other in a few flat arrays. On disk they are memory-mapped, in memory
they are sliced, as a batch they are concatenated; there is no Python object per molecule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Graphs:
    """B molecules with N atoms and M bonds in all.

    Shapes:
        atoms: uint8 [N, Fa], the codes of each atom (see :mod:`molft.chem.features`).
        bonds: uint8 [M, Fb], the codes of each bond, once per bond, in RDKit's bond order.
        ends: uint16 [M, 2], begin and end atom of each bond, counted within its molecule.
        atom_ptr, bond_ptr: int64 [B + 1]; molecule b owns atoms ``atom_ptr[b]:atom_ptr[b + 1]``.
    """

    atoms: NDArray[np.uint8]
    bonds: NDArray[np.uint8]
    ends: NDArray[np.uint16]
    atom_ptr: NDArray[np.int64]
    bond_ptr: NDArray[np.int64]

    def __len__(self) -> int:
        """Number of molecules B."""
        return len(self.atom_ptr) - 1

    def take(self, index: NDArray[np.integer] | Sequence[int]) -> Graphs:
        """The molecules at ``index`` (int [K]; repeats allowed), in that order.

        A position that isn't there, a negative one or a mask is an :class:`IndexError`.
        """
        rows = np.asarray(index)
        if rows.dtype == bool or rows.min(initial=0) < 0:
            raise IndexError("positions from 0 on are needed, got a mask or a negative number")
        rows = rows.astype(np.int64)
        atom_rows, atom_ptr = _spans(self.atom_ptr, rows)
        bond_rows, bond_ptr = _spans(self.bond_ptr, rows)
        return Graphs(self.atoms[atom_rows], self.bonds[bond_rows], self.ends[bond_rows], atom_ptr, bond_ptr)

    @staticmethod
    def concatenate(parts: Sequence[Graphs]) -> Graphs:
        """All molecules of ``parts``, in order; at least one part is needed."""
        return Graphs(
            np.concatenate([p.atoms for p in parts]),
            np.concatenate([p.bonds for p in parts]),
            np.concatenate([p.ends for p in parts]),
            pointers(np.concatenate([np.diff(p.atom_ptr) for p in parts])),
            pointers(np.concatenate([np.diff(p.bond_ptr) for p in parts])),
        )

    @staticmethod
    def empty(atom_features: int, bond_features: int) -> Graphs:
        """No molecule at all, with the given number of codes per atom and bond."""
        return Graphs(
            np.zeros((0, atom_features), np.uint8),
            np.zeros((0, bond_features), np.uint8),
            np.zeros((0, 2), np.uint16),
            np.zeros(1, np.int64),
            np.zeros(1, np.int64),
        )


def pointers(lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Offsets int64 [B + 1] of pieces with the given lengths [B], starting at 0.

    >>> pointers(np.array([3, 0, 2]))
    array([0, 3, 3, 5])
    """
    out = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=out[1:])
    return out


def _spans(ptr: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Flat indices of the pieces ``rows``, and the offsets of the pieces in their new place."""
    lengths = ptr[rows + 1] - ptr[rows]
    new_ptr = pointers(lengths)
    shift = np.repeat(ptr[rows] - new_ptr[:-1], lengths)
    return np.arange(new_ptr[-1], dtype=np.int64) + shift, new_ptr
