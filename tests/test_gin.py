"""The graph isomorphism layer against arithmetic by hand and the edge-wise form."""

import pytest
import torch

from molft.errors import MolftError
from molft.model.gin import GIN
from molft.model.topology import build_topology
from tests.edgewise import assert_same_as_edgewise
from tests.tiny import ETHANOL, batch_of


def test_states_and_gradients_equal_the_edgewise_form() -> None:
    assert_same_as_edgewise("gin")


def test_ethanol_by_hand() -> None:
    layer = GIN(1, (6, 3))
    for name, parameter in layer.named_parameters():
        torch.nn.init.constant_(parameter, 0.0 if "bias" in name or "edge_embedding2" in name else 1.0)
    with torch.no_grad():
        layer.edge_embedding1.weight.copy_(torch.tensor([[10.0], [20.0], [0.0], [0.0], [100.0], [0.0]]))
    out = layer(torch.tensor([[1.0], [2.0], [4.0]]), build_topology(batch_of(ETHANOL), (6, 3), (4, 0)))
    # C1: 1 + 2 (itself, neighbour) + 10 + 100 (single bond, self-loop); the MLP sums two equal halves.
    assert out.flatten().tolist() == [2 * 113.0, 2 * 127.0, 2 * 116.0]


def test_parameter_names_and_shapes_are_those_of_the_released_files() -> None:
    assert {name: tuple(p.shape) for name, p in GIN(300, (6, 3)).named_parameters()} == {
        "mlp.0.weight": (600, 300),
        "mlp.0.bias": (600,),
        "mlp.2.weight": (300, 600),
        "mlp.2.bias": (300,),
        "edge_embedding1.weight": (6, 300),
        "edge_embedding2.weight": (3, 300),
    }


def test_bond_codes_of_another_scheme_are_refused() -> None:
    batch = batch_of(ETHANOL)
    with pytest.raises(MolftError, match=r"bond feature 0 has codes 4 to 9.*rows 0 to 5"):
        build_topology(batch._replace(bonds=batch.bonds + 9), (6, 3), (4, 0))
