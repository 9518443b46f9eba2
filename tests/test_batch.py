"""Batches of three molecules against literal tensors, and to torch-geometric and back."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch_geometric.data import Data

from molft.chem.features import OGB, SNAP, featurize
from molft.chem.graphs import Graphs
from molft.chem.prepare import Recipe, prepare
from molft.data.batch import from_pyg, make_batch, to_pyg, to_pyg_batch
from molft.errors import MolftError
from tests.packed import assert_same, read

# Ethanol, methane, acetaldehyde.
THREE = featurize(read("CCO", "C", "CC=O"), SNAP)[0]
NOTHING = Graphs(
    *(getattr(Graphs.empty(2, 2), n) for n in ("atoms", "bonds", "ends")), *[np.zeros(2, np.int64)] * 2
)


def test_a_batch_is_one_graph_with_both_directions_of_every_bond_side_by_side() -> None:
    batch = make_batch(THREE)
    assert batch.atoms.tolist() == [[5, 0], [5, 0], [7, 0], [5, 0], [5, 0], [5, 0], [7, 0]]
    assert batch.edge_index.tolist() == [[0, 1, 1, 2, 4, 5, 5, 6], [1, 0, 2, 1, 5, 4, 6, 5]]
    assert batch.bonds.tolist() == [[0, 0]] * 6 + [[1, 0]] * 2
    assert batch.graph.tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert batch.size == 3
    assert {t.dtype for t in batch[:4]} == {torch.int64}


def test_a_molecule_without_bonds_has_empty_int64_edges() -> None:
    batch = make_batch(THREE.take([1]))
    assert (batch.edge_index.shape, batch.bonds.shape) == ((2, 0), (0, 2))
    assert batch.edge_index.dtype == batch.bonds.dtype == torch.int64


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_an_empty_molecule_counts_wherever_it_stands(place: int) -> None:
    parts = [THREE.take([i]) for i in range(3)]
    batch = make_batch(Graphs.concatenate([*parts[:place], NOTHING, *parts[place:]]))
    atoms = torch.bincount(batch.graph, minlength=batch.size)
    expected = [3, 1, 3]
    expected.insert(place, 0)
    assert (atoms.tolist(), batch.size) == (expected, 4)
    assert batch.edge_index.tolist() == make_batch(THREE).edge_index.tolist()


def test_no_molecule_is_a_batch_of_size_0() -> None:
    batch = make_batch(Graphs.empty(9, 3))
    assert batch.size == 0
    assert [tuple(t.shape) for t in batch[:4]] == [(0, 9), (0, 3), (2, 0), (0,)]


def test_the_batch_owns_its_memory() -> None:
    # SNAP's transforms wrote masks into the stored data set; here they can't.
    graphs = THREE.take([0, 1, 2])
    for tensor in make_batch(graphs)[:4]:
        tensor.fill_(1)
    assert_same(graphs, THREE)


def test_to_moves_every_tensor() -> None:
    moved = make_batch(THREE).to("meta")
    assert {t.device.type for t in moved[:4]} == {"meta"}
    assert moved.size == 3


def test_to_pyg_gives_data_of_each_molecule_alone() -> None:
    molecules = to_pyg(THREE)
    assert molecules[2].x.tolist() == [[5, 0], [5, 0], [7, 0]]
    assert molecules[2].edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert molecules[2].edge_attr.tolist() == [[0, 0], [0, 0], [1, 0], [1, 0]]
    assert [data.num_nodes for data in molecules] == [3, 1, 3]
    assert all(data.validate() for data in molecules)


def test_a_pyg_batch_equals_ours() -> None:
    ours, theirs = make_batch(THREE), to_pyg_batch(THREE)
    assert torch.equal(theirs.x, ours.atoms)
    assert torch.equal(theirs.edge_index, ours.edge_index)
    assert torch.equal(theirs.edge_attr, ours.bonds)
    assert torch.equal(theirs.batch, ours.graph)
    assert theirs.num_graphs == ours.size


@pytest.mark.parametrize("graphs", [THREE, NOTHING, Graphs.concatenate([THREE, NOTHING, THREE])])
def test_from_pyg_undoes_to_pyg(graphs: Graphs) -> None:
    assert_same(from_pyg(to_pyg(graphs)), graphs)


@pytest.mark.parametrize("scheme", [SNAP, OGB], ids=lambda scheme: scheme.name)
def test_real_molecules_go_to_pyg_and_back(scheme, real_data: Path) -> None:  # noqa: ANN001
    smiles = pd.read_csv(real_data / "moleculenet" / "sider.csv.gz")["smiles"].tolist()[::5]
    graphs = prepare(smiles, Recipe(scheme=scheme.name, standardize=False)).graphs
    assert_same(from_pyg(to_pyg(graphs)), graphs)
    batch = make_batch(graphs)
    assert torch.equal(batch.edge_index[:, ::2], batch.edge_index[:, 1::2].flip(0))
    assert torch.equal(batch.bonds[::2], batch.bonds[1::2])
    assert torch.equal(batch.graph[batch.edge_index[0]], batch.graph[batch.edge_index[1]])


def ethanol(**changes: object) -> Data:
    """Ethanol as a Data object, with something else in place of one of its tensors."""
    data = to_pyg(THREE)[0]
    for name, value in changes.items():
        data[name] = value
    return data


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": None}, "Data 1 has no x; x, edge_index and edge_attr are needed"),
        ({"edge_attr": None}, "Data 1 has no edge_attr"),
        ({"x": torch.zeros(3, 2)}, "Data 1: x must hold integer codes from 0 to 254, got torch.float32"),
        ({"x": torch.full((3, 2), 255)}, "Data 1: x must hold integer codes from 0 to 254"),
        ({"x": torch.full((3, 2), -1)}, "Data 1: x must hold integer codes from 0 to 254"),
        (
            {"x": torch.zeros(3, 9, dtype=torch.int64)},
            r"Data 1: x has shape \(3, 9\), Data 0 has rows of .*2",
        ),
        ({"edge_attr": torch.zeros(4, dtype=torch.int64)}, r"Data 1: edge_attr has shape \(4,\)"),
        ({"edge_index": torch.tensor([[0, 1, 1, 2], [1, 2, 0, 1]])}, "Data 1: edges must come in pairs"),
        ({"edge_index": torch.tensor([[0, 1, 1], [1, 0, 2]])}, "Data 1: edges must come in pairs"),
        ({"edge_attr": torch.zeros(2, 2, dtype=torch.int64)}, "Data 1: edges must come in pairs"),
        ({"edge_attr": torch.tensor([[0, 0], [1, 0], [0, 0], [0, 0]])}, "Data 1: .* with equal features"),
        (
            {"edge_index": torch.tensor([[0, 3, 1, 2], [3, 0, 2, 1]])},
            "Data 1: edges end at atoms 0 to 3 of 3",
        ),
        (
            {"edge_index": torch.tensor([[0, -1, 1, 2], [-1, 0, 2, 1]])},
            "Data 1: edges end at atoms -1 to 2 of 3",
        ),
    ],
)
def test_data_that_is_no_packed_molecule_is_refused_by_name(changes: dict, message: str) -> None:
    with pytest.raises(MolftError, match=message):
        from_pyg([ethanol(), ethanol(**changes)])


def test_nothing_to_convert_is_an_error() -> None:
    with pytest.raises(MolftError, match="no Data object given"):
        from_pyg([])
