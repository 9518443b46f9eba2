"""Published numbers: each has a source, and the rows have the means that the papers print."""

import numpy as np
import pytest

from molft.use.benchmark_data import NAMES
from molft.use.published import KEPT, SNAP_SETS, SOURCES, SPLITS, find_published, published

# Means over the sets as printed by the papers (MORE's are over seven sets, without MUV).
MEANS = {
    "none": 67.0,
    "Infomax": 70.3,
    "EdgePred": 70.3,
    "AttrMasking": 71.2,
    "ContextPred": 70.9,
    "supervised + ContextPred": 74.2,
    "none, re-run": 64.4,
    "ContextPred, re-run": 68.7,
    "GraphLoG": 73.4,
    "GraphMAE": 73.8,
    "GraphMVP": 71.7,
    "GraphFP": 74.0,
    "Mole-BERT": 74.0,
}


def test_every_number_says_where_it_is_from() -> None:
    for name in NAMES:
        for number in published(name):
            assert number.source in SOURCES and number.paper, number
            assert 0 < number.value < 100 and number.spread is not None


@pytest.mark.parametrize(("method", "mean"), MEANS.items())
def test_the_rows_have_the_means_that_the_papers_print(method: str, mean: float) -> None:
    found = [find_published(name, method) for name in SNAP_SETS]
    values = [number.value for number in found if number is not None]
    assert len(values) == (7 if "re-run" in method else 8)
    assert np.mean(values) == pytest.approx(mean, abs=0.06)


def test_all_methods_are_checked_above() -> None:
    assert {number.method for name in SNAP_SETS for number in published(name)} == set(MEANS)


def test_numbers_in_their_columns() -> None:
    bace, muv = find_published("bace", "none"), find_published("muv", "supervised + ContextPred")
    assert bace is not None and (bace.value, bace.spread, bace.source) == (70.1, 5.4, "recalled")
    assert muv is not None and muv.text == "81.3±2.1"
    best = find_published("bace", "best")
    assert best is not None and (best.method, best.value) == ("supervised + ContextPred", 84.5)
    assert find_published("muv", "none, re-run") is None
    assert published("esol") == () and find_published("esol", "best") is None
    gin = find_published("ogbg-molpcba", "none")
    assert gin is not None and gin.value == 22.66


def test_every_moleculenet_set_has_its_counts_and_split() -> None:
    assert set(SPLITS) == set(KEPT) == {name for name in NAMES if not name.startswith("ogbg")}
    assert KEPT["bbbp"] == 2039 == sum(SPLITS["bbbp"][0])
    assert KEPT["muv"] == 93087
