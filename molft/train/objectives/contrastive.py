"""Contrastive learning between two altered views of each molecule.

You, Chen, Sui, Chen, Wang and Shen, "Graph contrastive learning with augmentations" (GraphCL), NeurIPS 2020,
with the NT-Xent loss of Chen et al. (SimCLR), ICML 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molft.data.batch import Batch
from molft.model.segments import segment_sum
from molft.train.objectives.augment import alter

TEMPERATURE = 0.1


class Contrastive(nn.Module):
    """Find the other view of a molecule among all views of the batch."""

    def __init__(self, width: int, mask_atom: Sequence[int]) -> None:
        super().__init__()
        self.mask_atom = tuple(mask_atom)
        self.project = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(
        self, encode: Callable[[Batch], Tensor], batch: Batch, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Loss, and the share of views whose nearest other view is their own molecule's.

        ``encode`` is the encoder to train.
        """
        views = []
        for _ in range(2):
            view = alter(batch, self.mask_atom, generator)
            counts = torch.bincount(view.graph, minlength=view.size).clamp(min=1).unsqueeze(1)
            views.append(self.project(segment_sum(encode(view).float(), view.graph, view.size) / counts))
        return nt_xent(views[0], views[1])


def nt_xent(one: Tensor, other: Tensor, temperature: float = TEMPERATURE) -> tuple[Tensor, Tensor]:
    """Normalised temperature-scaled cross-entropy: each of the 2 B views against the 2 B - 1 others.

    Shapes: one, other [B, D], row b the two views of molecule b.
    """
    views = F.normalize(torch.cat([one, other]).float(), dim=1)
    own = torch.eye(len(views), dtype=torch.bool, device=views.device)
    logits = (views @ views.t() / temperature).masked_fill(own, float("-inf"))
    partner = torch.arange(len(views), device=views.device).roll(len(one))
    right = (logits.argmax(dim=1) == partner).float().mean()
    return F.cross_entropy(logits, partner), right
