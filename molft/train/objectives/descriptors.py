"""RDKit descriptors as regression targets (as in CheMeleon, Burns et al. 2025, with cheap descriptors)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

_LIMIT = 4.0  # scaled targets beyond are clipped: a few giants must not rule the loss


class DescriptorValues(nn.Module):
    """Read robustly scaled descriptors of each molecule from its summary, linearly; smooth-L1 loss."""

    def __init__(self, width: int, centre: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.head = nn.Linear(width, len(centre))
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)

    def forward(self, summary: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Loss, and the share of the targets' variance that is explained.

        Shapes: summary [B, width]; values [B, D], raw descriptors.
        """
        target = ((values - self.get_buffer("centre")) / self.get_buffer("scale")).clamp(-_LIMIT, _LIMIT)
        out = self.head(summary)
        residual = (out.detach() - target).square().mean()
        explained = 1 - residual / (target - target.mean(dim=0)).square().mean().clamp(min=1e-9)
        return F.smooth_l1_loss(out, target), explained


def robust_scale(values: NDArray[np.floating]) -> tuple[Tensor, Tensor]:
    """Median and spread of each descriptor, float32 [D] each, from a sample [B, D].

    The spread is the 5 to 95 % range over that of a normal distribution; where that is 0 (a count that is
    nearly always the same) it is the standard deviation, and 1 for a constant.
    """
    sample = values.astype(np.float64)
    low, middle, high = np.quantile(sample, [0.05, 0.5, 0.95], axis=0)
    spread = (high - low) / 3.29
    spread = np.where(spread > 0, spread, sample.std(axis=0))
    spread = np.where(spread > 0, spread, 1.0)
    return torch.from_numpy(middle.astype(np.float32)), torch.from_numpy(spread.astype(np.float32))
