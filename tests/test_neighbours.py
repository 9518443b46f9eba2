"""The nearest training molecule, against RDKit's own similarity."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from molft.chem.prepare import Block, Recipe, prepare
from molft.errors import MolftError
from molft.model.weights import write_tensors
from molft.use import neighbours
from molft.use.neighbours import Neighbours, count_shared, load_neighbours, save_neighbours
from tests.series import pyridines
from tests.tiny_model import MOLECULES


def block_of(*smiles: str) -> Block:
    return prepare(smiles, Recipe(fingerprints=True))


def known(*smiles: str) -> Neighbours:
    return Neighbours.of(block_of(*smiles), smiles)


def test_itself_its_like_and_nothing_alike() -> None:
    training = known("CCO", "c1ccccc1", "CCCO")
    similarity, place = training.nearest(block_of("c1ccccc1", "OCC", "CCN", "Cc1ccccc1"))
    # Ethylamine shares with ethanol the carbons alone, toluene with benzene the carbons away from the methyl.
    assert place.tolist() == [1, 0, 0, 1]
    assert similarity[:2].tolist() == [1.0, 1.0]
    assert (similarity[2:] < 0.5).all() and (similarity[2:] > 0.1).all()


def test_bits_counted_by_hand() -> None:
    # Benzene has three fragments: an atom, that with its neighbours, and with theirs. Methane has one.
    training = known("C", "c1ccccc1")
    assert np.bitwise_count(training.bits).sum(axis=1).tolist() == [1, 3]
    similarity, place = training.nearest(block_of("C1CCCCC1"))
    assert similarity.tolist() == [0.0] and place.tolist() == [0]


def test_equal_to_rdkit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_PAIRS", 600)  # 7 training molecules at a time
    queries, trained = (*MOLECULES, *pyridines(225)[150:200]), tuple(pyridines(100))
    morgan = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    prints = [[morgan.GetFingerprint(Chem.MolFromSmiles(s)) for s in some] for some in (queries, trained)]
    recipe = Recipe(standardize=False, fingerprints=True)  # RDKit was given them as written
    expected = np.array([DataStructs.BulkTanimotoSimilarity(print_, prints[1]) for print_ in prints[0]])
    similarity, place = Neighbours.of(prepare(trained, recipe), trained).nearest(prepare(queries, recipe))
    assert similarity.tolist() == expected.max(axis=1).tolist()
    assert place.tolist() == expected.argmax(axis=1).tolist()


@pytest.mark.parametrize("pairs", [1, 5, 1 << 17])
def test_of_equally_near_ones_the_first_however_they_are_cut(
    monkeypatch: pytest.MonkeyPatch, pairs: int
) -> None:
    monkeypatch.setattr(neighbours, "_PAIRS", pairs)
    similarity, place = known("CCN", "CCO", "CCO", "OCC").nearest(block_of("CCO", "CCN"))
    assert (similarity.tolist(), place.tolist()) == ([1.0, 1.0], [1, 0])


def test_a_molecule_of_many_fragments() -> None:
    # 300 bits or more would not fit a byte.
    full = np.full((1, 32), 2**64 - 1, np.uint64)
    assert count_shared(full, full).tolist() == [[2048]]


def test_no_query() -> None:
    similarity, place = known("CCO").nearest(block_of("nonsense"))
    assert len(similarity) == len(place) == 0


def test_fingerprints_are_needed() -> None:
    with pytest.raises(MolftError, match=r"prepared without fingerprints"):
        known("CCO").nearest(prepare(["CCO"]))
    with pytest.raises(MolftError, match=r"1 molecules, but 2 SMILES"):
        Neighbours.of(block_of("CCO"), ["CCO", "CCN"])


def test_a_file_of_them_comes_back_whole(tmp_path: Path) -> None:
    training = known("CCO", "F/C=C/F", "c1ccccc1")
    again = load_neighbours(tmp_path / "t", save_neighbours(training, tmp_path / "t"))
    assert again.smiles == ("CCO", "F/C=C/F", "c1ccccc1")
    assert np.array_equal(again.bits, training.bits)
    similarity, _ = replace(again, smiles=("a", "b", "c")).nearest(block_of("CCO"))
    assert similarity.tolist() == [1.0]


def test_a_file_of_another_kind_or_content(tmp_path: Path) -> None:
    digest = save_neighbours(known("CCO"), tmp_path / "t")
    (tmp_path / "t").write_bytes((tmp_path / "t").read_bytes()[:-1] + b"N")
    with pytest.raises(MolftError, match=r"the file was cut or changed"):
        load_neighbours(tmp_path / "t", digest)
    digest = write_tensors(tmp_path / "t", {}, {"format": "molft-training-9"})
    with pytest.raises(MolftError, match=r"this molft reads molft-training-1 of ecfp4-bits-2048"):
        load_neighbours(tmp_path / "t", digest)
