"""Infomax against arithmetic on three molecules."""

import pytest
import torch
from torch.nn import functional as F

from molft.train.objectives.infomax import Infomax
from tests.tiny import CYCLOPROPENE, ETHANOL, METHANE, batch_of


def test_the_loss_on_three_molecules() -> None:
    batch = batch_of(ETHANOL, CYCLOPROPENE, METHANE)
    torch.manual_seed(0)
    model, states = Infomax(4), torch.randn(7, 4)
    loss, right = model(states, batch.graph, 3)
    members = ([0, 1, 2], [3, 4, 5], [6])
    summaries = [torch.sigmoid(states[atoms].mean(dim=0)) for atoms in members]
    true, false = [], []
    for row, atoms in enumerate(members):
        for atom in atoms:
            true.append(states[atom] @ (summaries[row] @ model.weight))
            false.append(states[atom] @ (summaries[(row + 1) % 3] @ model.weight))
    true, false = torch.stack(true), torch.stack(false)
    expected = F.binary_cross_entropy_with_logits(true, torch.ones(7))
    expected = expected + F.binary_cross_entropy_with_logits(false, torch.zeros(7))
    torch.testing.assert_close(loss, expected)
    assert right.item() == pytest.approx(float((true > 0).float().mean() + (false < 0).float().mean()) / 2)


def test_the_weights_start_within_the_published_bound() -> None:
    weight = Infomax(100).weight.detach()
    assert 0.09 < float(weight.abs().max()) <= 0.1


def test_states_and_weights_learn() -> None:
    batch = batch_of(ETHANOL, METHANE)
    model, states = Infomax(3), torch.randn(4, 3, requires_grad=True)
    model(states, batch.graph, 2)[0].backward()
    assert float(states.grad.abs().sum()) > 0 and model.weight.grad.abs().sum().item() > 0


def test_states_of_another_width_are_refused() -> None:
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        Infomax(3)(torch.randn(4, 5), batch_of(ETHANOL, METHANE).graph, 2)
