"""The best rows of a stream."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from molft.use.ranking import Quota, Ranking


def rows(*scores: float | None, start: int = 0) -> pa.Table:
    return pa.table({"row": list(range(start, start + len(scores))), "y": pa.array(scores, pa.float64())})


def kept(table: pa.Table | None) -> list[int]:
    assert table is not None
    return table["row"].to_pylist()


def test_best_first_and_of_equals_the_earlier() -> None:
    ranking = Ranking(3, "y", ascending=False)
    assert kept(ranking.admit(rows(0.1, 0.9, 0.5, 0.9))) == [1, 2, 3]
    assert kept(ranking.best) == [1, 3, 2]
    assert kept(ranking.admit(rows(0.5, 0.6, start=4))) == [5]
    assert kept(ranking.best) == [1, 3, 5]


def test_lowest_first_when_ascending() -> None:
    ranking = Ranking(2, "y", ascending=True)
    ranking.admit(rows(3.0, -7.5, 0.0))
    assert kept(ranking.best) == [1, 2]


@pytest.mark.parametrize("ascending", [True, False])
def test_rows_without_a_number_are_never_ranked(ascending: bool) -> None:
    ranking = Ranking(5, "y", ascending)
    assert kept(ranking.admit(rows(None, 2.0, float("nan"), None))) == [1]
    assert kept(ranking.best) == [1]
    assert kept(ranking.admit(rows(None, start=4))) == []


def test_no_row_at_all_keeps_the_columns() -> None:
    ranking = Ranking(2, "y", ascending=False)
    ranking.admit(rows())
    assert ranking.best is not None and ranking.best.column_names == ["row", "y"]


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_equal_to_sorting_everything_and_to_showing_only_what_was_admitted(
    size: int, ascending: bool
) -> None:
    generator = np.random.default_rng(size)
    scores = generator.integers(0, 40, 300).astype(float)  # many ties
    scores[generator.random(300) < 0.1] = np.nan
    everything = sorted(
        (row for row in range(300) if not np.isnan(scores[row])),
        key=lambda row: (scores[row] if ascending else -scores[row], row),
    )
    first, second = Ranking(size, "y", ascending), Ranking(size, "y", ascending)
    for start in range(0, 300, 25):
        second.admit(first.admit(rows(*scores[start : start + 25], start=start)))
    assert kept(first.best) == everything[:size]
    assert kept(second.best) == everything[:size]


def grouped(scores: list[float], groups: str, start: int = 0) -> pa.Table:
    return rows(*scores, start=start).append_column("group", pa.array(list(groups), pa.string()))


def test_a_quota_leaves_out_the_worse_of_a_group() -> None:
    ranking = Ranking(3, "y", ascending=False, quota=Quota(1, "group", str))
    assert kept(ranking.admit(grouped([0.1, 0.9, 0.8, 0.7, 0.9], "abbca"))) == [1, 3, 4]
    assert kept(ranking.best) == [1, 4, 3]
    # A better b takes the place of the first; d is not good enough, and another c is not better.
    assert kept(ranking.admit(grouped([0.95, 0.6, 0.7], "bdc", start=5))) == [5]
    assert kept(ranking.best) == [5, 4, 3]


def test_two_of_each() -> None:
    ranking = Ranking(4, "y", ascending=True, quota=Quota(2, "group", str))
    ranking.admit(grouped([1, 2, 3, 4, 5, 6], "aaabbb"))
    assert kept(ranking.best) == [0, 1, 3, 4]


def test_only_rows_that_could_be_kept_are_asked_for_their_group() -> None:
    asked: list[str] = []

    def group(cell: str) -> str:
        asked.append(cell)
        return cell

    ranking = Ranking(2, "y", ascending=False, quota=Quota(1, "group", group))
    ranking.admit(grouped([0.5, 0.9, 0.8, 0.1], "abcd"))
    ranking.admit(grouped([0.7, 0.85, 0.2], "efg", start=4))
    assert "".join(asked) == "bcf"


@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_a_quota_block_by_block_is_that_of_sorting_everything(size: int, most: int) -> None:
    generator = np.random.default_rng(size)
    scores = generator.integers(0, 40, 300).astype(float).tolist()
    groups = "".join(generator.choice(list("abcdefghijklmnopqrstuvwxyz"), 300))
    taken: Counter[str] = Counter()
    everything = []
    for row in sorted(range(300), key=lambda row: (-scores[row], row)):
        taken[groups[row]] += 1
        if taken[groups[row]] <= most:
            everything.append(row)
    quota = Quota(most, "group", str)
    first, second = Ranking(size, "y", False, quota), Ranking(size, "y", False, quota)
    for start in range(0, 300, 25):
        end = start + 25
        second.admit(first.admit(grouped(scores[start:end], groups[start:end], start)))
    assert kept(first.best) == kept(second.best) == everything[:size]
