"""Edge prediction: bonds against pairs that are none."""

from collections import Counter

import pytest
import torch
from torch.nn import functional as F

from molft.data.batch import make_batch
from molft.train.objectives.edges import draw_pairs, predict_edges
from tests.series import block_of, pyridines
from tests.tiny import CYCLOPROPENE, ETHANOL, METHANE, NOTHING, batch_of, random_batch


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(4))
def test_no_pair_is_a_bond_an_atom_with_itself_twice_there_or_between_molecules(seed: int) -> None:
    batch = random_batch(seed, molecules=12)
    pairs = draw_pairs(batch, seeded(seed))
    drawn = [(int(a), int(b)) for a, b in pairs.T]
    assert not set(drawn) & {(int(a), int(b)) for a, b in batch.edge_index.T}
    assert all(a != b for a, b in drawn)
    assert len(set(drawn)) == len(drawn)
    assert torch.equal(batch.graph[pairs[0]], batch.graph[pairs[1]])


def test_there_are_as_many_pairs_as_bonds_in_each_molecule() -> None:
    batch = make_batch(block_of(pyridines(50)).graphs)
    pairs = draw_pairs(batch, seeded())
    bonds = torch.bincount(batch.graph[batch.edge_index[0, ::2]])
    assert torch.equal(torch.bincount(batch.graph[pairs[0]]), bonds)


def test_small_molecules_give_what_they_have() -> None:
    batch = batch_of(CYCLOPROPENE, METHANE, NOTHING, ETHANOL)
    pairs = {(int(a), int(b)) for a, b in draw_pairs(batch, seeded()).T}
    assert pairs <= {(4, 6), (6, 4)}  # the two ends of ethanol; nothing in the others


def test_every_free_pair_is_as_likely() -> None:
    butane = ([5] * 4, [(0, 1, 0), (1, 2, 0), (2, 3, 0)])
    batch = batch_of(*[butane] * 2000)
    often = Counter((int(a) % 4, int(b) % 4) for a, b in draw_pairs(batch, seeded()).T)
    assert set(often) == {(0, 2), (2, 0), (0, 3), (3, 0), (1, 3), (3, 1)}
    assert max(often.values()) - min(often.values()) < 0.15 * 1000


def test_the_loss_on_three_molecules() -> None:
    batch = batch_of(ETHANOL, CYCLOPROPENE, METHANE)
    torch.manual_seed(0)
    states = torch.randn(7, 5)
    loss, right = predict_edges(states, batch, seeded(1))
    bonds, pairs = [(0, 1), (1, 2), (3, 4), (4, 5), (5, 3)], draw_pairs(batch, seeded(1)).T.tolist()
    true = torch.stack([states[a] @ states[b] for a, b in bonds])
    false = torch.stack([states[a] @ states[b] for a, b in pairs])
    expected = F.binary_cross_entropy_with_logits(true, torch.ones(5)) + F.binary_cross_entropy_with_logits(
        false, torch.zeros(len(pairs))
    )
    torch.testing.assert_close(loss, expected)
    assert right.item() == pytest.approx(float((true > 0).float().mean() + (false < 0).float().mean()) / 2)


@pytest.mark.parametrize("molecules", [(METHANE, METHANE), (CYCLOPROPENE,)])
def test_without_bonds_or_free_pairs_it_costs_nothing(molecules: tuple[object, ...]) -> None:
    batch = batch_of(*molecules)
    states = torch.randn(len(batch.atoms), 4, requires_grad=True)
    loss, score = predict_edges(states, batch, seeded())
    loss.backward()
    assert (loss.item(), score.item(), float(states.grad.abs().sum())) == (0.0, 0.0, 0.0)
