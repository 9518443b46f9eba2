"""Run with: pytest tests/test_bootstrap.py"""

import numpy as np
import pytest

from molft.use import bootstrap
from molft.use.bootstrap import average_defined, find_interval, resample


def test_each_resample_draws_as_many_rows_as_there_are() -> None:
    first, *rest = resample(7, 30, seed=1)
    assert first.tolist() == [[1] * 7]
    assert (np.concatenate(rest).sum(axis=1) == 7).all()
    assert sum(map(len, rest)) == 30


def test_the_size_of_the_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(resample(7, 30, seed=1)))
    monkeypatch.setattr(bootstrap, "_WEIGHTS_AT_ONCE", 4 * 7)
    blocks = list(resample(7, 30, seed=1))
    assert max(map(len, blocks)) == 4
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_no_rows_and_no_resamples() -> None:
    assert [block.shape for block in resample(0, 30, seed=1)] == [(1, 0)]
    assert [block.shape for block in resample(5, 0, seed=1)] == [(1, 5)]


def test_the_interval_is_the_middle_95_percent() -> None:
    assert find_interval(np.arange(1001.0), rows=50) == (25.0, 975.0)


@pytest.mark.parametrize(
    ("resampled", "rows"),
    [([0.1] * 9, 9), ([], 50), ([np.nan, np.nan, 0.5], 50)],
    ids=["few rows", "no resamples", "mostly undefined"],
)
def test_no_interval(resampled: list[float], rows: int) -> None:
    assert find_interval(np.array(resampled), rows) == (None, None)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(200):
        sample = rng.normal(3, 1, 40)
        means = np.concatenate([block @ sample / 40 for block in resample(40, 200, seed=trial)][1:])
        low, high = find_interval(means, 40)
        covered += low is not None and high is not None and low <= 3 <= high
    assert 0.88 <= covered / 200 <= 0.98


def test_average_leaves_out_what_is_undefined() -> None:
    values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    np.testing.assert_array_equal(average_defined(values), [2, 5, np.nan])
