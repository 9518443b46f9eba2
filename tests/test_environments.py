"""Environments of small molecules, and states that don't change when they are computed once."""

import copy
from collections.abc import Callable

import pytest
import torch

from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder
from molft.model.environments import (
    Environments,
    colour_rows,
    group_atoms,
    group_by_sorting,
    reduce_topology,
    refine,
    scramble,
)
from molft.model.topology import Topology, aggregate, build_topology
from tests.tiny import CYCLOPROPENE, ETHANOL, METHANE, NOTHING, Molecule, batch_of, random_batch

HEXANE: Molecule = ([5] * 6, [(i, i + 1, 0) for i in range(5)])
CYCLOHEXANE: Molecule = ([5] * 6, [(i, (i + 1) % 6, 0) for i in range(6)])
BENZENE: Molecule = ([5] * 6, [(i, (i + 1) % 6, 3) for i in range(6)])


def groups_by_layer(layers: int, *molecules: Molecule) -> list[list[int]]:
    """Environment of each atom after 0, 1, ... bonds, numbered by first appearance."""
    batch = batch_of(*molecules)
    topology = build_topology(batch, (6, 3), (4, 0))
    colours, bonds = colour_rows(batch.atoms + torch.tensor([0, 120])), colour_rows(topology.rows)
    out = []
    for _ in range(layers + 1):
        seen: dict[int, int] = {}
        out.append([seen.setdefault(c, len(seen)) for c in colours.tolist()])
        colours = refine(colours, bonds, topology)
    return out


def test_carbons_of_hexane_differ_by_their_distance_from_the_end() -> None:
    assert groups_by_layer(3, HEXANE) == [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0],
        [0, 1, 2, 2, 1, 0],
        [0, 1, 2, 2, 1, 0],
    ]


def test_bond_codes_and_elements_tell_atoms_apart() -> None:
    assert groups_by_layer(1, BENZENE, CYCLOHEXANE)[1] == [0] * 6 + [1] * 6
    assert groups_by_layer(1, ETHANOL) == [[0, 0, 1], [0, 1, 2]]
    assert groups_by_layer(1, CYCLOPROPENE)[1] == [0, 0, 1]


def test_equal_molecules_share_everything_wherever_they_stand() -> None:
    assert groups_by_layer(4, ETHANOL, METHANE, ETHANOL)[4] == [0, 1, 2, 3, 0, 1, 2]


def test_rings_of_different_size_are_one_environment_as_for_the_network() -> None:
    ring = ([5] * 5, [(i, (i + 1) % 5, 0) for i in range(5)])
    assert groups_by_layer(5, ring, CYCLOHEXANE)[5] == [0] * 11


@pytest.mark.parametrize("group", [group_atoms, group_by_sorting])
def test_the_first_atom_stands_for_its_group(group: Callable[[torch.Tensor], Environments]) -> None:
    groups = group(torch.tensor([7, -3, 7, 7, -3]))
    assert groups.members.tolist() == [0, 1, 0, 0, 1]
    assert groups.atoms.tolist() == [0, 1]
    assert groups.counts.tolist() == [3, 2]
    assert groups.expand(torch.tensor([[1.0], [2.0]])).flatten().tolist() == [1, 2, 1, 1, 2]


@pytest.mark.parametrize("group", [group_atoms, group_by_sorting])
def test_no_atom_makes_no_group(group: Callable[[torch.Tensor], Environments]) -> None:
    groups = group(torch.zeros(0, dtype=torch.int64))
    assert (len(groups.members), len(groups.atoms), len(groups.counts)) == (0, 0, 0)


def test_sorting_groups_as_the_table_does() -> None:
    colours = torch.randint(-20, 20, (300,), generator=torch.Generator().manual_seed(0))
    for ours, other in zip(
        vars(group_atoms(colours)).values(), vars(group_by_sorting(colours)).values(), strict=True
    ):
        assert torch.equal(ours, other)


def test_scrambling_loses_nothing_and_spreads_bits() -> None:
    numbers = scramble(torch.arange(100_000))
    assert len(numbers.unique()) == 100_000
    assert abs(float((numbers & 1).double().mean()) - 0.5) < 0.01


def reduced(batch_seed: int) -> tuple[Topology, Topology, torch.Tensor, torch.Tensor]:
    """Whole and reduced topology of the second layer, and the groups on both sides."""
    batch = random_batch(batch_seed)
    topology = build_topology(batch, (6, 3), (4, 0), torch.float64)
    colours, bonds = torch.zeros(len(batch.atoms), dtype=torch.int64), torch.zeros_like(topology.receivers)
    before = group_atoms(refine(colours, bonds, topology))
    after = group_atoms(refine(refine(colours, bonds, topology), bonds, topology))
    return topology, reduce_topology(topology, before, after), before, after


def test_reduced_lists_give_the_whole_product() -> None:
    topology, small, before, after = reduced(2)
    assert len(before.atoms) < len(after.atoms) < topology.atoms
    states = torch.randn(len(before.atoms), 5, dtype=torch.float64)
    table = torch.zeros(9, 5, dtype=torch.float64)
    whole = aggregate(before.expand(states), table, topology)
    torch.testing.assert_close(after.expand(aggregate(states, table, small)), whole)


def test_gradients_of_the_reduced_product_are_right() -> None:
    _, small, before, _ = reduced(3)
    states = torch.randn(len(before.atoms), 2, dtype=torch.float64, requires_grad=True)
    table = torch.randn(9, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda h, t: aggregate(h, t, small), (states, table))


@pytest.mark.parametrize("conv", ["gin", "graphsage"])
@pytest.mark.parametrize("jk", ["last", "sum"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("training", [True, False])
def test_sharing_changes_no_state_gradient_or_statistic(
    conv: str, jk: str, dropout: float, training: bool
) -> None:
    torch.manual_seed(0)
    batch = batch_of(HEXANE, ETHANOL, NOTHING, BENZENE, CYCLOHEXANE, METHANE, ETHANOL, CYCLOPROPENE, HEXANE)
    shared = (
        Encoder(EncoderConfig(conv=conv, jk=jk, layers=3, width=8, dropout=dropout)).double().train(training)
    )
    plain = copy.deepcopy(shared)
    plain.sharing = False
    results = []
    for encoder in (shared, plain):
        torch.manual_seed(1)
        out = encoder(batch)
        (out * torch.randn_like(out)).sum().backward()
        results.append(out)
    torch.testing.assert_close(results[0], results[1], rtol=1e-7, atol=1e-8)
    for (name, ours), theirs in zip(shared.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(
            ours.grad, theirs.grad, rtol=1e-5, atol=1e-6, msg=lambda t, n=name: f"{n}: {t}"
        )
    for (name, ours), theirs in zip(shared.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=lambda t, n=name: f"{n}: {t}")


def test_masked_atoms_are_environments_of_their_own() -> None:
    encoder = Encoder(EncoderConfig(layers=2, width=8)).eval()
    batch = batch_of(HEXANE, HEXANE)
    atoms = batch.atoms.clone()
    atoms[0] = torch.tensor([119, 0])
    topology = encoder.topology(batch)
    masked = encoder(batch._replace(atoms=atoms), topology)
    assert not torch.allclose(masked[0], masked[6])
    torch.testing.assert_close(masked[3:6], masked[9:12])
    encoder.sharing = False
    torch.testing.assert_close(encoder(batch._replace(atoms=atoms), topology), masked)
