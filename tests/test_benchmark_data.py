"""Benchmark sets made ready: raw molecules on the published split, checked, and scored as SNAP does."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, root_mean_squared_error

from molft.errors import MolftError
from molft.use.benchmark_data import check_names, mean_score, read_benchmark
from molft.use.options import Silent
from tests.benchmark_sets import SMILES, use_tiny_sets


class Told(Silent):
    """A reporter that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


def test_mean_score_leaves_out_tasks_with_one_class_and_agrees_with_sklearn() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((40, 4)) < 0.4).astype(np.float32)
    labels[rng.random((40, 4)) < 0.3] = np.nan
    labels[:, 2] = np.where(np.isnan(labels[:, 2]), np.nan, 0)
    guesses = rng.random((40, 4))
    for metric, oracle in (("roc_auc", roc_auc_score), ("pr_auc", average_precision_score)):
        known = [~np.isnan(labels[:, task]) for task in range(4)]
        expected = [oracle(labels[known[t], t], guesses[known[t], t]) for t in (0, 1, 3)]
        value, tasks = mean_score(metric, labels, guesses)
        assert value == pytest.approx(np.mean(expected)) and tasks == 3


def test_mean_score_of_values_and_of_nothing() -> None:
    labels, guesses = np.array([[1.0], [2.0], [4.0]]), np.array([[1.5], [2.0], [3.0]])
    assert mean_score("rmse", labels, guesses)[0] == pytest.approx(root_mean_squared_error(labels, guesses))
    assert mean_score("roc_auc", np.ones((3, 1)), guesses) == (None, 0)
    # A forest has no answer for a task without training labels: the task is left out, not guessed.
    assert mean_score("rmse", labels, np.full((3, 1), np.nan)) == (None, 0)


def test_a_set_is_read_checked_and_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_tiny_sets(monkeypatch, tmp_path)
    told = Told()
    found = read_benchmark("bace", "ogb", told, data_dir=tmp_path)
    assert found.data.assay.smiles == SMILES
    assert sorted(np.concatenate(found.data.split).tolist()) == list(range(60))
    assert (found.facts["rows"], found.facts["kept"], found.facts["dropped"]) == (61, 60, 1)
    assert found.facts["split_is_known"] is False
    assert found.labels("test").shape == (found.facts["split_sizes"][2], 1)
    assert told.lines[0] == "bace: 1 rows dropped, which RDKit or the features refuse: 60"
    assert "60 of 61 rows (published: 1513)" in told.lines[1] and "NOT the known split" in told.lines[1]


def test_the_split_does_not_depend_on_the_features(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_tiny_sets(monkeypatch, tmp_path)
    one, other = (read_benchmark("esol", scheme, Silent(), data_dir=tmp_path) for scheme in ("snap", "ogb"))
    assert one.facts["split"] == other.facts["split"]
    np.testing.assert_array_equal(one.labels("test"), other.labels("test"))
    assert one.data.block.graphs.atoms.shape[1] == 2


def test_only_the_first_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_tiny_sets(monkeypatch, tmp_path)
    told = Told()
    whole = read_benchmark("esol", "snap", Silent(), data_dir=tmp_path)
    few = read_benchmark("esol", "snap", told, data_dir=tmp_path, rows=4)
    assert [len(part) for part in few.data.split] == [4, 4, 4]
    assert few.facts["split"] == whole.facts["split"]
    for part in ("train", "valid", "test"):
        np.testing.assert_array_equal(few.labels(part), whole.labels(part)[:4])
    assert "the scores are no results" in told.lines[-1]


def test_the_known_split_of_a_real_file(real_data: Path) -> None:
    told = Told()
    found = read_benchmark("freesolv", "snap", told, data_dir=real_data)
    assert found.facts["split_is_known"] is True
    assert told.lines == [
        "freesolv: 642 of 642 rows (published: 642), split 513/64/65, test rows 2b1aae5bfe86, as known"
    ]


def test_names() -> None:
    assert check_names(["BBBP", "bace", "bbbp"]) == ["bbbp", "bace"]
    with pytest.raises(MolftError, match=r"qm9: no benchmark set of that name; there are bbbp, tox21"):
        check_names(["bace", "qm9"])
