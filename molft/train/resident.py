"""How much memory is held now and was held at most: by torch's allocator on a GPU, else by this process.

On Linux the kernel keeps the highest resident set and forgets it on demand (``VmHWM`` and ``clear_refs`` in
``man 5 proc``), so the peak of a single step can be read. Where it can't be forgotten (macOS, a locked
``/proc``), the highest of the whole run stands for it: then more is taken to be needed than is.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path

import torch

from molft.errors import MolftError

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"
_TASKS = Path("/proc/self/task")
_CHILD = 250_000_000  # of a process that reads molecules, by measurement
_MMAP_THRESHOLD, _LARGE = -3, 1 << 18  # mallopt's name for it in glibc's malloc.h; bytes
_FEW_KERNELS = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "48")
_ALLOCATORS_WORDS = ("can't allocate memory", "cannot allocate memory", "out of memory", "bad_alloc")


def used(device: torch.device) -> int:
    """Bytes held now."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _status("VmRSS") if _STATUS.exists() else _highest()


def peak(device: torch.device) -> int:
    """Bytes held at most since :func:`forget_peak`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _status("VmHWM") if _STATUS.exists() else _highest()


def forget_peak(device: torch.device) -> None:
    """Let :func:`peak` begin anew, where that can be had."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR.exists():
        with suppress(OSError):
            _CLEAR.write_text(_FORGET_PEAK)


def peak_of_child() -> int:
    """Bytes that the largest child process held at most; a guess where the kernel doesn't tell."""
    peaks = [_CHILD]
    with suppress(OSError):
        children = [c for task in _TASKS.iterdir() for c in (task / "children").read_text().split()]
        peaks = [_read_status(Path("/proc") / child / "status", "VmHWM") for child in children] or peaks
    return max(peaks)


def keep_within(device: torch.device, size: int) -> None:
    """Let the allocator know of a budget.

    On a GPU, torch may then not take more than ``size`` bytes. On a CPU, glibc gives large blocks back to the
    system as soon as they are free, so that what is resident is what is in use; other allocators stay as
    they are. oneDNN, which keeps up to 1,024 compiled products of 0.1 to 0.5 MB each, is to keep few of them;
    it reads that when it compiles the first.
    """
    if device.type == "cuda":
        number = torch.cuda.current_device() if device.index is None else device.index
        total = torch.cuda.get_device_properties(number).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, size / total), number)
    elif sys.platform == "linux":
        os.environ.setdefault(*_FEW_KERNELS)
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)


def give_back(device: torch.device) -> None:
    """Return to the system what glibc holds and nobody uses; on a GPU that doesn't count as held."""
    if device.type != "cuda" and sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory could not be had: CUDA's, Python's, or that of torch on a CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error).lower() for word in _ALLOCATORS_WORDS)


def format_memory(size: float) -> str:
    """Bytes for people, in MB below 10 GB.

    >>> format_memory(4e8), format_memory(2**34)
    ('400 MB', '17.2 GB')
    """
    return f"{size / 1e6:,.0f} MB" if size < 1e10 else f"{size / 1e9:,.1f} GB"


def _status(name: str) -> int:
    return _read_status(_STATUS, name)


def _read_status(path: Path, name: str) -> int:
    """An entry of a process's status, which counts in KiB."""
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise MolftError(f"{path} has no {name}; leave --memory out and choose --batch-size instead")


def _highest() -> int:
    """The highest resident set of the process so far."""
    if sys.platform == "win32":
        raise MolftError("memory can't be measured on Windows; leave --memory out and choose --batch-size")
    import resource

    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024
