"""Adapters: a few more hidden units in each layer's perceptron, of which only these are trained.

Li et al. (AdapterGNN, AAAI 2024) add to what a layer's perceptron makes of an atom's summed neighbours the
output of a narrow one, Linear, ReLU, Linear. Side by side, both are one perceptron with a wider hidden layer,
and as such the encoder is kept: an adapter costs its few units and needs no code of its own afterwards. Their
second adapter, of the states before the sum, isn't one of these and is left out, and so is the normalisation
at the end of theirs.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from molft.errors import MolftError
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder


class Appended(nn.Module):
    """A tensor with more rows (``dim`` 0) or columns (1) behind its own."""

    def __init__(self, more: Tensor, dim: int) -> None:
        super().__init__()
        self.more = nn.Parameter(more)
        self.dim = dim

    def forward(self, tensor: Tensor) -> Tensor:
        """Shapes: tensor [X, ...], out [X + r, ...], or the same of the columns."""
        return torch.cat([tensor, self.more], dim=self.dim)


def adapted(config: EncoderConfig, units: int) -> EncoderConfig:
    """The configuration of an encoder with adapters; another kind than GIN is a :class:`MolftError`."""
    if config.conv != "gin":
        raise MolftError(f"an encoder of {config.conv!r} layers has no adapters, only 'gin' has; use lora")
    return replace(config, adapter=config.adapter + units)


def add_adapters(encoder: Encoder, units: int, seed: int) -> None:
    """Give each layer so many more hidden units, which change nothing yet; all else depends on ``seed``."""
    encoder.config = adapted(encoder.config, units)
    generator = torch.Generator().manual_seed(seed)
    for conv in encoder.gnns:
        mlp = cast(nn.Sequential, conv.mlp)
        first, second = cast(nn.Linear, mlp[0]), cast(nn.Linear, mlp[2])
        width = first.weight.shape[1]
        down = (torch.rand((units, width), generator=generator) * 2 - 1) / math.sqrt(width)
        _append(first, "weight", down, 0)
        _append(first, "bias", torch.zeros(units), 0)
        _append(second, "weight", torch.zeros(width, units), 1)
        first.out_features = second.in_features = first.out_features + units


def _append(linear: nn.Linear, name: str, more: Tensor, dim: int) -> None:
    tensor = linear.get_parameter(name)
    # Unsafe in that the shape changes, which nothing here minds.
    parametrize.register_parametrization(linear, name, Appended(more.to(tensor), dim), unsafe=True)
