"""Distillation: say of a molecule what a larger encoder says of it.

The teacher's vectors as targets, as in FitNets (Romero et al., ICLR 2015), but read linearly: what a linear
head finds in the teacher's vector it then finds in the student's too.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from molft.data.batch import Batch
from molft.model.encoder import Encoder
from molft.model.network import build_reader
from molft.train.loop import fold_each, run_batch

Teacher = Callable[[Batch], Tensor]
"""Molecule vectors of a batch, [B, D]."""


def make_teacher(encoder: Encoder, half: bool = False) -> Teacher:
    """The encoder as it is now, in eval mode; with ``half`` a folded one computes in 16 bits."""
    network = build_reader(encoder)
    (reader,) = fold_each([network], half)

    @torch.no_grad()
    def teach(batch: Batch) -> Tensor:
        return run_batch(network, reader, batch, {})

    return teach


class Distillation(nn.Module):
    """Read the teacher's vector of each molecule from the student's summary, linearly; squared error."""

    def __init__(self, width: int, size: int) -> None:
        """``size`` is the width of the teacher's vectors."""
        super().__init__()
        self.head = nn.Linear(width, size)

    def forward(self, summary: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Squared error over the batch's variance, and the share of the variance that is explained.

        Shapes: summary [B, width]; vectors [B, size], the teacher's.
        """
        vectors = vectors.float()
        variance = (vectors - vectors.mean(dim=0)).square().mean().clamp(min=1e-9)
        loss = (self.head(summary) - vectors).square().mean() / variance
        return loss, 1 - loss.detach()
