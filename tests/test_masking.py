"""Attribute masking: how many atoms, which ones, and what is asked about them."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from molft.chem.features import OGB, SNAP
from molft.data.batch import make_batch
from molft.train.objectives.masking import MaskedAtoms, choose_atoms
from tests.series import block_of, pyridines


def molecules_of(sizes: list[int]) -> Tensor:
    """The molecule of each atom."""
    return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))


def choose(sizes: list[int], seed: int = 0, chosen: list[bool] | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    part = None if chosen is None else torch.tensor(chosen)
    return choose_atoms(molecules_of(sizes), len(sizes), generator, part)


@pytest.mark.parametrize(
    ("atoms", "hidden"), [(0, 0), (1, 1), (6, 1), (7, 2), (13, 2), (14, 3), (20, 4), (26, 4), (27, 5)]
)
def test_how_many_atoms_of_a_molecule_are_hidden(atoms: int, hidden: int) -> None:
    assert len(choose([atoms])) == hidden


def test_the_count_is_the_published_formula_for_every_size() -> None:
    """Against ``int(num_atoms * mask_rate + 1)`` in Python's double precision; 500 atoms are the limit."""
    sizes = list(range(1, 501))
    hidden = molecules_of(sizes)[choose(sizes)]
    counts = torch.bincount(hidden, minlength=len(sizes)).tolist()
    assert counts == [min(n, int(n * 0.15 + 1)) for n in sizes]


@pytest.mark.parametrize("seed", range(5))
def test_no_atom_is_hidden_twice(seed: int) -> None:
    hidden = choose([9, 0, 1, 30, 2], seed)
    assert hidden.tolist() == sorted(set(hidden.tolist()))
    assert torch.bincount(molecules_of([9, 0, 1, 30, 2])[hidden], minlength=5).tolist() == [2, 0, 1, 5, 1]


def test_every_atom_is_hidden_as_often_as_the_others() -> None:
    copies = 4000
    hidden = choose([20] * copies)  # 4 of 20 atoms in each of 4,000 molecules
    often = torch.bincount(hidden % 20, minlength=20).numpy()
    expected, spread = copies * 0.2, math.sqrt(copies * 0.2 * 0.8)
    assert np.abs(often - expected).max() < 4.5 * spread


def test_pairs_of_atoms_are_drawn_without_preference() -> None:
    copies = 6000
    pairs = choose([8] * copies).view(copies, 2) % 8  # two of eight atoms: 28 equally likely pairs
    code = pairs[:, 0] * 8 + pairs[:, 1]
    often = torch.bincount(code, minlength=64)
    assert int((often > 0).sum()) == 28
    expected = copies / 28
    assert (
        float(((often[often > 0] - expected) ** 2 / expected).sum()) < 60
    )  # chi-squared, 27 d.o.f.: p < 3e-4


def test_the_same_generator_hides_the_same_atoms() -> None:
    assert torch.equal(choose([30, 12], seed=4), choose([30, 12], seed=4))
    assert not torch.equal(choose([30, 12], seed=4), choose([30, 12], seed=5))


@pytest.mark.parametrize(
    ("chosen", "counts"),
    [([True, False, True], [1, 0, 3]), ([False] * 3, [0, 0, 0]), ([True] * 3, [1, 2, 3])],
)
def test_only_molecules_that_take_part_are_masked(chosen: list[bool], counts: list[int]) -> None:
    sizes = [5, 7, 14]
    hidden = choose(sizes, chosen=chosen)
    assert torch.bincount(molecules_of(sizes)[hidden], minlength=3).tolist() == counts


def test_hiding_changes_a_copy() -> None:
    """The original code wrote into the stored molecules, so that masks added up from epoch to epoch."""
    atoms = torch.tensor([[5, 0], [7, 1], [6, 2]])
    hidden = MaskedAtoms(4, SNAP.atom_sizes, SNAP.mask_atom).hide(atoms, torch.tensor([1]))
    assert hidden.tolist() == [[5, 0], [119, 0], [6, 2]]
    assert atoms.tolist() == [[5, 0], [7, 1], [6, 2]]


def test_hiding_the_atoms_of_a_batch_leaves_the_graphs_as_they_were() -> None:
    graphs = block_of(pyridines(5)).graphs
    before = graphs.atoms.copy()
    batch = make_batch(graphs)
    MaskedAtoms(4, SNAP.atom_sizes, SNAP.mask_atom).hide(batch.atoms, torch.arange(len(batch.atoms)))
    assert np.array_equal(graphs.atoms, before)
    assert np.array_equal(batch.atoms.numpy(), before)


@pytest.mark.parametrize("scheme", [SNAP, OGB])
def test_the_mask_code_is_in_the_tables_and_no_molecule_has_it(scheme: object) -> None:
    atoms = block_of(pyridines(), scheme.name).graphs.atoms
    assert all(0 <= code < size for code, size in zip(scheme.mask_atom, scheme.atom_sizes, strict=True))
    assert not (atoms == np.array(scheme.mask_atom)).all(axis=1).any()


def test_snap_asks_for_the_atomic_number_alone() -> None:
    torch.manual_seed(0)
    model = MaskedAtoms(4, SNAP.atom_sizes, SNAP.mask_atom)
    states, atoms = torch.randn(3, 4), torch.tensor([[5, 0], [7, 1], [6, 2]])
    loss, right = model(states, atoms)
    logits = model.head(states)
    assert logits.shape == (3, 120)
    torch.testing.assert_close(loss, F.cross_entropy(logits, torch.tensor([5, 7, 6])))
    assert float(right) == pytest.approx(float((logits.argmax(1) == torch.tensor([5, 7, 6])).float().mean()))


def test_a_richer_scheme_asks_for_every_column() -> None:
    torch.manual_seed(0)
    model = MaskedAtoms(4, OGB.atom_sizes, OGB.mask_atom)
    states = torch.randn(2, 4)
    atoms = torch.tensor([[5, 0, 4, 5, 3, 0, 2, 0, 0], [7, 0, 2, 5, 1, 0, 2, 0, 1]])
    loss, _ = model(states, atoms)
    logits = model.head(states)
    assert logits.shape == (2, sum(OGB.atom_sizes))
    start, parts = 0, []
    for column, size in enumerate(OGB.atom_sizes):
        parts.append(F.cross_entropy(logits[:, start : start + size], atoms[:, column]))
        start += size
    torch.testing.assert_close(loss, torch.stack(parts).mean())


def test_a_sure_and_right_answer_costs_nothing() -> None:
    model = MaskedAtoms(120, SNAP.atom_sizes, SNAP.mask_atom)
    with torch.no_grad():
        model.head.weight.copy_(100 * torch.eye(120))
        model.head.bias.zero_()
    atoms = torch.tensor([[5, 0], [7, 0], [16, 0]])
    loss, right = model(F.one_hot(atoms[:, 0], 120).float(), atoms)
    assert (loss.item(), right.item()) == (0.0, 1.0)
    loss, right = model(F.one_hot(torch.tensor([5, 7, 8]), 120).float(), atoms)
    assert loss.item() == pytest.approx(100 / 3)
    assert right.item() == pytest.approx(2 / 3)


@pytest.mark.parametrize("code", [120, 200, -1])
def test_a_code_outside_the_table_is_refused(code: int) -> None:
    model = MaskedAtoms(4, SNAP.atom_sizes, SNAP.mask_atom)
    with pytest.raises(IndexError, match="out of bounds"):
        model(torch.randn(1, 4), torch.tensor([[code, 0]]))


def test_the_mask_code_is_not_written_with_the_weights() -> None:
    model = MaskedAtoms(4, SNAP.atom_sizes, SNAP.mask_atom)
    assert set(model.state_dict()) == {"head.weight", "head.bias"}
