"""How the learning rate moves, and in which order examples come: functions of the step, nothing to store."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def warmup_cosine(step: int, steps: int, warmup: int, floor: float = 0.0) -> float:
    """Factor on the learning rate at ``step`` (from 0): linear to 1 in ``warmup`` steps, then a half cosine.

    >>> [round(warmup_cosine(s, 10, 2), 3) for s in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.038]
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def epoch_order(rows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of an epoch, int64 [rows]: from seed and epoch alone, so a resumed run repeats nothing."""
    return np.random.default_rng([seed, epoch]).permutation(rows)


def split_evenly(order: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Batches of at most ``batch_size`` whose sizes differ by one at most.

    From ``batch_size`` 3 on, no batch is left with a single molecule, which says little about variance.

    >>> [len(b) for b in split_evenly(np.arange(65), 32)]
    [22, 22, 21]
    """
    return np.array_split(order, max(1, math.ceil(len(order) / batch_size)))
