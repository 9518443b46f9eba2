"""The molecules that a model was trained on, as fingerprints: how near is a new one to the nearest of them?

A model is to be trusted where it has seen something alike, its applicability domain (Sheridan et al.,
J. Chem. Inf. Comput. Sci. 44, 1912 (2004)). Likeness is the Tanimoto similarity of Morgan fingerprints of
radius 2, 2,048 bits without counts and chirality (ECFP4): what most published domains are measured in, 256
bytes a molecule, and compared by counting the bits of 64 positions at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from molft.chem.descriptors import FINGERPRINT_BITS
from molft.chem.prepare import Block
from molft.errors import MolftError
from molft.model.weights import read_tensors, write_tensors

FORMAT = "molft-training-1"
FINGERPRINT = f"ecfp4-bits-{FINGERPRINT_BITS}"
_WORDS = FINGERPRINT_BITS // 64
_PAIRS = 1 << 17  # compared at once: a few megabytes, however many molecules there are


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Training molecules to look for neighbours among.

    Shapes: bits uint64 [M, 32], smiles M.
    """

    bits: NDArray[np.uint64]
    smiles: tuple[str, ...]

    @classmethod
    def of(cls, block: Block, smiles: Sequence[str]) -> Neighbours:
        """The accepted molecules of a block that was prepared with fingerprints, and what they are called."""
        bits = pack_bits(block)
        if len(bits) != len(smiles):
            raise MolftError(f"{len(bits)} molecules, but {len(smiles)} SMILES")
        return cls(bits, tuple(smiles))

    def nearest(self, block: Block) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Similarity to the nearest training molecule, and its place; of equally near ones the first.

        Shapes: float64 [B] from 0 to 1, int64 [B], for the B accepted molecules of the block. Memory does
        not grow with M.
        """
        queries = pack_bits(block)
        sizes = np.bitwise_count(queries).sum(axis=1, dtype=np.int64)
        best, places = np.full(len(queries), -1.0), np.zeros(len(queries), np.int64)
        step = max(1, _PAIRS // max(1, len(queries)))
        for start in range(0, len(self.bits), step):
            some = self.bits[start : start + step]
            shared = count_shared(queries, some)
            either = sizes[:, None] + np.bitwise_count(some).sum(axis=1, dtype=np.int64) - shared
            similarity = shared / np.maximum(either, 1)
            place = similarity.argmax(axis=1)
            found = np.take_along_axis(similarity, place[:, None], axis=1)[:, 0]
            better = found > best
            best[better], places[better] = found[better], place[better] + start
        return best, places


def pack_bits(block: Block) -> NDArray[np.uint64]:
    """Which fragments each accepted molecule has, one bit for each counter of the fingerprint.

    Shapes: out [B, 32]. A block that was prepared without fingerprints is a :class:`MolftError`.
    """
    if block.counts is None:
        raise MolftError("the molecules were prepared without fingerprints (Recipe.fingerprints)")
    return np.packbits(block.counts > 0, axis=1).view(np.uint64)


def count_shared(some: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """Number of bits that are set in both, for every pair.

    Shapes: uint64 [X, 32], [Y, 32] -> uint16 [X, Y].

    >>> count_shared(np.array([[7]], np.uint64), np.array([[3], [8]], np.uint64)).tolist()
    [[2, 0]]
    """
    shared = np.zeros((len(some), len(others)), np.uint16)
    # Word by word: each step reads whole rows, where a sum over the words of a pair would be many short ones.
    for left, right in zip(some.T, np.ascontiguousarray(others.T), strict=True):
        shared += np.bitwise_count(left[:, None] & right)
    return shared


def save_neighbours(neighbours: Neighbours, path: Path) -> str:
    """Write them, whole or not at all; gives the file's sha256."""
    text = "\n".join(neighbours.smiles).encode()
    tensors = {
        "bits": torch.from_numpy(neighbours.bits.view(np.uint8)),
        "smiles": torch.from_numpy(np.frombuffer(text, np.uint8).copy()),
    }
    return write_tensors(path, tensors, {"format": FORMAT, "fingerprint": FINGERPRINT})


def load_neighbours(path: Path, digest: str) -> Neighbours:
    """Read what :func:`save_neighbours` wrote; a file of another sha256 or kind is a :class:`MolftError`."""
    tensors, about = read_tensors(path, digest)
    if about != {"format": FORMAT, "fingerprint": FINGERPRINT} or tensors.keys() != {"bits", "smiles"}:
        raise MolftError(
            f"{path} holds {about}; this molft reads {FORMAT} of {FINGERPRINT}: fine-tune again, or remove "
            "the file and go without --similarity"
        )
    bits = tensors["bits"].numpy()
    smiles = tuple(tensors["smiles"].numpy().tobytes().decode().split("\n"))
    if bits.dtype != np.uint8 or bits.shape != (len(smiles), 8 * _WORDS):
        raise MolftError(
            f"{path}: {bits.dtype} {bits.shape} for {len(smiles)} molecules; copy the file again"
        )
    return Neighbours(bits.view(np.uint64), smiles)
