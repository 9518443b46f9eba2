"""The best rows of a stream, with memory for these alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True)
class Quota:
    """At most ``most`` rows of one group; ``group`` names it from the row's cell in ``column``."""

    most: int
    column: str
    group: Callable[[str], str]


class Ranking:
    """The ``size`` best rows so far by a column of numbers, best first; of equals the earlier row is better.

    With a quota: what is taken by going down all rows so far from the best and leaving out those whose group
    has its number already. Such a choice never comes back to a row that it has left out (it is the greedy
    basis of a matroid), so that it is exact with memory for ``size`` rows, and only rows good enough to be
    among them are asked for their group.

    Rows without a number are never among them. ``best`` is None until the first rows were shown.
    """

    def __init__(self, size: int, column: str, ascending: bool, quota: Quota | None = None) -> None:
        self.size = size
        self.column = column
        self.ascending = ascending
        self.quota = quota
        self.best: pa.Table | None = None
        self._groups: list[str] = []

    def admit(self, rows: pa.Table) -> pa.Table:
        """Show the ranking more rows; returns those that are now among the best, in their given order.

        Showing only what was returned, block by block, to a new ranking gives the same ranking.
        """
        known = 0 if self.best is None else len(self.best)
        pool = rows if self.best is None else pa.concat_tables([self.best, rows])
        scores = self._scores(pool)
        order = np.argsort(scores, kind="stable")[: int((~np.isnan(scores)).sum())]
        chosen = order[: self.size] if self.quota is None else self._share_out(self.quota, pool, order)
        self.best = pool.take(chosen).combine_chunks()
        return rows.take(np.sort(chosen[chosen >= known] - known))

    def _scores(self, rows: pa.Table) -> NDArray[np.float64]:
        """Numbers of which the lowest is best; NaN, which sorts last, for none."""
        values = rows.column(self.column).to_numpy(zero_copy_only=False).astype(np.float64)
        return values if self.ascending else -values

    def _share_out(self, quota: Quota, pool: pa.Table, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places of the rows to keep, given all places from the best row down."""
        cells, taken = pool.column(quota.column), Counter[str]()

        def chosen() -> Iterator[tuple[int, str]]:
            for place in order.tolist():
                # The rows that were the best before stand first in the pool; their groups are known.
                known = place < len(self._groups)
                group = self._groups[place] if known else quota.group(cells[place].as_py())
                if taken[group] < quota.most:
                    taken[group] += 1
                    yield place, group

        kept = list(islice(chosen(), self.size))
        self._groups = [group for _, group in kept]
        return np.array([place for place, _ in kept], np.int64)
