"""Infomax: does this atom belong to that molecule?

Velickovic et al., "Deep graph infomax", ICLR 2019, in the form of the SNAP code (Hu, Liu et al., ICLR 2020):
the false molecule is the next one of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from molft.model.segments import segment_sum
from molft.train.objectives.context import tell_apart


class Infomax(nn.Module):
    """Tell the summary of an atom's own molecule from that of another, by a bilinear score."""

    def __init__(self, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(width, width).uniform_(-bound, bound))

    def forward(self, states: Tensor, graph: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Loss, and the share of pairs of atom and molecule that were told right.

        Shapes: states [N, width]; graph int64 [N].
        """
        counts = torch.bincount(graph, minlength=size).clamp(min=1).unsqueeze(1)
        summary = torch.sigmoid(segment_sum(states, graph, size) / counts) @ self.weight
        true = (states * summary[graph]).sum(dim=1)
        false = (states * summary.roll(-1, dims=0)[graph]).sum(dim=1)
        return tell_apart(true, false)
