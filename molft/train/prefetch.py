"""The next batch made while the device computes this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Batch = TypeVar("Batch")
Rows = NDArray[np.int64]


class Prefetch(Generic[Batch]):
    """Makes batches of ``rows``, one ahead in a thread if ``on``: where a GPU computes, the CPU is free."""

    def __init__(self, make: Callable[[Rows], Batch], on: bool) -> None:
        self.on = on
        self._make = make
        self._pool = ThreadPoolExecutor(1, "molft-batch")
        self._ready: tuple[Rows, Future[Batch]] | None = None

    def through(self, batches: Sequence[Rows]) -> Iterator[Rows]:
        """The rows of one batch after the other; that of the next ones begins before these are used."""
        coming: tuple[Rows, Future[Batch]] | None = None
        for number, rows in enumerate(batches):
            self._ready = coming
            coming = None
            if self.on and number + 1 < len(batches):
                coming = (batches[number + 1], self._pool.submit(self._make, batches[number + 1]))
            yield rows

    def take(self, rows: Rows) -> Batch:
        """The batch of some rows: the one that was made ahead, or made now."""
        ready, self._ready = self._ready, None
        return ready[1].result() if ready is not None and ready[0] is rows else self._make(rows)
