"""Bond attributes: which bonds are hidden, in both directions, and what is asked about them."""

import pytest
import torch
from torch.nn import functional as F

from molft.chem.features import OGB, SNAP
from molft.train.objectives.bonds import MaskedBonds, touching
from tests.tiny import CYCLOPROPENE, ETHANOL, METHANE, batch_of, random_batch


def masked_bonds(width: int = 4) -> MaskedBonds:
    torch.manual_seed(0)
    return MaskedBonds(width, SNAP.bond_sizes, SNAP.mask_bond)


@pytest.mark.parametrize(
    ("atoms", "bonds"),
    [([], []), ([0], [0]), ([1], [0, 1]), ([3], [2, 4]), ([0, 2, 5], [0, 1, 3, 4]), ([6], [])],
)
def test_bonds_that_touch_an_atom(atoms: list[int], bonds: list[int]) -> None:
    batch = batch_of(ETHANOL, CYCLOPROPENE, METHANE)
    assert touching(batch.edge_index, torch.tensor(atoms, dtype=torch.int64), 7).tolist() == bonds


def test_both_directions_are_hidden_in_a_copy() -> None:
    batch = batch_of(ETHANOL, CYCLOPROPENE)
    hidden = masked_bonds().hide(batch.bonds, torch.tensor([1, 2]))
    assert hidden[:, 0].tolist() == [0, 0, 5, 5, 5, 5, 0, 0, 0, 0]
    assert batch.bonds[:, 0].tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_every_direction_of_a_bond_at_a_chosen_atom_is_hidden_and_no_other(seed: int) -> None:
    batch = random_batch(seed)
    chosen = torch.randperm(len(batch.atoms), generator=torch.Generator().manual_seed(seed))[:9]
    bonds = touching(batch.edge_index, chosen, len(batch.atoms))
    hidden = masked_bonds().hide(batch.bonds, bonds)
    at_chosen = torch.isin(batch.edge_index, chosen).any(dim=0)
    assert torch.equal((hidden == torch.tensor([5, 0])).all(dim=1), at_chosen)
    assert torch.equal(hidden[~at_chosen], batch.bonds[~at_chosen])


def test_the_loss_on_three_molecules() -> None:
    batch = batch_of(ETHANOL, CYCLOPROPENE, METHANE)
    model, states = masked_bonds(), torch.randn(7, 4)
    loss, right = model(states, batch.edge_index[:, [2, 4]], batch.bonds[[2, 4]])
    logits = model.head(torch.stack([states[1] + states[2], states[3] + states[4]]))
    assert logits.shape == (2, 6)  # the bond type alone
    torch.testing.assert_close(loss, F.cross_entropy(logits, torch.tensor([0, 1])))
    assert right.item() == pytest.approx(float((logits.argmax(1) == torch.tensor([0, 1])).float().mean()))


def test_a_richer_scheme_asks_for_every_column() -> None:
    model = MaskedBonds(4, OGB.bond_sizes, OGB.mask_bond)
    states, bonds = torch.randn(3, 4), torch.tensor([[1, 2, 1], [3, 0, 1]])
    loss, _ = model(states, torch.tensor([[0, 1], [1, 2]]), bonds)
    logits = model.head(torch.stack([states[0] + states[1], states[1] + states[2]]))
    parts = [F.cross_entropy(part, bonds[:, i]) for i, part in enumerate(logits.split([7, 8, 4], dim=1))]
    torch.testing.assert_close(loss, sum(parts) / 3)


def test_without_hidden_bonds_it_costs_nothing() -> None:
    states = torch.randn(2, 4, requires_grad=True)
    empty = torch.zeros(2, 0, dtype=torch.int64)
    loss, score = masked_bonds()(states, empty, empty.T)
    loss.backward()
    assert (loss.item(), score.item()) == (0.0, 0.0)


@pytest.mark.parametrize("code", [6, -1])
def test_a_code_outside_the_table_is_refused(code: int) -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        masked_bonds()(torch.randn(2, 4), torch.tensor([[0], [1]]), torch.tensor([[code, 0]]))
