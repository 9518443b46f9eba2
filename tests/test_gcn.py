"""The graph convolution against arithmetic by hand and the edge-wise form."""

import pytest
import torch

from molft.model.gcn import GCN
from molft.model.topology import build_topology
from tests.edgewise import assert_same_as_edgewise
from tests.tiny import ETHANOL, batch_of


def test_states_and_gradients_equal_the_edgewise_form() -> None:
    assert_same_as_edgewise("gcn")


def test_ethanol_by_hand() -> None:
    layer = GCN(1, (6, 3))
    for name, parameter in layer.named_parameters():
        torch.nn.init.constant_(parameter, 1.0 if "linear.weight" in name else 0.0)
    out = layer(torch.tensor([[1.0], [2.0], [4.0]]), build_topology(batch_of(ETHANOL), (6, 3), (4, 0)))
    # Degrees with self-loops 2, 3, 2: neighbours weigh 1/sqrt(6), the atom itself 1/2, 1/3, 1/2.
    root = 6**-0.5
    assert out.flatten().tolist() == pytest.approx([0.5 + 2 * root, 2 / 3 + 5 * root, 2.0 + 2 * root])


def test_the_bond_vector_is_weighted_too() -> None:
    layer = GCN(1, (6, 3))
    for name, parameter in layer.named_parameters():
        torch.nn.init.constant_(parameter, 1.0 if "edge_embedding1" in name else 0.0)
    out = layer(torch.zeros(3, 1), build_topology(batch_of(ETHANOL), (6, 3), (4, 0)))
    root = 6**-0.5
    assert out.flatten().tolist() == pytest.approx([0.5 + root, 1 / 3 + 2 * root, 0.5 + root])
