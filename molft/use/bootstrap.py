"""Percentile bootstrap over molecules (Efron and Tibshirani, An Introduction to the Bootstrap, 1993)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FEWEST_ROWS = 10
"""Below this many rows no interval is given: resamples of so few hardly differ from each other."""

_WEIGHTS_AT_ONCE = 1 << 20


def resample(rows: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Give how often each row is drawn: once each, then in random resamples, some of them at a time.

    The same rows and seed give the same resamples, and a block is never larger than some megabytes.

    Shapes: blocks [1, B], [R1, B], [R2, B], ...; R1 + R2 + ... = ``resamples``.

    >>> [block.tolist() for block in resample(3, 1, seed=0)]
    [[[1.0, 1.0, 1.0]], [[0.0, 2.0, 1.0]]]
    """
    yield np.ones((1, rows))
    generator = np.random.default_rng(seed)
    step = max(1, _WEIGHTS_AT_ONCE // max(rows, 1))
    for start in range(0, resamples if rows else 0, step):
        count = min(step, resamples - start)
        picks = generator.integers(0, rows, (count, rows)) + np.arange(count)[:, None] * rows
        yield np.bincount(picks.ravel(), minlength=count * rows).reshape(count, rows).astype(np.float64)


def find_interval(resampled: NDArray[np.float64], rows: int) -> tuple[float | None, float | None]:
    """Return the middle 95 % of the resamples that have a value (NaN is none).

    ``(None, None)`` for fewer than ``FEWEST_ROWS`` rows, or where under half of the resamples have a value,
    as with two actives among a hundred.
    """
    defined = resampled[~np.isnan(resampled)]
    if rows < FEWEST_ROWS or not len(defined) or 2 * len(defined) < len(resampled):
        return None, None
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)


def average_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the first axis of what is not NaN; NaN where nothing is.  Shapes: [T, R] -> [R]."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    total = np.where(defined, values, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
