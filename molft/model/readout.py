"""From atoms to molecules; a molecule without atoms keeps its place and reads as zeros."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from molft.errors import MolftError


def sum_atoms(states: Tensor, graph: Tensor, size: int) -> Tensor:
    """Sum over the atoms of each molecule.

    Shapes: states [N, D], graph int64 [N] molecule of each atom, out [size, D].
    """
    return states.new_zeros(size, states.shape[1]).index_add_(0, graph, states)


class Sum(nn.Module):
    """Sum over atoms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, states: Tensor, graph: Tensor, size: int) -> Tensor:
        """Shapes: states [N, D], graph int64 [N], out [size, D]."""
        return sum_atoms(states, graph, size)


class Mean(Sum):
    """Mean over atoms."""

    def forward(self, states: Tensor, graph: Tensor, size: int) -> Tensor:
        """Shapes: states [N, D], graph int64 [N], out [size, D]."""
        atoms = torch.bincount(graph, minlength=size).clamp(min=1).to(states.dtype)
        return sum_atoms(states, graph, size) / atoms.unsqueeze(1)


class Max(Sum):
    """Largest value of each feature over atoms."""

    def forward(self, states: Tensor, graph: Tensor, size: int) -> Tensor:
        """Shapes: states [N, D], graph int64 [N], out [size, D]."""
        index = graph.unsqueeze(1).expand_as(states)
        zeros = states.new_zeros(size, states.shape[1])
        return zeros.scatter_reduce(0, index, states, "amax", include_self=False)


READOUTS: dict[str, type[Sum]] = {"mean": Mean, "sum": Sum, "max": Max}


def build_readout(name: str, width: int) -> nn.Module:
    """Readout of atom vectors of ``width``; its own attribute ``width`` is that of a molecule's vector."""
    if name not in READOUTS:
        raise MolftError(f"unknown readout {name!r}; expected one of {', '.join(READOUTS)}")
    return READOUTS[name](width)
