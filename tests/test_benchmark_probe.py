"""The probes of frozen encoders: what is fitted, what chooses, and what a table of rows remembers."""

from pathlib import Path

import numpy as np
import pytest

from molft.chem.prepare import Recipe, prepare
from molft.train.finetune import Examples
from tests.benchmarks.label_efficiency import draw
from tests.benchmarks.probe import fit_linear, fit_trees, join, rate
from tests.benchmarks.rows import append_row, is_known, read_rows

METHANE = prepare(["C"], Recipe()).graphs


def examples(labels: list[float]) -> Examples:
    values = np.array(labels, np.float32)[:, None]
    return Examples(METHANE.take([0] * len(values)), values, np.zeros(values.shape, np.int8))


def parts(test: list[float]) -> list[Examples]:
    return [examples([0, 0, 0, 1, 1, 1] * 5), examples([0, 0, 1, 1]), examples(test)]


VECTORS = [
    np.array([[-3, 1], [-2, 0], [-1, 1], [1, 0], [2, 1], [3, 0]] * 5, np.float32),
    np.array([[-2, 0], [-1, 1], [1, 0], [2, 1]], np.float32),
    np.array([[-4, 1], [4, 0]], np.float32),
]


def test_a_column_that_tells_the_classes_apart_is_found() -> None:
    assert fit_linear(VECTORS, parts([0, 1]), "classification") == (1.0, 1.0)
    assert fit_trees(VECTORS, parts([0, 1]), "classification") == (1.0, 1.0)


def test_more_is_read_beside_the_vectors() -> None:
    fragments = [np.zeros((2, 2048 + 2), np.float32)]
    fragments[0][:, 7], fragments[0][:, -2:] = (1, 3), ((0, np.e - 1), (-(np.e - 1), 0))
    vectors = [np.array([[5], [6]], np.float32)]
    (found,) = join(vectors, fragments, "descriptors")
    np.testing.assert_allclose(found, [[5, 0, 1], [6, -1, 0]], rtol=1e-6)
    (found,) = join(vectors, fragments, "fragments")
    assert found.shape == (2, 1 + 2 + 2048) and found[:, 3 + 7].tolist() == [1, 3]


def test_the_test_part_chooses_nothing() -> None:
    """With test labels turned round, validation is as it was and the test score is turned round."""
    assert fit_linear(VECTORS, parts([1, 0]), "classification") == (1.0, 0.0)


def test_values_are_fitted_by_the_penalty_that_validation_likes_best() -> None:
    line = [VECTORS[0], VECTORS[1], VECTORS[2]]
    values = [examples((v[:, 0] * 2).tolist()) for v in line]
    valid, test = fit_linear(line, values, "regression")
    assert valid == pytest.approx(0.08, abs=0.08)  # the least penalty of the grid still pulls a little
    assert test == pytest.approx(0.16, abs=0.16)


def test_rmse_and_roc_auc_by_hand() -> None:
    assert rate(examples([1.0, 3.0]), np.array([[2.0], [5.0]]), "regression") == pytest.approx(np.sqrt(2.5))
    assert rate(examples([0, 1, 0, 1]), np.array([[0.1], [0.9], [0.5], [0.4]]), "classification") == 0.75
    assert np.isnan(rate(examples([1, 1]), np.array([[0.1], [0.9]]), "classification"))


def test_a_seed_draws_the_same_molecules_and_more_of_them_for_more_labels() -> None:
    few, more = draw(100, "10", seed=3), draw(100, "30", seed=3)
    assert set(few) < set(more) and len(few) == 10 and len(more) == 30
    assert draw(5, "all", seed=1).tolist() == [0, 1, 2, 3, 4]


def test_a_table_knows_the_rows_that_stand_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "deep" / "table.csv"
    assert read_rows(table) == [] and not is_known(table, {"set": "bace"})
    append_row(table, ("set", "seed", "test"), {"set": "bace", "seed": 0, "test": "0.8"})
    append_row(table, ("set", "seed", "test"), {"set": "bace", "seed": 1, "test": "0.9"})
    assert capsys.readouterr().out.splitlines()[0] == "set=bace seed=0 test=0.8"
    assert table.read_text() == "set,seed,test\nbace,0,0.8\nbace,1,0.9\n"
    assert is_known(table, {"set": "bace", "seed": 1}) and not is_known(table, {"set": "bace", "seed": 2})
