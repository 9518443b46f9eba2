"""An amount of memory as people write it."""

from __future__ import annotations

import math
import re

from molft.errors import MolftError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_PATTERN = re.compile(r"([0-9]*\.?[0-9]+)\s*([KMGT]?)(I?)B?", re.IGNORECASE)


def parse_memory(text: str) -> int:
    """Bytes of ``4GB``, ``512MB``, ``3.5 GiB``; decimal units count in thousands, binary ones in 1,024.

    A number alone, anything that is no amount, and less than one byte are a :class:`MolftError`.

    >>> parse_memory("4GB"), parse_memory("512 mb"), parse_memory("3.5 GiB")
    (4000000000, 512000000, 3758096384)
    """
    found = _PATTERN.fullmatch(text.strip())
    if found is None or not text.strip()[-1].isalpha() or (found[3] and not found[2]):
        raise MolftError(f"memory {text!r} is no amount; expected a number with a unit, as 4GB or 512MB")
    size = float(found[1]) * (_BINARY if found[3] else _UNITS)[found[2].upper()]
    if not math.isfinite(size) or size < 1:
        raise MolftError(f"memory {text!r} is nothing; expected an amount such as 4GB")
    return int(size)
