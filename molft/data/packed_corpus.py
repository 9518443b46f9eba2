"""A packed corpus on disk: molecules and targets, memory-mapped, by row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from molft.chem.features import Scheme, find_scheme
from molft.chem.graphs import Graphs
from molft.data.compact import expand
from molft.data.store import open_store

COMPACT = "/compact"
"""Ends the scheme's name in a store whose codes are joined."""

LABEL_ROW = "label_row"
LABELS_FILE = "labels.npy"


@dataclass(frozen=True)
class Corpus:
    """Molecules with per-molecule targets.

    Shapes: arrays, B rows each; labels float32 [L, T], NaN where missing, or None; the array ``label_row``
    int32 [B] says which row of them a molecule has, -1 for none.
    """

    graphs: Graphs
    arrays: dict[str, NDArray[np.generic]]
    scheme: Scheme
    joined: bool
    labels: NDArray[np.float32] | None

    def __len__(self) -> int:
        """Number of molecules B."""
        return len(self.graphs)

    def take(self, rows: NDArray[np.int64]) -> Graphs:
        """The molecules at ``rows``, with the codes of the scheme."""
        taken = self.graphs.take(rows)
        return expand(taken, self.scheme) if self.joined else taken

    def take_labels(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Labels of the molecules at ``rows``, float32 [K, T], NaN where missing."""
        if self.labels is None:
            return np.zeros((len(rows), 0), np.float32)
        where = self.arrays[LABEL_ROW][rows].astype(np.int64)
        out = np.full((len(rows), self.labels.shape[1]), np.nan, np.float32)
        out[where >= 0] = self.labels[where[where >= 0]]
        return out


def open_corpus(directory: Path) -> Corpus:
    """Memory-map a store, and the labels beside it if it has any; no store is a :class:`MolftError`."""
    graphs, arrays, name = open_store(directory)
    labels = None
    if LABEL_ROW in arrays:
        labels = np.load(directory.with_name(LABELS_FILE), mmap_mode="r", allow_pickle=False)
    return Corpus(graphs, arrays, find_scheme(name.removesuffix(COMPACT)), name.endswith(COMPACT), labels)
