"""Which of many strings came before, in little memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_RECENT = 1 << 16


class Seen:
    """Remembers 64 bits of each string: 8 bytes for each, in a sorted array.

    Two of two million strings share them by accident with a probability of one in ten million.
    """

    def __init__(self) -> None:
        self._old = np.zeros(0, np.uint64)
        self._recent: set[int] = set()

    def add(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """Positions of the keys that were not there before, neither earlier in ``keys``; now they are.

        >>> seen = Seen()
        >>> seen.add(["CC", "CO", "CC"]).tolist(), seen.add(["CO", "CN"]).tolist()
        ([0, 1], [1])
        """
        digests = [hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys]
        numbers = np.frombuffer(b"".join(digests), np.uint64)
        fresh = []
        for position in np.flatnonzero(~self._among_old(numbers)).tolist():
            number = int(numbers[position])
            if number not in self._recent:
                self._recent.add(number)
                fresh.append(position)
        if len(self._recent) > _RECENT:
            recent = np.fromiter(self._recent, np.uint64, len(self._recent))
            self._old = np.sort(np.concatenate([self._old, recent]))
            self._recent = set()
        return np.array(fresh, np.int64)

    def _among_old(self, numbers: NDArray[np.uint64]) -> NDArray[np.bool_]:
        if len(self._old) == 0:
            return np.zeros(len(numbers), bool)
        place = np.minimum(np.searchsorted(self._old, numbers), len(self._old) - 1)
        return self._old[place] == numbers
