"""Neighbour lists and counts of molecules that fit on a napkin."""

import pytest
import torch

from molft.errors import MolftError
from molft.model.topology import aggregate, build_topology
from tests.tiny import CYCLOPROPENE, ETHANOL, METHANE, NOTHING, batch_of, random_batch


def test_neighbours_of_ethanol() -> None:
    topology = build_topology(batch_of(ETHANOL), (6, 3), (4, 0))
    assert topology.neighbours.tolist() == [1, 0, 0, 2, 1, 1, 2]
    assert topology.receivers.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert topology.starts.tolist() == [0, 2, 5]
    assert topology.degrees.tolist() == [2, 3, 2]


def test_bond_counts_of_cyclopropene_beside_methane() -> None:
    counts = build_topology(batch_of(METHANE, CYCLOPROPENE), (6, 3), (4, 0)).counts
    # single, double, triple, aromatic, self-loop, mask | no direction, up, down
    assert counts.tolist() == [
        [0, 0, 0, 0, 1, 0, 1, 0, 0],
        [1, 1, 0, 0, 1, 0, 3, 0, 0],
        [1, 1, 0, 0, 1, 0, 3, 0, 0],
        [2, 0, 0, 0, 1, 0, 3, 0, 0],
    ]


@pytest.mark.parametrize("normed", [False, True])
def test_aggregate_is_the_dense_product(normed: bool) -> None:
    batch = random_batch(seed=3)
    topology = build_topology(batch, (6, 3), (4, 0), torch.float64)
    n = len(batch.atoms)
    dense = torch.eye(n, dtype=torch.float64)
    dense[batch.edge_index[0], batch.edge_index[1]] = 1.0
    if normed:
        root = dense.sum(dim=1).rsqrt()
        dense = root[:, None] * dense * root
    states = torch.randn(n, 5, dtype=torch.float64)
    out = aggregate(states, torch.zeros(9, 5, dtype=torch.float64), topology, normed)
    torch.testing.assert_close(out, dense @ states)


def test_gradients_of_aggregate_are_right() -> None:
    topology = build_topology(batch_of(ETHANOL, CYCLOPROPENE), (6, 3), (4, 0), torch.float64)
    states = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    table = torch.randn(9, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda h, t: aggregate(h, t, topology), (states, table))
    assert torch.autograd.gradcheck(lambda h, t: aggregate(h, t, topology, normed=True), (states, table))


@pytest.mark.parametrize("molecules", [(), (NOTHING, NOTHING)])
def test_a_batch_without_atoms_has_an_empty_topology(molecules: tuple[()]) -> None:
    topology = build_topology(batch_of(*molecules), (6, 3), (4, 0))
    assert topology.atoms == 0
    assert aggregate(torch.zeros(0, 4), torch.ones(9, 4), topology).shape == (0, 4)


def test_a_bond_in_one_direction_only_is_refused() -> None:
    batch = batch_of(ETHANOL)
    half = batch._replace(edge_index=batch.edge_index[:, ::2], bonds=batch.bonds[::2])
    with pytest.raises(MolftError, match="columns 2b and 2b\\+1 of edge_index"):
        build_topology(half, (6, 3), (4, 0))


def test_directions_with_different_codes_are_refused() -> None:
    batch = batch_of(ETHANOL)
    bonds = batch.bonds.clone()
    bonds[0, 0] = 5
    with pytest.raises(MolftError, match="equal bond codes"):
        build_topology(batch._replace(bonds=bonds), (6, 3), (4, 0))


def test_an_odd_number_of_directed_bonds_is_refused() -> None:
    batch = batch_of(ETHANOL)
    with pytest.raises(MolftError, match="two directions"):
        build_topology(
            batch._replace(edge_index=batch.edge_index[:, :3], bonds=batch.bonds[:3]), (6, 3), (4, 0)
        )
