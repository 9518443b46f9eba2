"""Joined codes: fewer bytes, the same molecules."""

from dataclasses import replace

import numpy as np
import pytest

from molft.chem.features import OGB, SNAP, Scheme
from molft.chem.graphs import Graphs
from molft.chem.prepare import Recipe, prepare
from molft.data.compact import compact, expand
from molft.errors import MolftError
from tests.packed import assert_same

SMILES = ["CCO", "C", "c1ccccc1[N+](=O)[O-]", "C[C@H](F)Cl", "[Na+].[Cl-]", "F/C=C/F", "[13CH3][Se]C"]


@pytest.mark.parametrize(("scheme", "atom_bytes"), [(SNAP, 2), (OGB, 4)])
def test_molecules_come_back_from_fewer_bytes(scheme: Scheme, atom_bytes: int) -> None:
    graphs = prepare(SMILES, Recipe(scheme=scheme.name, standardize=False)).graphs
    small = compact(graphs, scheme)
    assert small.atoms.shape[1] == atom_bytes and small.bonds.shape[1] == 1
    assert small.ends.dtype == np.uint8
    assert_same(expand(small, scheme), graphs)


@pytest.mark.parametrize("scheme", [SNAP, OGB])
def test_the_largest_and_smallest_codes_come_back(scheme: Scheme) -> None:
    atoms = np.array([[size - 1 for size in scheme.atom_sizes], [0] * len(scheme.atom_sizes)], np.uint8)
    bonds = np.array([[size - 1 for size in scheme.bond_sizes]], np.uint8)
    graphs = Graphs(atoms, bonds, np.array([[1, 0]], np.uint16), np.array([0, 2]), np.array([0, 1]))
    assert_same(expand(compact(graphs, scheme), scheme), graphs)


@pytest.mark.parametrize("scheme", [SNAP, OGB])
def test_no_molecule_stays_none(scheme: Scheme) -> None:
    empty = Graphs.empty(len(scheme.atom_sizes), len(scheme.bond_sizes))
    assert_same(expand(compact(empty, scheme), scheme), empty)


def test_ethanol_by_hand() -> None:
    graphs = prepare(["CCO"], Recipe(scheme="snap")).graphs
    # Carbon 5 and oxygen 7, chirality 0 of 3: 15, 15, 21; single bonds without direction: 0.
    small = compact(graphs, SNAP)
    assert small.atoms.tolist() == [[15, 0], [15, 0], [21, 0]]
    assert small.bonds.tolist() == [[0], [0]]


def test_a_molecule_of_more_than_256_atoms_is_refused() -> None:
    graphs = prepare(["C" * 257], Recipe(scheme="snap")).graphs
    with pytest.raises(MolftError, match="more than 256 atoms"):
        compact(graphs, SNAP)
    assert len(compact(prepare(["C" * 256], Recipe(scheme="snap")).graphs, SNAP)) == 1


def test_codes_of_another_scheme_are_refused() -> None:
    graphs = prepare(["CCO"], Recipe(scheme="snap")).graphs
    with pytest.raises(MolftError, match="another feature scheme"):
        compact(graphs, OGB)
    with pytest.raises(MolftError, match="do not fit"):
        compact(replace(graphs, atoms=np.full((3, 2), 200, np.uint8)), SNAP)
