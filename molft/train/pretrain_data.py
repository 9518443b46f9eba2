"""Rows of a packed corpus as batches with their targets."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molft.chem.prepare import Block
from molft.data.batch import Batch, make_batch
from molft.data.packed_corpus import LABEL_ROW, Corpus
from molft.errors import MolftError
from molft.train.objectives.descriptors import robust_scale
from molft.train.objectives.fingerprints import fold, unfold
from molft.train.objectives.labels import label_scale

Loaded = tuple[Batch, dict[str, Tensor]]
_HELD_OUT = 4096  # molecules kept aside to watch the loss
_SAMPLE = 20_000  # molecules that the scale of descriptors is taken from
_NEEDS = {"descriptors": "descriptors", "fingerprints": "bits", "labels": LABEL_ROW}


def target_arrays(block: Block) -> dict[str, NDArray[np.generic]]:
    """The graph-level targets of a block as they are stored: half-precision descriptors, packed bits."""
    if block.counts is None or block.descriptors is None:
        raise MolftError("the block was prepared without fragment counts and descriptors")
    largest = float(np.finfo(np.float16).max)
    return {
        "descriptors": np.clip(block.descriptors, -largest, largest).astype(np.float16),
        "bits": fold(block.counts),
    }


@dataclass(frozen=True)
class PretrainData:
    """A corpus, which of its molecules train and which are held out, and which targets are wanted."""

    corpus: Corpus
    wanted: frozenset[str]
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]

    def load(self, rows: NDArray[np.int64], pin: bool = False) -> Loaded:
        """Batch and targets of some molecules, on the CPU; in pinned memory for a GPU to fetch if asked."""
        rows = np.sort(rows)  # neighbouring pages are read together; order inside a batch does not matter
        arrays, targets = self.corpus.arrays, {}
        if "descriptors" in self.wanted:
            targets["descriptors"] = torch.from_numpy(arrays["descriptors"][rows].astype(np.float32))
        if "fingerprints" in self.wanted:
            targets["bits"] = torch.from_numpy(unfold(arrays["bits"][rows].astype(np.uint8)))
        if "labels" in self.wanted:
            targets["labels"] = torch.from_numpy(self.corpus.take_labels(rows))
        batch = make_batch(self.corpus.take(rows)).pin(pin)
        return batch, {name: tensor.pin_memory() for name, tensor in targets.items()} if pin else targets

    @staticmethod
    def move(loaded: Loaded, device: torch.device) -> Loaded:
        """What :meth:`load` gave, on the device."""
        batch, targets = loaded
        return batch.to(device), {name: t.to(device, non_blocking=True) for name, t in targets.items()}

    def descriptor_scale(self) -> tuple[Tensor, Tensor] | tuple[None, None]:
        """Median and spread of each descriptor in a sample of the training molecules, if wanted."""
        if "descriptors" not in self.wanted:
            return None, None
        sample = self.train[:: max(1, len(self.train) // _SAMPLE)]
        return robust_scale(self.corpus.arrays["descriptors"][sample].astype(np.float32))

    def label_scale(self) -> tuple[Tensor, Tensor, bool] | None:
        """Mean and deviation of each task, and whether all are classes, if labels are wanted."""
        if "labels" not in self.wanted or self.corpus.labels is None:
            return None
        return label_scale(self.corpus.labels)


def divide(corpus: Corpus, wanted: Collection[str], seed: int) -> PretrainData:
    """Hold out a tenth of the molecules, 4,096 at most.

    Fewer than two molecules, or a target that the corpus was packed without, are a :class:`MolftError`.
    """
    if len(corpus) < 2:
        raise MolftError(f"the corpus holds {len(corpus)} molecule(s); at least two are needed")
    for objective, array in _NEEDS.items():
        if objective in wanted and array not in corpus.arrays:
            raise MolftError(f"the corpus was packed without what the objective {objective!r} predicts")
    held = min(_HELD_OUT, max(1, len(corpus) // 10))
    order = np.random.default_rng([seed, 2**31]).permutation(len(corpus))
    return PretrainData(corpus, frozenset(wanted), np.sort(order[held:]), np.sort(order[:held]))
