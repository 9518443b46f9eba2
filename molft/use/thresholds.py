"""Where a probability becomes a call: the threshold of each task, chosen on validation molecules."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from molft.errors import MolftError

DEFAULT_THRESHOLD = 0.5
"""What a task gets that has nothing to choose by: no labels, one class, or predictions missing."""


def choose_thresholds(
    labels: NDArray[np.floating], probabilities: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Choose for each task the threshold with the best Matthews correlation (:func:`metrics.mcc`).

    Candidates lie half-way between neighbouring probabilities; of equally good ones the nearest to 0.5
    wins. A probability at or above the threshold is a call of class 1. NaN labels are left out. Shapes
    that disagree give :class:`MolftError`.

    Shapes: labels, probabilities [B, T] -> [T].

    >>> choose_thresholds(np.array([[0.0], [0.0], [1.0]]), np.array([[0.1], [0.2], [0.3]])).round(6).tolist()
    [0.25]
    """
    truth, guess = np.asarray(labels, np.float64), np.asarray(probabilities, np.float64)
    if truth.ndim != 2 or truth.shape != guess.shape:
        raise MolftError(
            f"labels of shape {truth.shape}, probabilities of shape {guess.shape}; "
            "expected [molecules, tasks] for both"
        )
    return np.array([_choose(*pair) for pair in zip(truth.T, guess.T, strict=True)], np.float64)


def _choose(labels: NDArray[np.float64], probabilities: NDArray[np.float64]) -> float:
    known = ~np.isnan(labels)
    order = np.argsort(-probabilities[known], kind="stable")
    actual, ranked = labels[known][order], probabilities[known][order]
    positives, rows = actual.sum(), len(actual)
    cuts = np.flatnonzero(ranked[:-1] > ranked[1:])  # call the rows up to and with the cut
    if positives in (0, rows) or np.isnan(ranked).any() or not len(cuts):
        return DEFAULT_THRESHOLD
    called, hits = cuts + 1, np.cumsum(actual)[cuts]
    # Never 0: each cut calls at least one row and leaves one.
    quality = (hits * rows - positives * called) / np.sqrt(called * (rows - called))
    middle = (ranked[cuts] + ranked[cuts + 1]) / 2
    best = np.flatnonzero(quality >= quality.max() - 1e-12 * rows)
    return float(middle[best[np.argmin(np.abs(middle[best] - DEFAULT_THRESHOLD))]])
