"""Graph attention convolution of Hu et al. (ICLR 2020), after Velickovic et al. (ICLR 2018)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molft.model.segments import segment_softmax
from molft.model.tables import add_tables, stack_tables
from molft.model.topology import Topology, count_rows

HEADS = 2
SLOPE = 0.2


class GAT(nn.Module):
    """Two attention heads, averaged; the bond vector enters both the logit and the value.

    The logit of a pair is a sum of scalars for the receiving atom, the sending atom and the bond codes, and
    the bonds' part of the value is attention-weighted counts times the tables, so that no tensor has a row of
    D numbers for each pair.
    """

    def __init__(self, width: int, bond_sizes: Sequence[int]) -> None:
        super().__init__()
        self.bond_sizes = tuple(bond_sizes)
        self.width = width
        self.weight_linear = nn.Linear(width, HEADS * width)
        self.att = nn.Parameter(torch.empty(1, HEADS, 2 * width))
        self.bias = nn.Parameter(torch.zeros(width))
        add_tables(self, "edge_embedding", self.bond_sizes, HEADS * width)
        bound = math.sqrt(6.0 / (HEADS + 2 * width))
        nn.init.uniform_(self.att, -bound, bound)

    def forward(self, states: Tensor, topology: Topology) -> Tensor:
        """New atom states, before normalisation.

        Shapes: states [N, D], out [N, D].
        """
        values = self.weight_linear(states).view(-1, HEADS, self.width)
        table = stack_tables(self, "edge_embedding", self.bond_sizes).view(-1, HEADS, self.width)
        attention = self.attend(values, table, topology)
        heads = [
            gather_head(values[:, k], table[:, k], attention[:, k].contiguous(), topology)
            for k in range(HEADS)
        ]
        return torch.stack(heads).mean(dim=0) + self.bias

    def attend(self, values: Tensor, table: Tensor, topology: Topology) -> Tensor:
        """Attention of each pair, a softmax over the pairs of the receiving atom.

        Shapes: values [N, heads, D], table [K, heads, D], out [P, heads].
        """
        receiver, sender = self.att[0].split(self.width, dim=1)
        bonds = (table * sender).sum(dim=2)[topology.rows].sum(dim=1)
        logits = (values * receiver).sum(dim=2)[topology.receivers] + bonds
        logits = logits + (values * sender).sum(dim=2)[topology.neighbours]
        return segment_softmax(F.leaky_relu(logits, SLOPE), topology.receivers, topology.atoms)


def gather_head(values: Tensor, table: Tensor, attention: Tensor, topology: Topology) -> Tensor:
    """Attention-weighted sum of neighbour values and bond vectors.

    Shapes: values [N, D], table [K, D], attention [P], out [N, D].
    """
    states = F.embedding_bag(
        topology.neighbours,
        values.contiguous(),
        topology.starts,
        mode="sum",
        per_sample_weights=attention.to(values.dtype),
    )
    counts = count_rows(topology.receivers, topology.rows, topology.counts.shape, attention)
    return states + counts.to(table.dtype) @ table
