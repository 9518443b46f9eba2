"""Run with: pytest tests/test_thresholds.py"""

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from molft.errors import MolftError
from molft.use.thresholds import choose_thresholds

NAN = float("nan")


def choose(labels: list[float], probabilities: list[float]) -> float:
    return float(choose_thresholds(np.array([labels]).T, np.array([probabilities]).T)[0])


@pytest.mark.parametrize(
    ("labels", "probabilities", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], 0.25),
        ([0, 0, 1, NAN], [0.1, 0.2, 0.3, 0.25], 0.25),
        (
            [0, 1, 0, 1],
            [0.1, 0.6, 0.6, 0.9],
            0.35,
        ),  # 0.75 is as good, but further from 0.5
        ([0, 1, 1, 0], [0.1, 0.3, 0.8, 0.95], 0.2),
    ],
)
def test_by_hand(labels: list[float], probabilities: list[float], expected: float) -> None:
    assert choose(labels, probabilities) == pytest.approx(expected)


def test_no_other_threshold_is_better() -> None:
    rng = np.random.default_rng(2)
    labels = (rng.random(150) < 0.1).astype(float)
    probabilities = np.round(0.2 * rng.random(150) + 0.1 * labels, 2)
    chosen = matthews_corrcoef(labels, probabilities >= choose(labels.tolist(), probabilities.tolist()))
    others = [matthews_corrcoef(labels, probabilities >= cut) for cut in np.unique(probabilities)]
    assert chosen == pytest.approx(max(others))


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [
        ([], []),
        ([NAN, NAN], [0.1, 0.2]),
        ([1, 1], [0.1, 0.2]),
        ([0, 0], [0.1, 0.2]),
        ([0, 1], [0.3, 0.3]),
        ([0, 1], [0.3, NAN]),
    ],
    ids=["empty", "unlabelled", "all 1", "all 0", "all tied", "missing"],
)
def test_half_where_there_is_nothing_to_choose_by(labels: list[float], probabilities: list[float]) -> None:
    assert choose(labels, probabilities) == 0.5


def test_each_task_gets_its_own() -> None:
    labels = np.array([[0, 1], [1, 1], [1, 0.0]])
    found = choose_thresholds(labels, np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.1]]))
    np.testing.assert_allclose(found, [0.15, 0.45])


@pytest.mark.parametrize("shape", [(3, 2), (3,), (2, 1)])
def test_shapes_that_disagree(shape: tuple[int, ...]) -> None:
    with pytest.raises(MolftError, match=r"labels of shape \(3, 1\), probabilities of shape"):
        choose_thresholds(np.zeros((3, 1)), np.zeros(shape))
