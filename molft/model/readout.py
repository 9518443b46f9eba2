"""From atoms to molecules.

A molecule without atoms keeps its place; its vector is zeros (Set2Set: the same constant for all such).
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from molft.errors import MolftError
from molft.model.segments import segment_max, segment_softmax, segment_sum

SUM_SCALE = 1 / 32  # a molecule of 32 atoms has a sum as large as its mean


class Sum(nn.Module):
    """Sum over the atoms of a molecule."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, states: Tensor, graph: Tensor, size: int) -> Tensor:
        """Shapes: states [N, D], graph int64 [N] molecule of each atom, out [size, D]."""
        return segment_sum(states, graph, size)


class Mean(Sum):
    """Mean over the atoms of a molecule."""

    def forward(self, states: Tensor, graph: Tensor, size: int) -> Tensor:
        """Shapes: states [N, D], graph int64 [N] molecule of each atom, out [size, D]."""
        atoms = torch.bincount(graph, minlength=size).clamp(min=1).to(states.dtype)
        return segment_sum(states, graph, size) / atoms.unsqueeze(1)


class MeanAndSum(Sum):
    """Mean and sum side by side: the mean alone could not tell the size of a molecule."""

    def __init__(self, width: int) -> None:
        super().__init__(2 * width)

    def forward(self, states: Tensor, graph: Tensor, size: int) -> Tensor:
        """Shapes: states [N, D], graph int64 [N] molecule of each atom, out [size, 2 D]."""
        atoms = torch.bincount(graph, minlength=size).to(states.dtype)
        total = segment_sum(states, graph, size)
        return join_sum(total / atoms.clamp(min=1).unsqueeze(1), atoms)


def join_sum(mean: Tensor, atoms: Tensor) -> Tensor:
    """The mean over a molecule's atoms, and their sum brought to a mean's size.

    Shapes: mean [B, D], atoms [B] number of atoms, out [B, 2 D].
    """
    return torch.cat([mean, mean * (atoms * SUM_SCALE).unsqueeze(1)], dim=1)


class Max(Sum):
    """Largest value of each feature over the atoms of a molecule."""

    def forward(self, states: Tensor, graph: Tensor, size: int) -> Tensor:
        """Shapes: states [N, D], graph int64 [N] molecule of each atom, out [size, D]."""
        return segment_max(states, graph, size)


class Attention(Sum):
    """Sum weighted by a learned gate, a softmax over the molecule's atoms (Li et al., ICLR 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.gate_nn = nn.Linear(width, 1)

    def forward(self, states: Tensor, graph: Tensor, size: int) -> Tensor:
        """Shapes: states [N, D], graph int64 [N] molecule of each atom, out [size, D]."""
        weights = segment_softmax(self.gate_nn(states), graph, size)
        return segment_sum(weights * states, graph, size)


class Set2Set(nn.Module):
    """``steps`` rounds of an LSTM that asks for atoms by attention (Vinyals et al., ICLR 2016)."""

    def __init__(self, width: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.width = 2 * width
        self.lstm = nn.LSTM(2 * width, width)

    def forward(self, states: Tensor, graph: Tensor, size: int) -> Tensor:
        """Shapes: states [N, D], graph int64 [N] molecule of each atom, out [size, 2 D]."""
        memory = states.new_zeros(1, size, states.shape[1])
        hidden = (memory, memory)
        out = states.new_zeros(size, self.width)
        for _ in range(self.steps):
            query, hidden = self.lstm(out.unsqueeze(0), hidden)
            query = query.squeeze(0)
            match = (states * query[graph]).sum(dim=1, keepdim=True)
            found = segment_sum(segment_softmax(match, graph, size) * states, graph, size)
            out = torch.cat([query, found], dim=1)
        return out


READOUTS: dict[str, type[Sum]] = {
    "mean": Mean,
    "sum": Sum,
    "max": Max,
    "attention": Attention,
    "summary": MeanAndSum,
}


def build_readout(name: str, width: int) -> Sum | Set2Set:
    """Readout of atom vectors of ``width``; its own attribute ``width`` is that of a molecule's vector.

    An unknown name is a :class:`MolftError`.

    >>> build_readout("mean", 300).width, build_readout("set2set3", 300).width
    (300, 600)
    """
    set2set = re.fullmatch("set2set([1-9])", name)
    if set2set:
        return Set2Set(width, steps=int(set2set[1]))
    if name not in READOUTS:
        raise MolftError(f"unknown readout {name!r}; expected {', '.join(READOUTS)} or set2set1 to set2set9")
    return READOUTS[name](width)
