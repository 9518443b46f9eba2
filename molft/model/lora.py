"""Low-rank updates of an encoder's linear layers, merged into the weights after training.

Hu et al. (LoRA, ICLR 2022): a weight W [out, in] becomes W + B A with B [out, r] and A [r, in]; only A and B
are trained. B starts at zero, so the function starts as it was; and after merging the encoder is a plain one
again, with the same names and the same speed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from molft.model.encoder import Encoder
from molft.model.updates import linears


class LowRank(nn.Module):
    """``W + up @ down``.

    Shapes: down [r, in], up [out, r].
    """

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        bound = 1 / math.sqrt(weight.shape[1])
        down = (torch.rand((rank, weight.shape[1]), generator=generator) * 2 - 1) * bound
        self.down = nn.Parameter(down.to(weight))
        self.up = nn.Parameter(torch.zeros((weight.shape[0], rank)).to(weight))

    def forward(self, weight: Tensor) -> Tensor:
        """Shapes: weight [out, in], out [out, in]."""
        return weight + self.up @ self.down


def add_updates(encoder: Encoder, rank: int, seed: int) -> None:
    """Give each linear layer of the convolutions an update of at most ``rank``, which changes nothing yet.

    Where a layer is narrower than ``rank``, its update has the layer's own rank. All else depends on ``seed``
    alone.
    """
    generator = torch.Generator().manual_seed(seed)
    for linear in linears(encoder):
        weight = linear.weight
        update = LowRank(weight, min(rank, *weight.shape), generator)
        parametrize.register_parametrization(linear, "weight", update)
