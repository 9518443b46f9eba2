"""The GraphSAGE layer against arithmetic by hand and the edge-wise form."""

import pytest
import torch

from molft.model.sage import SAGE
from molft.model.topology import build_topology
from tests.edgewise import assert_same_as_edgewise
from tests.tiny import ETHANOL, METHANE, batch_of


def test_states_and_gradients_equal_the_edgewise_form() -> None:
    assert_same_as_edgewise("graphsage")


def test_ethanol_by_hand() -> None:
    layer = SAGE(2, (6, 3))
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
        layer.linear.weight.copy_(torch.eye(2))
    states = torch.tensor([[1.0, 4.0], [2.0, 0.0], [6.0, 6.0]])
    out = layer(states, build_topology(batch_of(ETHANOL), (6, 3), (4, 0)))
    # Sums (3, 4), (9, 10), (8, 6), each divided by its length.
    assert out[0].tolist() == pytest.approx([0.6, 0.8])
    assert out[1].tolist() == pytest.approx([9 / 181**0.5, 10 / 181**0.5])
    assert out[2].tolist() == pytest.approx([0.8, 0.6])


def test_a_zero_row_stays_zero() -> None:
    layer = SAGE(2, (6, 3))
    for parameter in layer.parameters():
        torch.nn.init.zeros_(parameter)
    assert layer(torch.ones(1, 2), build_topology(batch_of(METHANE), (6, 3), (4, 0))).tolist() == [[0.0, 0.0]]
