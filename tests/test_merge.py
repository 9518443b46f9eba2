"""Several measurements of one molecule."""

import numpy as np
import pytest

from molft.data.merge import merge_task

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "label", "reason"),
    [
        ([1, 1], 1, ""),
        ([0, NAN], 0, ""),
        ([NAN, NAN], NAN, ""),
        ([1, 1, 0], 1, "1 by majority, 2 of 3"),
        ([0, 1, 0, 0], 0, "0 by majority, 3 of 4"),
        ([1, 0], NAN, "a tie, 1 to 1: no label"),
    ],
)
def test_classes(values: list[float], label: float, reason: str) -> None:
    got = merge_task(np.array(values, float), np.zeros(len(values), np.int8), "classification")
    np.testing.assert_equal(got, (label, 0, reason))


@pytest.mark.parametrize(
    ("values", "bounds", "label", "bound", "reason"),
    [
        ([5.3, 5.3], [0, 0], 5.3, 0, ""),
        ([5.3, 5.3000001], [0, 0], 5.30000005, 0, ""),
        ([5, 6], [0, 0], 5.5, 0, "median of 5, 6"),
        ([5, 6, 90], [0, 0, 0], 6, 0, "median of 5, 6, 90"),
        ([0, 1e-9], [0, 0], 5e-10, 0, "median of 0, 1e-09"),
        ([5, 10], [1, 1], 10, 1, ""),  # above both is above the higher
        ([5, 10], [-1, -1], 5, -1, ""),
        ([5, 4], [0, 1], 5, 0, ""),  # 5 is above 4: no contradiction
        ([5, 10], [0, 1], 5, 0, ">10 contradicts 5, which was measured and stands"),
        ([5, 1], [0, -1], 5, 0, "<1 contradicts 5, which was measured and stands"),
        ([5, 10], [1, -1], NAN, 0, ">5 and <10: no single label"),
        ([10, 5], [1, -1], NAN, 0, ">10 and <5: they contradict each other, no label"),
        ([NAN, 7], [0, 0], 7, 0, ""),
    ],
)
def test_numbers(values: list[float], bounds: list[int], label: float, bound: int, reason: str) -> None:
    got = merge_task(np.array(values, float), np.array(bounds, np.int8), "regression")
    np.testing.assert_allclose(got[0], label)
    assert got[1:] == (bound, reason)


def test_the_order_of_the_rows_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        values, bounds = rng.integers(0, 5, 6).astype(float), rng.integers(-1, 2, 6).astype(np.int8)
        order = rng.permutation(6)
        np.testing.assert_equal(
            merge_task(values, bounds, "regression")[:2],
            merge_task(values[order], bounds[order], "regression")[:2],
        )
