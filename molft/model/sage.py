"""GraphSAGE convolution of Hu et al. (ICLR 2020), after Hamilton et al. (NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from molft.model.tables import add_tables, stack_tables
from molft.model.topology import Topology, aggregate


class SAGE(nn.Module):
    """Mean of neighbour states ``W h + b`` and bond vectors, each row then scaled to unit length."""

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
        # The sum in place of the mean: their quotient, the number of pairs, cancels in the unit length.
        return F.normalize(aggregate(self.linear(states), table, topology))
