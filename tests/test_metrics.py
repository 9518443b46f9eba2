"""Run with: pytest tests/test_metrics.py

Oracle: scikit-learn and SciPy on the rows repeated as often as they are drawn.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn import metrics as oracle

from molft.errors import MolftError
from molft.use import metrics
from molft.use.metrics import Metric

Array = NDArray[np.float64]


def once(formula: Metric, labels: list[float], predictions: list[float]) -> float:
    value = formula(np.array(labels, float), np.array(predictions, float), np.ones((1, len(labels))))
    assert value.shape == (1,)
    return float(value[0])


@pytest.mark.parametrize(
    ("formula", "predictions", "expected"),
    [
        (metrics.roc_auc, [0.1, 0.4, 0.35, 0.8], 0.75),  # 3 of the 4 pairs are in order
        (metrics.roc_auc, [0.5, 0.5, 0.5, 0.5], 0.5),
        (metrics.roc_auc, [0.9, 0.8, 0.2, 0.1], 0.0),
        (metrics.pr_auc, [0.1, 0.4, 0.35, 0.8], (1 + 2 / 3) / 2),
        (metrics.pr_auc, [0.5, 0.5, 0.5, 0.5], 0.5),
        (metrics.mcc, [0.1, 0.2, 0.7, 0.8], 1.0),
        (metrics.mcc, [0.7, 0.8, 0.1, 0.2], -1.0),
        (metrics.mcc, [0.1, 0.1, 0.1, 0.1], 0.0),
        (metrics.brier, [0.0, 0.5, 1.0, 0.5], 0.125),
        (metrics.ece, [0.05, 0.05, 0.95, 0.95], 0.05),
        (metrics.ece, [0.0, 1.0, 1.0, 1.0], 0.25),
    ],
)
def test_four_rows_by_hand(formula: Metric, predictions: list[float], expected: float) -> None:
    assert once(formula, [0, 0, 1, 1], predictions) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (metrics.rmse, (3 / 4) ** 0.5),
        (metrics.mae, 3 / 4),
        (metrics.r2, 1 - 3 / 5),
        (metrics.spearman, 0.9486833),  # ranks 1 2 3 4 against 1 2.5 2.5 4
    ],
)
def test_four_values_by_hand(formula: Metric, expected: float) -> None:
    assert once(formula, [1, 2, 3, 4], [2, 3, 3, 5]) == pytest.approx(expected)


def test_mcc_calls_at_the_threshold() -> None:
    assert once(partial(metrics.mcc, threshold=0.3), [0, 1], [0.2, 0.3]) == 1


@pytest.mark.parametrize(
    ("rows", "actives", "expected"),
    [
        (300, [0, 1, 2], 100),  # all three places of the top 1 % are actives, 1 % of the rows are
        (300, [0, 150, 250], 100 / 3),
        (300, [3, 4, 5], 0),
        (50, [0], 50),  # 1 % of 50 is rounded up to one place
        (301, [3], 301 / 4),  # and of 301 to four
    ],
)
def test_enrichment_by_hand(rows: int, actives: list[int], expected: float) -> None:
    labels = np.zeros(rows)
    labels[actives] = 1
    assert once(metrics.enrichment, labels.tolist(), list(np.linspace(1, 0, rows))) == pytest.approx(expected)


def test_enrichment_of_tied_predictions_is_what_chance_gives() -> None:
    assert once(metrics.enrichment, [1] * 10 + [0] * 190, [0.5] * 200) == pytest.approx(1)


def test_bounds_kept_by_hand() -> None:
    formula = partial(metrics.bounds_kept, bounds=np.array([1, 1, -1, -1], np.int8))
    assert once(formula, [10, 10, 5, 5], [12, 8, 3, 5]) == 0.75


ORACLES: list[tuple[Metric, Callable[[Array, Array], float], bool]] = [
    (metrics.roc_auc, oracle.roc_auc_score, True),
    (metrics.pr_auc, oracle.average_precision_score, True),
    (metrics.mcc, lambda labels, guess: oracle.matthews_corrcoef(labels, guess >= 0.5), True),
    (metrics.brier, oracle.brier_score_loss, True),
    (metrics.rmse, oracle.root_mean_squared_error, False),
    (metrics.mae, oracle.mean_absolute_error, False),
    (metrics.r2, oracle.r2_score, False),
    (metrics.spearman, lambda labels, guess: spearmanr(labels, guess).statistic, False),
]


@pytest.mark.parametrize(("formula", "expected", "classes"), ORACLES)
@pytest.mark.parametrize("decimals", [1, 9], ids=["tied", "distinct"])
def test_every_resample_equals_the_oracle(
    formula: Metric, expected: Callable[[Array, Array], float], classes: bool, decimals: int
) -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(60) < 0.3).astype(float)
    guess = np.round(0.3 * labels + 0.7 * rng.random(60), decimals)
    labels = labels if classes else np.round(1e4 + labels + rng.normal(size=60), decimals)
    weights = rng.multinomial(60, np.full(60, 1 / 60), 12).astype(float)
    picked = [np.repeat(np.arange(60), row.astype(int)) for row in weights]
    wanted = [expected(labels[rows], guess[rows]) for rows in picked]
    np.testing.assert_allclose(formula(labels, guess, weights), wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("formula", [metrics.roc_auc, metrics.pr_auc, metrics.mcc, metrics.enrichment])
def test_one_class_has_no_value(formula: Metric) -> None:
    assert np.isnan(once(formula, [0, 0, 0], [0.1, 0.2, 0.3]))
    assert np.isnan(once(formula, [1, 1, 1], [0.1, 0.2, 0.3]))


@pytest.mark.parametrize("formula", [metrics.r2, metrics.spearman])
def test_labels_that_do_not_vary_have_no_value(formula: Metric) -> None:
    assert np.isnan(once(formula, [0.1, 0.1, 0.1], [0.1, 0.2, 0.3]))


@pytest.mark.parametrize("formula", [metrics.ece, metrics.enrichment, *(row[0] for row in ORACLES)])
def test_a_resample_without_any_of_the_rows_has_no_value(formula: Metric) -> None:
    weights = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    value = formula(np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.9, 0.4]), weights)
    assert np.isnan(value).tolist() == [True, False]


def test_other_classes_are_refused() -> None:
    metrics.check_classes(np.array([[0, 1, np.nan]]))
    with pytest.raises(MolftError, match=r"a class label is 5\.3, expected 0 or 1; is this a regression"):
        metrics.check_classes(np.array([[0, 5.3]]))
    with pytest.raises(MolftError, match="a class label is -1"):
        metrics.check_classes(np.array([-1.0, 1.0]))
