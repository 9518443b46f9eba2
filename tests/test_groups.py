"""Groups of rows, by hand."""

import numpy as np
import pytest

from molft.data.groups import collect, fill, join, number, part_counts
from molft.errors import MolftError


def test_rows_are_numbered_by_sorted_name_and_collected() -> None:
    code = number(["b", "a", "b", "c"])
    assert code.tolist() == [1, 0, 1, 2]
    assert [rows.tolist() for rows in collect(code)] == [[1], [0, 2], [3]]


def test_a_shared_key_joins_groups_and_chains_of_them() -> None:
    # rows 0 and 1 share a key, rows 1 and 2 a name, rows 2 and 3 a key: all four are one group
    assert join(number(["a", "b", "b", "c", "d"]), ["k", "k", "l", "l", "m"]).tolist() == [0, 0, 0, 0, 3]


def test_without_shared_keys_nothing_is_joined() -> None:
    code = number(["a", "b", "a"])
    assert join(code, ["x", "y", "z"]).tolist() == join(code, None).tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("rows", "sizes", "counts"),
    [
        (100, (0.8, 0.1, 0.1), [80, 10, 10]),
        (1, (0.8, 0.1, 0.1), [1, 0, 0]),
        (3, (0.8, 0.1, 0.1), [1, 1, 1]),
        (12, (0.8, 0.1, 0.1), [10, 1, 1]),
        (7, (0.5, 0.5, 0.0), [4, 3, 0]),
        (0, (0.8, 0.1, 0.1), [0, 0, 0]),
    ],
)
def test_part_counts(rows: int, sizes: tuple[float, float, float], counts: list[int]) -> None:
    assert part_counts(rows, sizes).tolist() == counts


def test_part_counts_always_sum_to_the_rows() -> None:
    for rows in range(200):
        assert part_counts(rows, (0.7, 0.2, 0.1)).sum() == rows


def test_fill_lets_a_small_late_group_into_train() -> None:
    groups = [np.arange(7), np.arange(7, 9), np.arange(9, 10)]
    assert fill(groups, (0.8, 0.1, 0.1)).tolist() == [0, 1, 0]


def test_fill_without_a_test_part_puts_the_rest_into_valid() -> None:
    assert fill([np.arange(2), np.arange(2, 3)], (0.6, 0.4, 0.0)).tolist() == [1, 0]


@pytest.mark.parametrize(
    "sizes", [(0.8, 0.1, 0.2), (1.1, -0.1, 0.0), (0.0, 0.5, 0.5), (0.8, 0.2), (float("nan"), 0.1, 0.1)]
)
def test_sizes_that_are_no_fractions_are_refused(sizes: tuple[float, float, float]) -> None:
    with pytest.raises(MolftError, match="sum to 1"):
        part_counts(10, sizes)


def test_no_rows_and_wrong_keys_are_refused() -> None:
    with pytest.raises(MolftError, match="no rows to split"):
        number([])
    with pytest.raises(MolftError, match="2 keys for 3 rows"):
        join(number(["a", "b", "c"]), ["x", "y"])
