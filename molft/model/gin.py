"""Graph isomorphism convolution of Hu et al. (ICLR 2020), after Xu et al. (ICLR 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from molft.model.tables import add_tables, stack_tables
from molft.model.topology import Topology, aggregate


class GIN(nn.Module):
    """``MLP((A + I) h + C T)``: Linear, ReLU, Linear on the sum of neighbour states and bond vectors.

    There is no epsilon and no ReLU on the message (PyG's ``GINEConv`` has one: another function).
    """

    def __init__(self, width: int, bond_sizes: Sequence[int]) -> None:
        super().__init__()
        self.bond_sizes = tuple(bond_sizes)
        # In place: the first Linear keeps its input for the backward pass, not its output.
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(inplace=True), nn.Linear(2 * width, width)
        )
        add_tables(self, "edge_embedding", self.bond_sizes, width)

    def forward(self, states: Tensor, topology: Topology) -> Tensor:
        """New atom states, before normalisation.

        Shapes: states [N, D], out [N, D].
        """
        table = stack_tables(self, "edge_embedding", self.bond_sizes)
        out: Tensor = self.mlp(aggregate(states, table, topology))
        return out
