"""Altered views: what each way changes, how much, and what it must leave alone."""

import pytest
import torch

from molft.chem.features import SNAP
from molft.data.batch import Batch, make_batch
from molft.model.topology import build_topology
from molft.train.objectives.augment import WAYS, alter, ranks, some
from molft.train.objectives.structure import spanning_forest
from tests.series import block_of, pyridines
from tests.tiny import METHANE, NOTHING, batch_of, random_batch


def altered(batch: Batch, way: str, seed: int = 0) -> Batch:
    return alter(batch, SNAP.mask_atom, torch.Generator().manual_seed(seed), [way])


@pytest.fixture(scope="module")
def molecules() -> Batch:
    return make_batch(block_of(pyridines(60)).graphs)


def sizes(batch: Batch) -> torch.Tensor:
    return torch.bincount(batch.graph, minlength=batch.size)


def bonds_of(batch: Batch) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in batch.edge_index.T}


@pytest.mark.parametrize("way", ["drop", "subgraph"])
def test_a_fifth_of_the_atoms_goes(way: str, molecules: Batch) -> None:
    before = sizes(molecules)
    assert torch.equal(sizes(altered(molecules, way)), before - (0.2 * before).long())


def test_what_is_left_of_a_subgraph_is_connected(molecules: Batch) -> None:
    depth, parent = spanning_forest(altered(molecules, "subgraph"))
    assert int((parent == torch.arange(len(parent))).sum()) == molecules.size  # one root each
    assert depth.max() < 20


def test_a_fifth_of_the_atoms_is_masked_and_nothing_else_changes(molecules: Batch) -> None:
    view = altered(molecules, "mask")
    masked = (view.atoms == torch.tensor(SNAP.mask_atom)).all(dim=1)
    assert torch.equal(torch.bincount(view.graph[masked], minlength=60), (0.2 * sizes(molecules)).long())
    assert torch.equal(view.atoms[~masked], molecules.atoms[~masked])
    assert torch.equal(view.edge_index, molecules.edge_index) and torch.equal(view.bonds, molecules.bonds)


def test_a_fifth_of_the_bonds_moves_inside_its_molecule(molecules: Batch) -> None:
    view = altered(molecules, "rewire")
    assert torch.equal(view.atoms, molecules.atoms)
    assert torch.equal(view.graph[view.edge_index[0]], view.graph[view.edge_index[1]])
    owners = molecules.graph[molecules.edge_index[0, ::2]]
    moved = (0.2 * torch.bincount(owners)).long()
    lost = bonds_of(molecules) - bonds_of(view)
    gone = torch.bincount(molecules.graph[torch.tensor([a for a, _ in sorted(lost)])], minlength=60)
    assert torch.equal(gone, 2 * moved)  # both directions
    assert bonds_of(view) - bonds_of(molecules)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("way", WAYS)
def test_every_view_is_a_sound_batch(way: str, seed: int) -> None:
    view = altered(random_batch(seed), way, seed)
    build_topology(view, SNAP.bond_sizes, SNAP.loop_bond)  # bonds in pairs, with equal codes
    pairs = [tuple(pair) for pair in view.edge_index.T.tolist()]
    assert len(set(pairs)) == len(pairs)
    assert all(a != b for a, b in pairs)


@pytest.mark.parametrize("way", WAYS)
def test_tiny_molecules_stay(way: str) -> None:
    view = altered(batch_of(METHANE, NOTHING, METHANE), way)
    assert (view.size, view.graph.tolist(), view.atoms.tolist()) == (3, [0, 2], [[5, 0], [5, 0]])


def test_all_ways_are_drawn_and_the_batch_is_left_alone(molecules: Batch) -> None:
    before = [tensor.clone() for tensor in molecules[:4]]
    view = alter(molecules, SNAP.mask_atom, torch.Generator().manual_seed(0))
    assert all(torch.equal(a, b) for a, b in zip(molecules[:4], before, strict=True))
    smaller = sizes(view) < sizes(molecules)
    masked = torch.zeros(60, dtype=torch.bool)
    masked[view.graph[(view.atoms[:, 0] == 119)]] = True
    assert 15 < int(smaller.sum()) < 45 and 5 < int(masked.sum()) < 25
    assert not (smaller & masked).any()


def test_ranks_are_counted_in_each_group() -> None:
    values = torch.tensor([0.3, 0.1, 0.2, 5.0, 4.0])
    assert ranks(values, torch.tensor([0, 0, 0, 2, 2]), 3).tolist() == [2, 0, 1, 1, 0]


@pytest.mark.parametrize(("count", "chosen"), [(0, 0), (1, 0), (4, 0), (5, 1), (14, 2), (15, 3)])
def test_a_fifth_is_rounded_down(count: int, chosen: int) -> None:
    assert int(some(torch.zeros(count, dtype=torch.int64), 1, torch.Generator()).sum()) == chosen


def test_an_unknown_way_is_refused(molecules: Batch) -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        altered(molecules, "crop")
