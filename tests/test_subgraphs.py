"""Distances, roots and induced graphs on a batch, against RDKit and by hand."""

import numpy as np
import pytest
import torch
from rdkit import Chem

from molft.chem.prepare import Recipe, prepare
from molft.data.batch import make_batch
from molft.train.objectives.subgraphs import FAR, distances, draw_roots, induce
from tests.packed import read
from tests.series import pyridines
from tests.tiny import CYCLOPROPENE, ETHANOL, METHANE, NOTHING, batch_of


def test_distances_in_ethanol_cyclopropene_and_methane() -> None:
    batch = batch_of(ETHANOL, CYCLOPROPENE, METHANE)
    assert distances(batch.edge_index, 7, torch.tensor([0, 4])).tolist() == [0, 1, 2, 1, 0, 1, FAR]


@pytest.mark.parametrize(("limit", "expected"), [(0, [0, FAR, FAR]), (1, [0, 1, FAR]), (9, [0, 1, 2])])
def test_a_limit_ends_the_sweep(limit: int, expected: list[int]) -> None:
    assert distances(batch_of(ETHANOL).edge_index, 3, torch.tensor([0]), limit).tolist() == expected


def test_no_root_leaves_all_atoms_far_away() -> None:
    assert (
        distances(batch_of(ETHANOL).edge_index, 3, torch.tensor([], dtype=torch.int64)).tolist() == [FAR] * 3
    )


def test_distances_are_those_of_rdkit() -> None:
    smiles = [*pyridines(60), "C1CC1CCCCCC2CCC2.CC", "CCO"]
    batch = make_batch(prepare(smiles, Recipe(scheme="snap", standardize=False)).graphs)
    roots = draw_roots(batch.graph, batch.size, torch.Generator().manual_seed(0))
    found = distances(batch.edge_index, len(batch.atoms), roots)
    for row, mol in enumerate(read(*smiles)):
        atoms = (batch.graph == row).nonzero().squeeze(1)
        matrix = Chem.GetDistanceMatrix(mol)[int(roots[row] - atoms[0])]
        expected = np.where(matrix > 1e6, FAR, matrix).astype(int).tolist()  # RDKit says 1e8 for "no path"
        assert found[atoms].tolist() == expected


def test_every_atom_is_a_root_as_often_as_the_others_and_empty_molecules_have_none() -> None:
    graph = torch.arange(4000).repeat_interleave(3)
    roots = draw_roots(graph, 4001, torch.Generator().manual_seed(0))
    assert graph[roots].tolist() == list(range(4000))
    often = torch.bincount(roots % 3)
    assert float((often - 4000 / 3).abs().max()) < 4.5 * (4000 * 2 / 9) ** 0.5


def test_an_induced_graph_keeps_its_bonds_in_pairs_and_its_molecules_in_place() -> None:
    batch = batch_of(ETHANOL, NOTHING, CYCLOPROPENE)
    part = induce(batch, torch.tensor([False, True, True, True, True, False]))
    assert part.atoms[:, 0].tolist() == [5, 7, 5, 5]
    assert part.edge_index.tolist() == [[0, 1, 2, 3], [1, 0, 3, 2]]
    assert part.bonds[:, 0].tolist() == [0, 0, 1, 1]
    assert (part.graph.tolist(), part.size) == ([0, 0, 2, 2], 3)


def test_a_choice_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(IndexError):
        induce(batch_of(ETHANOL), torch.tensor([True, False]))
