"""Clusters against RDKit's own Butina, and on three obvious series."""

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from rdkit.ML.Cluster import Butina

from molft.chem.cluster import butina, fingerprints
from molft.errors import MolftError

SERIES = [
    "CCCCCCCCO", "CCCCCCCCCO", "CCCCCCCCCCO",
    "c1ccccc1C(=O)Nc1ccccc1", "Cc1ccccc1C(=O)Nc1ccccc1", "c1ccccc1C(=O)Nc1ccccc1C",
    "C1CCNCC1", "[Na+].[Cl-]",
]  # fmt: skip


def _mols() -> list[Chem.Mol]:
    return [Chem.MolFromSmiles(smiles) for smiles in SERIES]


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.65, 1.0])
def test_equals_rdkit(similarity: float) -> None:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    prints = [generator.GetFingerprint(mol) for mol in _mols()]
    distances = [
        1 - s
        for i in range(1, len(prints))
        for s in DataStructs.BulkTanimotoSimilarity(prints[i], prints[:i])
    ]
    expected = np.empty(len(prints), dtype=int)
    for cluster in Butina.ClusterData(distances, len(prints), 1 - similarity, isDistData=True):
        expected[list(cluster)] = cluster[0]
    assert butina(fingerprints(_mols()), similarity).tolist() == expected.tolist()


def test_alcohols_and_anilides_are_two_clusters() -> None:
    centre = butina(fingerprints(_mols()), 0.4)
    assert len(set(centre[:3])) == 1
    assert len(set(centre[3:6])) == 1
    assert len(set(centre[[0, 3, 6, 7]])) == 4


def test_no_molecules_and_no_bits() -> None:
    assert fingerprints([]).shape == (0, 256)
    assert butina(fingerprints([])).tolist() == []
    assert butina(np.zeros((2, 256), dtype=np.uint8)).shape == (2,)


@pytest.mark.parametrize("similarity", [0.0, -1.0, 1.5])
def test_a_similarity_that_is_none_is_refused(similarity: float) -> None:
    with pytest.raises(MolftError, match="above 0 and up to 1"):
        butina(fingerprints(_mols()), similarity)


def test_too_many_rows_are_refused_before_any_work() -> None:
    with pytest.raises(MolftError, match="at most 50000"):
        butina(np.zeros((50_001, 1), dtype=np.uint8))
