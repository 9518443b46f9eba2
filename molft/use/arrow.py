"""Columns of Arrow tables from texts and numbers.

``pyarrow.array`` would do, but imports pandas first if it is there, which takes half a second that a screen
has no other use for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def text_column(texts: Sequence[str]) -> pa.StringArray:
    """A column of texts, none of which is missing.

    >>> text_column(["CCO", "", "für"]).to_pylist()
    ['CCO', '', 'für']
    """
    data = "".join(texts).encode()
    lengths = np.fromiter(map(len, texts), np.int32, len(texts))
    if int(lengths.sum(dtype=np.int64)) != len(data):  # a character of more than one byte
        lengths = np.fromiter((len(text.encode()) for text in texts), np.int32, len(texts))
    ends = np.zeros(len(texts) + 1, np.int32)
    np.cumsum(lengths, out=ends[1:])
    return pa.Array.from_buffers(pa.string(), len(texts), [None, pa.py_buffer(ends), pa.py_buffer(data)])


def number_column(values: NDArray[np.floating]) -> pa.FloatingPointArray:
    """A column of numbers; NaN becomes a missing one.

    >>> number_column(np.array([0.5, np.nan])).to_pylist()
    [0.5, None]
    """
    known = pa.py_buffer(np.packbits(~np.isnan(values), bitorder="little"))
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [known, pa.py_buffer(np.ascontiguousarray(values))])
