"""Stratified splits: shares of classes, replicates, rare classes."""

import numpy as np
import pytest

from molft.data.split import fingerprint, leaks
from molft.data.stratify import stratified_split
from molft.errors import MolftError

NAN = float("nan")


def _keys(rows: int) -> list[str]:
    return [f"{row:04d}" for row in range(rows)]


def test_one_task_keeps_the_share_of_positives() -> None:
    labels = (np.arange(200) % 10 == 0).astype(float)[:, None]
    split = stratified_split(labels, _keys(200))
    assert [len(part) for part in split] == [160, 20, 20]
    assert [int(labels[part].sum()) for part in split] == [16, 2, 2]


def test_three_positives_are_one_for_each_part() -> None:
    labels = np.zeros((60, 1))
    labels[[4, 5, 6]] = 1
    for seed in range(5):
        assert [int(labels[part].sum()) for part in stratified_split(labels, _keys(60), seed=seed)] == [
            1,
            1,
            1,
        ]


def test_many_tasks_with_missing_labels() -> None:
    random = np.random.default_rng(0)
    labels = (random.random((500, 4)) < [0.5, 0.2, 0.1, 0.04]).astype(float)
    labels[random.random((500, 4)) < 0.3] = NAN
    split = stratified_split(labels, _keys(500), seed=1)
    for task in labels.T:
        positives = [int((task[part] == 1).sum()) for part in split]
        total = sum(positives)
        assert abs(positives[1] - total / 10) <= 1.5
        assert abs(positives[2] - total / 10) <= 1.5


def test_replicates_stay_together_and_row_order_does_not_matter() -> None:
    keys = [f"{row // 3:02d}" for row in range(90)]
    labels = (np.arange(90) // 3 % 4 == 0).astype(float)[:, None]
    split = stratified_split(labels, keys)
    assert leaks(split, keys) == []
    order = np.random.default_rng(1).permutation(90)
    again = stratified_split(labels[order], [keys[row] for row in order])
    assert [{keys[row] for row in part} for part in split] == [
        {keys[order[row]] for row in part} for part in again
    ]


def test_regression_takes_each_tenth_of_the_values() -> None:
    values = np.random.default_rng(0).permutation(100).astype(float)[:, None]
    split = stratified_split(values, _keys(100), task_type="regression")
    assert sorted((values[split.test, 0] // 10).tolist()) == sorted((values[split.valid, 0] // 10).tolist())
    assert len(set(values[split.test, 0] // 10)) == 10


def test_seeds_repeat_and_differ() -> None:
    labels = (np.arange(100) % 5 == 0).astype(float)[:, None]
    tests = [fingerprint(stratified_split(labels, _keys(100), seed=seed).test) for seed in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]


def test_unlabelled_rows_are_dealt_by_size_and_an_empty_part_stays_empty() -> None:
    split = stratified_split(np.full((50, 2), NAN), _keys(50), sizes=(0.8, 0.2, 0.0))
    assert [len(part) for part in split] == [40, 10, 0]


def test_labels_of_another_shape_are_refused() -> None:
    for labels in (np.zeros(5), np.zeros((4, 1))):
        with pytest.raises(MolftError, match="expected one row a key"):
            stratified_split(labels, _keys(5))
    with pytest.raises(MolftError, match="labels have shape"):
        stratified_split(np.zeros((0, 1)), [])


def test_two_rows_cannot_fill_three_parts() -> None:
    with pytest.raises(MolftError, match="leaves test empty"):
        stratified_split(np.array([[0.0], [1.0]]), _keys(2))
