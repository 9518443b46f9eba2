"""What the answers are made of, and how they are summed up."""

import numpy as np
import pytest

from tests.benchmarks.blends import combine, summarize


def constant(value: float) -> list[np.ndarray]:
    return [np.full((2, 1), value), np.full((3, 1), value)]


def test_answers_are_means_of_what_their_names_say() -> None:
    found = combine([constant(value) for value in (1, 2, 6, 8, 8)], *map(constant, (11, 7, 5, 9)))
    values = {name: [float(part[0, 0]) for part in parts] for name, parts in found.items()}
    assert values == {
        "network x1": [1, 1],
        "network x3": [3, 3],
        "network x5": [5, 5],
        "forest": [11, 11],
        "forest with vectors": [7, 7],
        "gp": [5, 5],
        "gp without vectors": [9, 9],
        "network x1 + forest": [6, 6],
        "network x3 + forest": [7, 7],
        "network x5 + forest": [8, 8],
        "network x3 0.25 + forest": [9, 9],
        "network x3 0.75 + forest": [5, 5],
        "network x3 + forest with vectors": [5, 5],
        "network x3 + gp": [4, 4],
        "network x1 + forest + gp": [17 / 3, 17 / 3],
        "network x3 + forest + gp": [19 / 3, 19 / 3],
        "network x5 + forest + gp": [7, 7],
    }
    assert [part.shape for part in found["network x1"]] == [(2, 1), (3, 1)]


@pytest.mark.filterwarnings("error")
def test_the_summary_leaves_undefined_scores_out() -> None:
    row = {"metric": "roc_auc", "labels": "100", "answer": "forest", "valid": "0.7", "test": "0.6"}
    assert summarize([row, row | {"valid": "0.9", "test": "nan"}]) == [
        "roc_auc, 100 labels: mean validation and test score",
        "  forest                             0.8000 0.6000  2 draws",
    ]
