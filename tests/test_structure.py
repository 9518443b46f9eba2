"""Structural properties: degree, ring membership and clustering against RDKit, networkx-free and by hand."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from molft.chem.prepare import Recipe, prepare
from molft.chem.smiles import parse
from molft.data.batch import Batch, make_batch
from molft.data.formats import read_table
from molft.train.objectives.structure import (
    StructuralProperties,
    clustering,
    degrees,
    in_ring,
    spanning_forest,
)
from tests.series import pyridines
from tests.tiny import CYCLOPROPENE, ETHANOL, METHANE, NOTHING, batch_of

# Rings in chains of rings, fused, bridged, spiro, cages, fragments, and none.
RINGS = [
    "C1CC1CCC2CC2", "c1ccc2ccccc2c1", "C1CC2CCC1C2", "C1CCC2(CC1)CCCC2", "C12C3C4C1C5C2C3C45",
    "CCO.C1CC1.[Na+]", "CC(C)(C)C", "C", "C1CCCCCCCCCCCCCCC1CC", "C1CC1C1CC1",
]  # fmt: skip


def batch_from(smiles: list[str]) -> Batch:
    return make_batch(prepare(smiles, Recipe(scheme="snap", standardize=False)).graphs)


def check_rings(smiles: list[str]) -> None:
    """Ring membership, degree and triangles as RDKit sees them."""
    batch = batch_from(smiles)
    atoms = [atom for text in smiles for atom in parse(text).GetAtoms()]
    assert in_ring(batch).tolist() == [atom.IsInRing() for atom in atoms]
    assert degrees(batch).tolist() == [atom.GetDegree() for atom in atoms]
    share = [triangles(atom) / max(atom.GetDegree() * (atom.GetDegree() - 1) / 2, 1) for atom in atoms]
    torch.testing.assert_close(clustering(batch), torch.tensor(share))


def triangles(atom: object) -> int:
    """Pairs of neighbours that are bonded."""
    near = [n.GetIdx() for n in atom.GetNeighbors()]
    mol = atom.GetOwningMol()
    return sum(mol.GetBondBetweenAtoms(a, b) is not None for a in near for b in near if a < b)


def test_rings_of_all_kinds() -> None:
    check_rings(RINGS)


@pytest.mark.parametrize("smiles", RINGS)
def test_a_molecule_alone(smiles: str) -> None:
    check_rings([smiles])


def test_real_molecules(real_data: Path) -> None:
    smiles = read_table(real_data / "moleculenet" / "sider.csv.gz")["smiles"].tolist()
    check_rings(smiles[:300])


def test_depth_and_parent_of_two_fragments() -> None:
    batch = batch_of(([5] * 5, [(0, 1, 0), (1, 2, 0), (3, 4, 0)]), NOTHING, METHANE)
    depth, parent = spanning_forest(batch)
    assert depth.tolist() == [0, 1, 2, 0, 1, 0]
    assert parent.tolist() == [0, 0, 1, 3, 3, 5]


def test_the_loss_on_three_molecules() -> None:
    batch = batch_of(ETHANOL, CYCLOPROPENE, METHANE)
    torch.manual_seed(0)
    model = StructuralProperties(4)
    states = torch.randn(7, 4)
    loss, right = model(states, batch)
    out = model.head(states)
    degree = torch.tensor([1, 2, 1, 2, 2, 2, 0])
    ring = torch.tensor([0.0, 0, 0, 1, 1, 1, 0])
    close = torch.tensor([0.0, 0, 0, 1, 1, 1, 0])  # in cyclopropene both neighbours are bonded
    parts = (
        F.cross_entropy(out[:, :7], degree),
        F.binary_cross_entropy_with_logits(out[:, 7], ring),
        ((out[:, 8] - close) ** 2).mean(),
    )
    torch.testing.assert_close(loss, sum(parts) / 3)
    expected = (out[:, :7].argmax(1) == degree) & ((out[:, 7] > 0) == (ring > 0))
    assert right.item() == pytest.approx(float(expected.float().mean()))


def test_a_degree_above_five_is_one_class() -> None:
    star = ([14] + [8] * 7, [(0, i, 0) for i in range(1, 8)])
    loss, _ = StructuralProperties(4)(torch.zeros(8, 4), batch_of(star))
    assert torch.isfinite(loss)


def test_states_of_another_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size"):
        StructuralProperties(4)(torch.zeros(5, 4), batch_of(ETHANOL))


def test_pyridines_are_rings_with_tails() -> None:
    batch = batch_from(pyridines(30))
    assert torch.bincount(batch.graph[in_ring(batch)]).tolist() == [6] * 30
