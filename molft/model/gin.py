"""Graph isomorphism convolution of Hu et al. (ICLR 2020), after Xu et al. (ICLR 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

from torch import Tensor, nn

from molft.model.half import perceptron
from molft.model.recompute import run_pieces
from molft.model.tables import add_tables, stack_tables
from molft.model.topology import Topology, aggregate, aggregate_padded


class GIN(nn.Module):
    """``MLP((A + I) h + C T)``: Linear, ReLU, Linear on the sum of neighbour states and bond vectors.

    There is no epsilon and no ReLU on the message (PyG's ``GINEConv`` has one: another function).
    With ``bf16`` it is computed in 16 bits (:mod:`molft.model.half`), with ``pieces`` the perceptron goes
    through the rows in pieces (:mod:`molft.model.recompute`).
    """

    def __init__(self, width: int, bond_sizes: Sequence[int], adapter: int = 0) -> None:
        """``adapter`` is the number of hidden units beyond twice the width."""
        super().__init__()
        self.bond_sizes = tuple(bond_sizes)
        # In place: the first Linear keeps its input for the backward pass, not its output.
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width + adapter),
            nn.ReLU(inplace=True),
            nn.Linear(2 * width + adapter, width),
        )
        add_tables(self, "edge_embedding", self.bond_sizes, width)
        self.bf16 = False
        self.pieces = False

    def forward(self, states: Tensor, topology: Topology) -> Tensor:
        """New atom states, before normalisation.

        Shapes: states [N, D], out [N, D], bfloat16 where ``bf16`` is set.
        """
        table = stack_tables(self, "edge_embedding", self.bond_sizes)
        if self.bf16:
            total = aggregate_padded(states.bfloat16(), table, topology)
            first, second = cast(nn.Linear, self.mlp[0]), cast(nn.Linear, self.mlp[2])
            inner = partial(perceptron, first=first, second=second)
            return (run_pieces(inner, total) if self.pieces else inner(total))[: topology.atoms]
        total = aggregate(states, table, topology)
        out: Tensor = run_pieces(self.mlp, total) if self.pieces else self.mlp(total)
        return out
