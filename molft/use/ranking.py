"""The best rows of a stream, with memory for these alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Ranking:
    """The ``size`` best rows so far by a column of numbers, best first; of equals the earlier row is better.

    Rows without a number are never among them. ``best`` is None until the first rows were shown.
    """

    def __init__(self, size: int, column: str, ascending: bool) -> None:
        self.size = size
        self.column = column
        self.ascending = ascending
        self.best: pa.Table | None = None

    def admit(self, rows: pa.Table) -> pa.Table:
        """Show the ranking more rows; returns those that are now among the best, in their given order.

        Showing only what was returned, block by block, to a new ranking gives the same ranking.
        """
        known = 0 if self.best is None else len(self.best)
        pool = rows if self.best is None else pa.concat_tables([self.best, rows])
        scores = self._scores(pool)
        order = np.argsort(scores, kind="stable")
        chosen = order[: min(self.size, int((~np.isnan(scores)).sum()))]
        self.best = pool.take(chosen).combine_chunks()
        return rows.take(np.sort(chosen[chosen >= known] - known))

    def _scores(self, rows: pa.Table) -> NDArray[np.float64]:
        """Numbers of which the lowest is best; NaN, which sorts last, for none."""
        values = rows.column(self.column).to_numpy(zero_copy_only=False).astype(np.float64)
        return values if self.ascending else -values
