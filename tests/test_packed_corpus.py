"""A packed corpus: the molecules and labels of any rows."""

from pathlib import Path

import numpy as np
import pytest

from molft.chem.features import SNAP
from molft.data.compact import compact
from molft.data.packed_corpus import COMPACT, LABEL_ROW, LABELS_FILE, open_corpus
from molft.data.store import write_store
from molft.errors import MolftError
from tests.packed import assert_same
from tests.series import block_of, pyridines

LABELS = np.array([[1.0, np.nan], [np.nan, 0.5], [2.0, 3.0]], np.float32)
ROWS = np.array([2, -1, 0, -1, 1], np.int32)


@pytest.fixture(params=["", COMPACT])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    graphs = block_of(pyridines(5)).graphs
    if request.param:
        graphs = compact(graphs, SNAP)
    write_store(tmp_path / "store", "snap" + request.param, [(graphs, {LABEL_ROW: ROWS})])
    np.save(tmp_path / LABELS_FILE, LABELS)
    return tmp_path / "store"


def test_molecules_come_back_in_any_order(store: Path) -> None:
    corpus = open_corpus(store)
    assert (len(corpus), corpus.scheme) == (5, SNAP)
    rows = np.array([4, 0, 0])
    assert_same(corpus.take(rows), block_of(pyridines(5)).graphs.take(rows))


def test_labels_follow_their_molecule(store: Path) -> None:
    corpus = open_corpus(store)
    found = corpus.take_labels(np.array([0, 1, 4, 2]))
    np.testing.assert_array_equal(found, [LABELS[2], [np.nan, np.nan], LABELS[1], LABELS[0]])
    assert isinstance(corpus.labels, np.memmap)


def test_without_labels_there_are_no_tasks(tmp_path: Path) -> None:
    write_store(tmp_path / "store", "snap", [(block_of(pyridines(3)).graphs, {})])
    corpus = open_corpus(tmp_path / "store")
    assert corpus.labels is None
    assert corpus.take_labels(np.array([1, 2])).shape == (2, 0)


def test_a_store_of_an_unknown_scheme_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path / "store", "own", [(block_of(pyridines(3)).graphs, {})])
    with pytest.raises(MolftError, match="feature scheme 'own' is unknown"):
        open_corpus(tmp_path / "store")


def test_labels_that_are_gone_are_missed(store: Path) -> None:
    (store.parent / LABELS_FILE).unlink()
    with pytest.raises(FileNotFoundError):
        open_corpus(store)
