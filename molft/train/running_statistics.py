"""Running statistics of batch normalisation: of a step in parts, and of graphs that shall not count.

Each part is normalised by itself, and each would move the running statistics on: many parts would forget
faster than few, and processes would drift apart. So every part begins with the statistics of the last
step, and the mean of what they come to is kept: with one part nothing changes, and it doesn't matter which
process computes which part.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from molft.train.processes import Processes


class RunningStatistics:
    """The statistics of one step, of what is in training mode; make it before the first part."""

    def __init__(self, model: nn.Module) -> None:
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d) and m.training]
        self.values = [b for m in norms for b in (m.running_mean, m.running_var) if b is not None]
        self.start = [value.clone() for value in self.values]
        self.total = [torch.zeros_like(value) for value in self.values]

    def end_part(self) -> None:
        """Remember what the part came to, and go back to the start."""
        for value, start, total in zip(self.values, self.start, self.total, strict=True):
            total += value
            value.copy_(start)

    def end_step(self, parts: int, processes: Processes) -> None:
        """Take the mean over all parts of all processes."""
        processes.sum(self.total)
        for value, total in zip(self.values, self.total, strict=True):
            value.copy_(total / parts)


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[None]:
    """While inside, batches are normalised by themselves, in eval mode too, and leave no trace.

    For graphs that are no whole molecules: their statistics would spoil those that molecules need later.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)]
    kept = [(norm, norm.training, norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.training, norm.momentum = True, 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, training, momentum, batches in kept:
            norm.training, norm.momentum, norm.num_batches_tracked = training, momentum, batches
