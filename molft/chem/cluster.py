"""Clusters of similar molecules: Morgan fingerprints and Taylor-Butina clustering, in flat memory.

Symbols: R molecules, W bytes of a fingerprint.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from molft.errors import MolftError

BITS = 2048
MOST_ROWS = 50_000
_BLOCK = 512


def fingerprints(mols: Sequence[Chem.Mol]) -> NDArray[np.uint8]:
    """Morgan fingerprints of radius 2 (ECFP4), 2,048 bits, packed eight to a byte.

    Shapes: uint8 [R, 256].
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    packed = np.empty((len(mols), BITS // 8), dtype=np.uint8)
    for row, mol in enumerate(mols):
        packed[row] = np.packbits(generator.GetFingerprintAsNumPy(mol))
    return packed


def butina(packed: NDArray[np.uint8], similarity: float = 0.65) -> NDArray[np.int64]:
    """Row number of each molecule's cluster centre (Butina, J. Chem. Inf. Comput. Sci. 1999, 39, 747).

    The molecule with most neighbours of at least this Tanimoto similarity takes them all, then the next one
    takes what is left of its own, and so on; on a tie the later row goes first, as in RDKit. All pairs are
    compared, a block at a time: memory grows with the neighbours, time with R squared, so more than 50,000
    rows are refused with :class:`~molft.errors.MolftError`, and so is a similarity outside (0, 1].

    Shapes: packed uint8 [R, W]; result int64 [R].
    """
    if not 0 < similarity <= 1:
        raise MolftError(
            f"cluster similarity is {similarity}; expected a Tanimoto similarity above 0 and up to 1."
        )
    if len(packed) > MOST_ROWS:
        raise MolftError(
            f"clustering {len(packed)} molecules compares every pair; at most {MOST_ROWS} are taken. "
            "Use the scaffold split for a table of this size."
        )
    neighbours = _neighbours(packed, similarity)
    counts = np.array([len(near) for near in neighbours], dtype=np.int64)
    centre = np.full(len(packed), -1, dtype=np.int64)
    for row in np.lexsort((-np.arange(len(packed)), -counts)):
        if centre[row] < 0:
            near = neighbours[row]
            centre[near[centre[near] < 0]] = row
    return centre


def _neighbours(packed: NDArray[np.uint8], similarity: float) -> list[NDArray[np.int32]]:
    """Rows at least this similar to each row, itself included."""
    bits = np.unpackbits(packed, axis=1).astype(np.float32)  # float32 so that BLAS counts the shared bits
    sizes = bits.sum(axis=1)
    found: list[NDArray[np.int32]] = []
    for start in range(0, len(bits), _BLOCK):
        block = slice(start, start + _BLOCK)
        shared = bits[block] @ bits.T
        union = sizes[block, None] + sizes[None, :] - shared
        near = shared >= similarity * union
        near[np.arange(len(shared)), np.arange(start, start + len(shared))] = True  # also where no bit is set
        found += [np.flatnonzero(row).astype(np.int32) for row in near]
    return found
