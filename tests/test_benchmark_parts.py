"""What the benchmarks of training are given: the published parts, whatever the features."""

import numpy as np
import pytest

from molft.chem.scaffold import snap_scaffold
from molft.data.moleculenet import Benchmark
from molft.data.split import scaffold_split
from tests.benchmarks.parts import read_parts, subset

SMILES = ["c1ccccc1C", "c1ccccc1N", "CC[N+](C)(C)C", "c1ccncc1C", "C1CC1C", "C1CCC1C", "*CC", "c1ccsc1C"]


def benchmark(task_type: str) -> Benchmark:
    labels = np.arange(len(SMILES), dtype=np.float32)[:, None]
    if task_type == "classification":
        labels %= 2
    rows = np.arange(len(SMILES))
    return Benchmark("bace", SMILES, labels, ("task",), task_type, "roc_auc", rows, [])


@pytest.fixture(params=["classification", "regression"])
def task_type(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("tests.benchmarks.parts.load", lambda name: benchmark(request.param))
    return str(request.param)


def test_the_split_is_the_published_one_and_a_refused_molecule_is_named(
    task_type: str, capsys: pytest.CaptureFixture[str]
) -> None:
    parts, found = read_parts("bace", "snap")
    split = scaffold_split([snap_scaffold(text, False) for text in SMILES], ties="row")
    assert found == task_type
    # The dummy atom has no code: it is left out of its part, and the other molecules stay where they were.
    assert [len(part) for part in parts] == [int((rows != 6).sum()) for rows in split]
    assert capsys.readouterr().err.startswith("bace: *CC is left out, ")
    assert sum(len(part) for part in parts) == len(SMILES) - 1
    if task_type == "classification":
        for part, rows in zip(parts, split, strict=True):
            assert part.labels[:, 0].tolist() == [row % 2 for row in rows.tolist() if row != 6]


def test_values_are_standardised_by_the_training_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.parts.load", lambda name: benchmark("regression"))
    (train, valid, test), _ = read_parts("esol", "ogb")
    assert train.labels.mean() == pytest.approx(0, abs=1e-6)
    assert train.labels.std() == pytest.approx(1, abs=1e-6)
    assert train.bounds.shape == train.labels.shape and not train.bounds.any()
    assert len(valid) + len(test) > 0


def test_a_subset_keeps_molecules_and_labels_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.parts.load", lambda name: benchmark("regression"))
    (train, _, _), _ = read_parts("esol")
    few = subset(train, np.array([2, 0]))
    assert few.labels[:, 0].tolist() == [train.labels[2, 0], train.labels[0, 0]]
    assert np.array_equal(few.graphs.atoms, train.graphs.take([2, 0]).atoms)


def test_an_inner_split_is_of_the_molecules_that_are_not_test(monkeypatch: pytest.MonkeyPatch) -> None:
    rings = [f"C1{'C' * size}C1" for size in range(1, 31)]  # each a scaffold, told by its number of atoms
    found = Benchmark(
        "bace",
        rings,
        np.zeros((30, 1), np.float32),
        ("task",),
        "classification",
        "roc_auc",
        np.arange(30),
        [],
    )
    monkeypatch.setattr("tests.benchmarks.parts.load", lambda name: found)
    published = ring_sizes(None)
    first, again, other = (ring_sizes(seed) for seed in (0, 0, 1))
    assert sorted(size for part in first for size in part) == sorted(published[0] + published[1])
    assert [len(part) for part in first] == [21, 3, 3]
    assert first == again and first != other


def ring_sizes(inner: int | None) -> list[list[int]]:
    parts, _ = read_parts("bace", "ogb", inner)
    return [np.diff(part.graphs.atom_ptr).tolist() for part in parts]
