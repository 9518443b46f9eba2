"""Readouts on three tiny molecules with an empty one between them."""

import pytest
import torch

from molft.errors import MolftError
from molft.model.readout import build_readout

STATES = torch.tensor([[1.0, -4.0], [3.0, -2.0], [5.0, 6.0], [-1.0, -1.0], [0.0, -3.0], [-2.0, -2.0]])
GRAPH = torch.tensor([0, 0, 1, 3, 3, 3])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sum", [[4, -6], [5, 6], [0, 0], [-3, -6], [0, 0]]),
        ("mean", [[2, -3], [5, 6], [0, 0], [-1, -2], [0, 0]]),
        ("max", [[3, -2], [5, 6], [0, 0], [0, -1], [0, 0]]),
    ],
)
def test_empty_molecules_keep_their_place(name: str, expected: list[list[float]]) -> None:
    assert build_readout(name, 2)(STATES, GRAPH, 5).tolist() == expected


def test_attention_weighs_atoms_by_the_gate() -> None:
    readout = build_readout("attention", 2)
    with torch.no_grad():
        readout.gate_nn.weight.copy_(torch.tensor([[0.5, 0.0]]))
    out = readout(STATES, GRAPH, 5)
    weights = torch.softmax(torch.tensor([0.5, 1.5]), dim=0)
    torch.testing.assert_close(out[0], weights @ STATES[:2])
    torch.testing.assert_close(out[1], STATES[2])
    assert out[[2, 4]].tolist() == [[0, 0], [0, 0]]


def test_set2set_is_the_recipe_molecule_by_molecule() -> None:
    torch.manual_seed(0)
    readout = build_readout("set2set3", 2)
    out = readout(STATES, GRAPH, 5)
    for molecule in range(5):
        atoms = STATES[molecule == GRAPH]
        h = c = torch.zeros(1, 1, 2)
        q = torch.zeros(1, 1, 4)
        for _ in range(3):
            ask, (h, c) = readout.lstm(q, (h, c))
            found = torch.softmax(atoms @ ask[0, 0], dim=0) @ atoms
            q = torch.cat([ask[0, 0], found]).view(1, 1, 4)
        torch.testing.assert_close(out[molecule], q.flatten())


@pytest.mark.parametrize("name", ["sum", "mean", "max", "attention", "set2set2"])
def test_gradients_reach_atoms_and_parameters(name: str) -> None:
    readout, states = build_readout(name, 2), STATES.clone().requires_grad_()
    readout(states, GRAPH, 5).square().sum().backward()
    assert states.grad.abs().sum() > 0
    for parameter_name, parameter in readout.named_parameters():
        assert parameter.grad is not None, parameter_name


@pytest.mark.parametrize("name", ["sum", "mean", "max", "attention", "set2set2"])
def test_a_batch_without_atoms_reads_out(name: str) -> None:
    readout = build_readout(name, 2)
    out = readout(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), 3)
    assert out.shape == (3, readout.width)
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("name", ["", "average", "set2set", "set2set0", "set2set10", "Mean"])
def test_unknown_readouts_are_refused(name: str) -> None:
    with pytest.raises(
        MolftError, match="expected mean, sum, max, attention, summary or set2set1 to set2set9"
    ):
        build_readout(name, 2)
