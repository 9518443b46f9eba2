"""The words a split is described in."""

import json
from itertools import pairwise

import numpy as np
import pytest

from molft.data.split import Split
from molft.data.split_summary import summarize

NAN = float("nan")


def _split(*sizes: int) -> Split:
    ends = np.cumsum([0, *sizes])
    return Split(*(np.arange(start, end) for start, end in pairwise(ends)))


def test_counts_of_one_task() -> None:
    labels = np.array([1, 0, 0, NAN, 1, 0, 0, 1, 1], dtype=np.float32)[:, None]
    summary = summarize(_split(5, 2, 2), labels, ["active"])
    train, valid, test = summary.parts
    assert (train.rows, train.observed, train.positive, train.negative) == (5, [4], [2], [2])
    assert (valid.positive, valid.negative) == ([0], [2])
    assert (test.positive, test.negative) == ([2], [0])
    assert summary.text().splitlines()[0] == "train       5 rows, 2 positive, 2 negative"
    assert summary.warnings == [
        "valid: one class only, so ROC-AUC is undefined: active",
        "test: one class only, so ROC-AUC is undefined: active",
    ]


def test_few_of_the_rarer_class_is_said_of_valid_and_test_only() -> None:
    labels = np.array([1, 0] * 3 + [1] + [0] * 20 + [1] * 10 + [0] * 10, dtype=float)[:, None]
    (warning,) = summarize(_split(6, 21, 20), labels, ["active"]).warnings
    assert warning == "valid: fewer than 10 of the rarer class, so a score is close to noise: active"


def test_many_tasks_are_summed_up() -> None:
    labels = np.ones((6, 8))
    labels[::2] = 0
    labels[4:, 0] = NAN
    labels[4:, 1:] = 1
    summary = summarize(_split(2, 2, 2), labels, list("abcdefgh"))
    assert (
        summary.text()
        .splitlines()[2]
        .startswith("test        2 rows, 14 labels, 0 of 8 tasks with both classes")
    )
    assert "test: no label at all: a" in summary.warnings
    assert "test: one class only, so ROC-AUC is undefined: b, c, d, e, f and 2 more" in summary.warnings


def test_regression_counts_labels_only() -> None:
    summary = summarize(_split(2, 1, 1), np.array([[0.0], [1.0], [2.5], [NAN]]), ["pIC50"], "regression")
    assert [part.observed for part in summary.parts] == [[2], [1], [0]]
    assert summary.warnings == [
        "valid: fewer than 10 labels, so a score is close to noise: pIC50",
        "test: no label at all: pIC50",
    ]
    assert summary.text().splitlines()[1] == "valid       1 rows, 1 labels"


def test_is_plain_json() -> None:
    summary = summarize(_split(1, 1, 0), np.zeros((2, 1)), ["a"])
    assert json.loads(json.dumps(summary.to_json()))["parts"][2]["rows"] == 0


def test_task_names_must_match_the_labels() -> None:
    with pytest.raises(ValueError, match="zip"):
        summarize(_split(1, 1, 0), np.zeros((2, 2)), ["a"])
