"""Memory of a long run of equal blocks: kept from one to the next, and in large pages.

Every block frees arrays of some ten megabytes and asks for as many again. glibc's allocator takes each from
the kernel and gives it back, and the kernel clears it in pages of 4 KB whenever it is touched anew; so many
small pages also are more than a core's table of them holds. (``man 3 mallopt``, ``man 2 madvise``.)
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Names of glibc's malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -2, -3, -4, -8
_USUAL = {_MMAP_MAX: 65_536, _TRIM_THRESHOLD: 1 << 27, _TOP_PAD: 1 << 17, _MMAP_THRESHOLD: 1 << 25}

_RESERVED = 1 << 30  # bytes of addresses, not of memory: what isn't touched takes none
_PAGE = 1 << 21


@contextmanager
def kept_heap(wanted: bool = True) -> Iterator[None]:
    """Keep what is freed for what is asked for next, in pages of 2 MB, then give back what nobody uses.

    For work that holds about as much all the time: meanwhile the process never has more than at its peak, but
    gives nothing back either. Does nothing where it isn't ``wanted``, and without glibc.
    """
    if not wanted or sys.platform != "linux":
        yield
        return
    with suppress(OSError, AttributeError):  # another C library
        _keep(ctypes.CDLL(None))
    try:
        yield
    finally:
        with suppress(OSError, AttributeError):
            _give_back(ctypes.CDLL(None))


def _keep(libc: ctypes.CDLL) -> None:
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    # One heap for all threads, which grows at its end and isn't cut there.
    for name, value in ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1)):
        libc.mallopt(name, value)
    ahead = libc.malloc(_RESERVED)
    if ahead:  # none where addresses are limited (ulimit -v)
        first = -(-ahead // _PAGE) * _PAGE
        libc.madvise(first, (ahead + _RESERVED - first) // _PAGE * _PAGE, mmap.MADV_HUGEPAGE)
        libc.free(ahead)


def _give_back(libc: ctypes.CDLL) -> None:
    for name, value in _USUAL.items():
        libc.mallopt(name, value)
    libc.malloc_trim(0)
