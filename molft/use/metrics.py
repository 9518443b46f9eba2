"""The formulae: each metric on weighted rows, for many sets of weights at once.

A weight is how often a row is drawn in a bootstrap resample, so that the number itself (all weights 1) and
its resamples come from one formula. Every function takes labels [n], predictions [n] and weights [R, n] and
gives [R]; NaN where the metric has no value for these weights (a class is missing, nothing varies).
Tied predictions count as half (ROC-AUC), as one cut (PR-AUC), or by their expected share (enrichment).

Shapes: n rows, R sets of weights, G groups of tied values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from molft.errors import MolftError

Array = NDArray[np.float64]

Metric = Callable[[Array, Array, Array], Array]
"""A formula of this module: labels [n], predictions [n], weights [R, n] -> [R]."""

TaskType = Literal["classification", "regression"]

LOWER_IS_BETTER = frozenset({"brier", "ece", "rmse", "mae"})
"""Names of metrics of which the smaller value wins; of all others the larger."""

_CALIBRATION_BINS = 10


def check_classes(labels: Array) -> None:
    """Raise :class:`MolftError` unless every label is 0, 1 or NaN (missing)."""
    odd = labels[~np.isin(labels, (0, 1)) & ~np.isnan(labels)]
    if len(odd):
        raise MolftError(f"a class label is {odd[0]:g}, expected 0 or 1; is this a regression task?")


def roc_auc(labels: Array, predictions: Array, weights: Array) -> Array:
    """Area under the ROC curve: how often an active stands above an inactive (Hanley and McNeil 1982)."""
    positive, total = _tied_sums(predictions, weights, labels)
    negative = total - positive
    below = np.cumsum(negative, axis=1) - negative
    wins = (positive * (below + negative / 2)).sum(axis=1)
    return _divide(wins, positive.sum(axis=1) * negative.sum(axis=1))


def pr_auc(labels: Array, predictions: Array, weights: Array) -> Array:
    """Area under the precision-recall curve as average precision: no interpolation between the cuts."""
    positive, total = _tied_sums(-predictions, weights, labels)
    above = np.cumsum(total, axis=1)
    precision = np.divide(np.cumsum(positive, axis=1), above, out=np.zeros_like(above), where=above > 0)
    value = _divide((positive * precision).sum(axis=1), positive.sum(axis=1))
    return np.where(positive.sum(axis=1) < above[:, -1], value, np.nan)


def mcc(labels: Array, predictions: Array, weights: Array, threshold: float = 0.5) -> Array:
    """Matthews correlation of ``prediction >= threshold`` with the class; 0 where all go to one side.

    Source: Matthews, Biochim. Biophys. Acta 405, 442 (1975).
    """
    called = (predictions >= threshold).astype(np.float64)
    total, actual, positive = weights.sum(axis=1), weights @ labels, weights @ called
    hits = weights @ (labels * called)
    spread = np.sqrt(actual * (total - actual) * positive * (total - positive))
    value = np.divide(hits * total - actual * positive, spread, out=np.zeros_like(spread), where=spread > 0)
    return np.where((actual > 0) & (actual < total), value, np.nan)


def enrichment(labels: Array, predictions: Array, weights: Array, fraction: float = 0.01) -> Array:
    """Share of actives among the best-ranked ``fraction`` of the rows, over their share among all rows.

    The fraction is rounded up to whole rows, at least one. 1 is what chance gives.
    """
    positive, total = _tied_sums(-predictions, weights, labels)
    rows, actives = total.sum(axis=1), positive.sum(axis=1)
    # 1e-9: 0.01 * 300 is a hair above 3 in floating point, and the top 1 % of 300 rows are 3, not 4.
    top = np.maximum(np.ceil(fraction * rows - 1e-9), 1)
    free = top[:, None] - (np.cumsum(total, axis=1) - total)
    taken = np.divide(np.clip(free, 0, total), total, out=np.zeros_like(total), where=total > 0)
    value = _divide((positive * taken).sum(axis=1) * rows, top * actives)
    return np.where(actives < rows, value, np.nan)


def brier(labels: Array, predictions: Array, weights: Array) -> Array:
    """Mean squared distance between probability and class (Brier 1950); 0.25 is what a coin scores."""
    return _mean((predictions - labels) ** 2, weights)


def ece(labels: Array, predictions: Array, weights: Array) -> Array:
    """Expected calibration error: mean distance of probability and frequency over ten equal bins.

    Source: Naeini et al., AAAI 2015.
    """
    place = np.minimum((predictions * _CALIBRATION_BINS).astype(np.int64), _CALIBRATION_BINS - 1)
    bins = (place[:, None] == np.arange(_CALIBRATION_BINS)) * (predictions - labels)[:, None]
    return _divide(np.abs(weights @ bins).sum(axis=1), weights.sum(axis=1))


def rmse(labels: Array, predictions: Array, weights: Array) -> Array:
    """Root of the mean squared error, in the unit of the labels."""
    return np.sqrt(_mean((predictions - labels) ** 2, weights))


def mae(labels: Array, predictions: Array, weights: Array) -> Array:
    """Mean absolute error, in the unit of the labels."""
    return _mean(np.abs(predictions - labels), weights)


def r2(labels: Array, predictions: Array, weights: Array) -> Array:
    """Share of the labels' variance that is explained; negative where their own mean would do better."""
    centred = labels - labels.mean()  # keeps the difference of squares below exact for labels far from 0
    variance = _mean(centred**2, weights) - _mean(centred, weights) ** 2
    # What rounding leaves of a variance of zero is no variance.
    varied = variance > 1e-12 * np.max(centred**2, initial=0.0)
    return 1 - _divide(_mean((predictions - labels) ** 2, weights), np.where(varied, variance, 0))


def spearman(labels: Array, predictions: Array, weights: Array) -> Array:
    """Correlation of the ranks (Spearman 1904); tied values share their mean rank."""
    first, second = _centred_ranks(labels, weights), _centred_ranks(predictions, weights)
    shared = (weights * first * second).sum(axis=1)
    spread = (weights * first**2).sum(axis=1) * (weights * second**2).sum(axis=1)
    return _divide(shared, np.sqrt(spread))


def bounds_kept(labels: Array, predictions: Array, weights: Array, bounds: NDArray[np.int8]) -> Array:
    """Share of censored rows whose prediction lies on the side the label leaves open.

    ``bounds`` [n] is +1 where the true value is above the label (``>10``), -1 where it is below.
    """
    return _mean(((predictions - labels) * bounds >= 0).astype(np.float64), weights)


def _centred_ranks(values: Array, weights: Array) -> Array:
    """Ranks within each resample minus their mean.  Shapes: [n], [R, n] -> [R, n]."""
    _, group = np.unique(values, return_inverse=True)
    _, total = _tied_sums(values, weights, np.zeros_like(values))
    rank = (np.cumsum(total, axis=1) - total / 2)[:, group]
    return rank - _divide((weights * rank).sum(axis=1), weights.sum(axis=1))[:, None]


def _tied_sums(values: Array, weights: Array, labels: Array) -> tuple[Array, Array]:
    """Weight of the positives, and of all rows, at each distinct value from the lowest up.

    Shapes: [n], [R, n], [n] -> two of [R, G].
    """
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)
    ordered = weights[:, order]
    return np.add.reduceat(ordered * labels[order], starts, axis=1), np.add.reduceat(ordered, starts, axis=1)


def _mean(values: Array, weights: Array) -> Array:
    return _divide(weights @ values, weights.sum(axis=1))


def _divide(numerator: Array, denominator: Array) -> Array:
    """Quotient, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator != 0)
