"""The attention layer against arithmetic by hand and the edge-wise form."""

import math

import pytest
import torch

from molft.model.gat import GAT
from molft.model.topology import build_topology
from tests.edgewise import assert_same_as_edgewise
from tests.tiny import ETHANOL, METHANE, batch_of


def test_states_and_gradients_equal_the_edgewise_form() -> None:
    assert_same_as_edgewise("gat")


def plain_layer() -> GAT:
    """Width 1: both heads copy the state, tables and attention are zero."""
    layer = GAT(1, (6, 3))
    for name, parameter in layer.named_parameters():
        torch.nn.init.constant_(parameter, 1.0 if name == "weight_linear.weight" else 0.0)
    return layer


def test_without_attention_it_is_the_mean() -> None:
    out = plain_layer()(
        torch.tensor([[1.0], [2.0], [6.0]]), build_topology(batch_of(ETHANOL), (6, 3), (4, 0))
    )
    assert out.flatten().tolist() == pytest.approx([1.5, 3.0, 4.0])


def test_the_softmax_is_over_what_an_atom_receives() -> None:
    layer = plain_layer()
    with torch.no_grad():
        layer.att[..., 1] = 1.0  # the logit is the sender's value
    out = layer(
        torch.tensor([[0.0], [math.log(3.0)], [0.0]]), build_topology(batch_of(ETHANOL), (6, 3), (4, 0))
    )
    # End atoms: weights 1 : 3 on values 0, log 3; the middle one: 1 : 3 : 1.
    assert out.flatten().tolist() == pytest.approx(
        [0.75 * math.log(3), 0.6 * math.log(3), 0.75 * math.log(3)]
    )


def test_large_logits_do_not_overflow() -> None:
    layer = plain_layer()
    torch.nn.init.ones_(layer.att)
    out = layer(torch.full((1, 1), 1e4), build_topology(batch_of(METHANE), (6, 3), (4, 0)))
    assert out.item() == pytest.approx(1e4)


def test_initial_attention_lies_in_glorot_s_bound() -> None:
    att = GAT(300, (6, 3)).att
    assert att.shape == (1, 2, 600)
    assert 0.099 < att.abs().max().item() <= math.sqrt(6 / 602)
