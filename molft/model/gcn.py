"""Graph convolution of Hu et al. (ICLR 2020), after Kipf & Welling (ICLR 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from molft.model.tables import add_tables, stack_tables
from molft.model.topology import Topology, aggregate


class GCN(nn.Module):
    """``S (W h + b) + C T`` with ``S = D^-1/2 (A + I) D^-1/2`` and bond counts weighted as in ``S``."""

    def __init__(self, width: int, bond_sizes: Sequence[int]) -> None:
        super().__init__()
        self.bond_sizes = tuple(bond_sizes)
        self.linear = nn.Linear(width, width)
        add_tables(self, "edge_embedding", self.bond_sizes, width)

    def forward(self, states: Tensor, topology: Topology) -> Tensor:
        """New atom states, before normalisation.

        Shapes: states [N, D], out [N, D].
        """
        table = stack_tables(self, "edge_embedding", self.bond_sizes)
        return aggregate(self.linear(states), table, topology, normed=True)
