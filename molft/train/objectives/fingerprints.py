"""Circular fragments as targets: which of 512 ECFP4 bits a molecule sets (binary cross-entropy)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

BITS = 512


class FingerprintBits(nn.Module):
    """Read the fragment bits of each molecule from its summary, linearly."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head = nn.Linear(width, BITS)

    def forward(self, summary: Tensor, bits: Tensor) -> tuple[Tensor, Tensor]:
        """Loss, and the share of set bits that are predicted as set.

        Shapes: summary [B, width]; bits float [B, 512] of 0 and 1.
        """
        logits = self.head(summary)
        found = ((logits.detach() > 0) & (bits > 0)).sum() / bits.sum().clamp(min=1)
        return F.binary_cross_entropy_with_logits(logits, bits), found


def fold(counts: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fragment counts uint8 [B, 2048] folded to 512 bits, packed uint8 [B, 64]."""
    present = counts.reshape(len(counts), counts.shape[1] // BITS, BITS).any(axis=1)
    return np.packbits(present, axis=1)


def unfold(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The inverse of the packing: float32 [B, 512] of 0 and 1."""
    return np.unpackbits(packed, axis=1).astype(np.float32)
