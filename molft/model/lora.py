"""Low-rank updates of an encoder's linear layers, merged into the weights after training.

Hu et al. (LoRA, ICLR 2022): a weight W [out, in] becomes W + B A with B [out, r] and A [r, in]; only A and B
are trained. B starts at zero, so the function starts as it was; and after merging the encoder is a plain one
again, with the same names and the same speed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from molft.model.encoder import Encoder


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
    for linear in _linears(encoder):
        weight = linear.weight
        update = LowRank(weight, min(rank, *weight.shape), generator)
        parametrize.register_parametrization(linear, "weight", update)


def freeze_all_but_updates(encoder: Encoder) -> None:
    """Take every parameter of the encoder from training but the updates.

    Dropout and batch normalisation go on as in training: the running statistics follow the new molecules.
    """
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(is_update(name))


def is_update(name: str) -> bool:
    """Whether an encoder's parameter belongs to a low-rank update.

    >>> is_update("gnns.0.mlp.0.parametrizations.weight.0.up"), is_update("gnns.0.mlp.0.bias")
    (True, False)
    """
    return ".parametrizations.weight.0." in name


def merge_updates(encoder: Encoder) -> None:
    """Add the updates to the weights: a plain encoder again, its parameters in the order they had."""
    for linear in _linears(encoder):
        if parametrize.is_parametrized(linear, "weight"):
            parametrize.remove_parametrizations(linear, "weight", leave_parametrized=True)
            # The weight came back behind the bias; what is written or hashed goes by the order.
            bias = linear.bias
            del linear.bias
            linear.register_parameter("bias", bias)


def _linears(encoder: Encoder) -> Iterator[nn.Linear]:
    for module in encoder.gnns.modules():
        if isinstance(module, nn.Linear):
            yield module
