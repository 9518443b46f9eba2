"""Run with: pytest tests/test_scores.py"""

import json

import numpy as np
import pytest
from numpy.typing import NDArray

from molft.errors import MolftError
from molft.use.metrics import TaskType
from molft.use.scores import Score, score

NAN = float("nan")


def column(*values: float) -> NDArray[np.float64]:
    return np.array(values, np.float64)[:, None]


def assay(rows: int = 200, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two tasks; probabilities that carry some signal."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((rows, 2)) < 0.3).astype(np.float64)
    return labels, np.clip(0.25 * labels + 0.7 * rng.random((rows, 2)), 0, 1)


def test_classes_by_hand() -> None:
    found = score(column(0, 0, 1, 1), column(0.1, 0.4, 0.35, 0.8), "classification", ["hERG"])
    assert found.tasks["hERG"]["roc_auc"] == Score(0.75, None, None, 4)
    assert found.mean["roc_auc"] == Score(0.75, None, None, 4, "1 of 1 tasks")
    assert list(found.mean) == ["roc_auc", "pr_auc", "mcc", "enrichment_1", "brier", "ece"]


def test_values_by_hand() -> None:
    found = score(column(1, 2, 3, 4), column(2, 2, 3, 4), "regression", ["logS"]).tasks["logS"]
    assert {name: s.value for name, s in found.items()} == pytest.approx(
        {"rmse": 0.5, "mae": 0.25, "r2": 0.8, "spearman": 0.9486833}
    )


def test_missing_labels_are_left_out() -> None:
    labels, guess = column(0, NAN, 0, 1, 1, NAN), column(0.1, 0.9, 0.4, 0.35, 0.8, NAN)
    found = score(labels, guess, "classification", ["y"])
    assert found.tasks["y"]["roc_auc"] == Score(0.75, None, None, 4)


def test_the_threshold_of_the_task_is_used() -> None:
    labels, guess = column(0, 0, 1, 1), column(0.1, 0.2, 0.3, 0.4)
    assert score(labels, guess, "classification", ["y"]).tasks["y"]["mcc"].value == 0
    assert score(labels, guess, "classification", ["y"], thresholds=[0.25]).tasks["y"]["mcc"].value == 1


@pytest.mark.parametrize(
    ("labels", "guess", "metric", "note"),
    [
        ([0, 0, 0], [0.1, 0.2, 0.3], "roc_auc", "only class 0 among 3 rows"),
        ([1, 1, NAN], [0.1, 0.2, 0.3], "mcc", "only class 1 among 2 rows"),
        ([NAN, NAN, NAN], [0.1, 0.2, 0.3], "brier", "no row to judge"),
        ([0, 1, 1], [0.1, NAN, NAN], "roc_auc", "2 of 3 predictions are missing"),
    ],
)
def test_undefined_says_why(labels: list[float], guess: list[float], metric: str, note: str) -> None:
    found = score(column(*labels), column(*guess), "classification", ["y"])
    assert found.tasks["y"][metric].value is None
    assert found.tasks["y"][metric].text == f"undefined ({note})"
    assert found.mean[metric] == Score(None, None, None, 0, "0 of 1 tasks")


@pytest.mark.parametrize(
    ("labels", "guess", "metric", "note"),
    [
        ([5, 5, 5], [1, 2, 3], "r2", "all 3 labels are equal"),
        ([5], [1], "spearman", "all 1 labels are equal"),
        ([1, 2, 3], [4, 4, 4], "spearman", "all 3 predictions are equal"),
    ],
)
def test_undefined_values_say_why(labels: list[float], guess: list[float], metric: str, note: str) -> None:
    found = score(column(*labels), column(*guess), "regression", ["y"]).tasks["y"]
    assert (found[metric].value, found[metric].note) == (None, note)
    assert found["rmse"].value is not None


def test_a_censored_row_is_judged_by_its_side_only() -> None:
    labels, guess = column(1, 2, 3, 10, 10, 0.5), column(1, 2, 4, 12, 7, 0.1)
    bounds = np.array([[0], [0], [0], [1], [1], [-1]], np.int8)
    found = score(labels, guess, "regression", ["y"], bounds=bounds)
    assert found.tasks["y"]["mae"] == Score(pytest.approx(1 / 3), None, None, 3)
    assert found.tasks["y"]["bounds_kept"] == Score(pytest.approx(2 / 3), None, None, 3)


def test_bounds_kept_only_for_tasks_with_censored_rows() -> None:
    table = np.arange(8.0).reshape(4, 2)
    bounds = np.array([[0, 0], [0, 0], [0, 0], [0, 1]], np.int8)
    found = score(table, table, "regression", ["a", "b"], bounds=bounds)
    assert "bounds_kept" not in found.tasks["a"]
    assert found.mean["bounds_kept"].note == "1 of 2 tasks"


def test_all_rows_censored() -> None:
    found = score(column(1, 2), column(2, 1), "regression", ["y"], bounds=np.ones((2, 1), np.int8))
    assert found.tasks["y"]["rmse"].note == "no row to judge"
    assert found.tasks["y"]["bounds_kept"].value == 0.5


def test_mean_over_the_defined_tasks() -> None:
    labels, guess = assay()
    labels, guess = np.hstack([labels, np.zeros((200, 1))]), np.hstack([guess, guess[:, :1]])
    found = score(labels, guess, "classification", ["a", "b", "c"], resamples=200)
    parts = [found.tasks[task]["roc_auc"].value for task in "ab"]
    assert found.mean["roc_auc"].value == pytest.approx(np.mean([part for part in parts if part is not None]))
    assert found.mean["roc_auc"].note == "2 of 3 tasks"
    assert found.mean["brier"].note == "3 of 3 tasks"


def test_intervals_hold_the_value_and_narrow_with_more_rows() -> None:
    few, many = (
        score(*assay(rows), "classification", ["a", "b"], resamples=300).tasks["a"]["roc_auc"]
        for rows in (50, 800)
    )
    for s in (few, many):
        assert s.value is not None and s.low is not None and s.high is not None
        assert s.low < s.value < s.high
    assert (many.high or 0) - (many.low or 0) < 0.5 * ((few.high or 0) - (few.low or 0))


def test_sparse_tasks_may_be_absent_from_a_resample() -> None:
    labels, guess = assay(40)
    labels[2:, 1] = NAN
    labels[:2, 1] = (0, 1)
    found = score(labels, guess, "classification", ["a", "b"], resamples=100)
    assert found.tasks["b"]["roc_auc"].rows == 2
    assert found.mean["roc_auc"].low is not None


def test_ece_has_no_interval_and_zero_resamples_give_none() -> None:
    labels, guess = assay()
    full = score(labels, guess, "classification", ["a", "b"], resamples=100)
    bare = score(labels, guess, "classification", ["a", "b"], resamples=0)
    assert full.tasks["a"]["ece"].low is None and full.tasks["a"]["brier"].low is not None
    assert bare.tasks["a"]["brier"] == full.tasks["a"]["brier"]._replace(low=None, high=None)


def test_same_seed_same_scores_and_json_without_nan() -> None:
    labels, guess = assay()
    one, two, other = (
        score(labels, guess, "classification", ["a", "b"], resamples=50, seed=seed) for seed in (1, 1, 2)
    )
    assert one == two != other
    labels[:, 1] = 0
    text = json.dumps(score(labels, guess, "classification", ["a", "b"]).to_json(), allow_nan=False)
    assert json.loads(text)["tasks"]["b"]["roc_auc"] == {
        "value": None,
        "low": None,
        "high": None,
        "rows": 200,
        "note": "only class 0 among 200 rows",
    }


def test_no_rows_at_all() -> None:
    found = score(np.zeros((0, 1)), np.zeros((0, 1)), "regression", ["y"])
    assert found.tasks["y"]["rmse"] == Score(None, None, None, 0, "no row to judge")


@pytest.mark.parametrize(
    ("value", "text"),
    [(Score(12.3456, 11, 13.5, 99), "12.346 [11.000, 13.500]"), (Score(476.2, None, None, 9), "476.2")],
)
def test_text(value: Score, text: str) -> None:
    assert value.text == text


@pytest.mark.parametrize(
    ("labels", "guess", "task_type", "message"),
    [
        (column(0, 1), column(0.1, 1.2), "classification", "a prediction is outside 0 to 1"),
        (column(0, 1), column(-3, 0.2), "classification", "scored on probabilities, not on logits"),
        (column(0, 2), column(0.1, 0.2), "classification", "a class label is 2, expected 0 or 1"),
        (column(0, 1), column(0.1), "classification", r"predictions of shape \(1, 1\), expected \(2, 1\)"),
        (np.zeros((2, 2)), np.zeros((2, 2)), "regression", r"labels of shape \(2, 2\), expected \(2, 1\)"),
        (np.zeros(2), np.zeros(2), "regression", r"labels of shape \(2,\), expected \(2, 1\)"),
        (column(0, np.inf), column(0, 1), "regression", "a label or prediction is infinite"),
        (column(0, 1), column(0, -np.inf), "regression", "a label or prediction is infinite"),
        (column(0, 1), column(0, 1), "ranking", "task type 'ranking', expected"),
    ],
)
def test_what_cannot_be_scored(
    labels: NDArray[np.float64], guess: NDArray[np.float64], task_type: TaskType, message: str
) -> None:
    with pytest.raises(MolftError, match=message):
        score(labels, guess, task_type, ["y"])


def test_options_that_do_not_fit() -> None:
    labels, guess = assay(20)
    with pytest.raises(MolftError, match="1 thresholds for 2 tasks"):
        score(labels, guess, "classification", ["a", "b"], thresholds=[0.5])
    with pytest.raises(MolftError, match="two tasks have the same name: a, a"):
        score(labels, guess, "classification", ["a", "a"])
    with pytest.raises(MolftError, match="only values can be censored"):
        score(labels, guess, "classification", ["a", "b"], bounds=np.ones((20, 2), np.int8))
    with pytest.raises(MolftError, match=r"bounds of shape \(20, 1\), expected \(20, 2\)"):
        score(labels, guess, "regression", ["a", "b"], bounds=np.ones((20, 1), np.int8))
