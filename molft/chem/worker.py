"""Run chemistry on many strings in processes, so that no molecule can hang, crash or exhaust the run.

RDKit can't be interrupted, and a crash in it takes the whole process along. So blocks of rows are sent to
child processes that import RDKit and NumPy only, each with a kernel timer and a memory limit. When a
child dies, its block is run again in ever smaller parts until the guilty rows are known, then once more
without them: these rows come back as ``crashed`` or ``timeout``, all others keep their result.

The children are plain interpreters, not ``multiprocessing`` ones: those import the caller's main script
again, and with it torch, and don't start at all from a script without a ``__main__`` guard.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from molft.errors import MolftError

Result_co = TypeVar("Result_co", covariant=True)
Result = TypeVar("Result")

# A dead block is cut into this many parts, these again: three levels reach one row in 4,096, and a row
# that hangs costs three time-outs, where halving would cost thirteen.
_PARTS = 16
# How often a block may die before all of it is given up: the second run is without the guilty rows.
_ROUNDS = 3
# Address space of a child; legal molecules stay below 1 GiB, and the interpreter takes about 1 GiB itself.
_MEMORY = 4 << 30
_OUT_OF_MEMORY = 3
# A run may take this many times as long by the clock as it may compute: a busy machine is not a bad molecule.
_STARVED = 30

_START = (
    "import sys; sys.path[:] = {path!r}; from molft.chem.worker import serve; serve({handle}, {timeout!r})"
)
# One thread per child: the children are the parallelism.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# A molecule is some thousand small pieces of memory, a third of the time of reading it. glibc keeps 7 of each
# size at hand unless told otherwise ("Memory Allocation Tunables" in its manual), and other C libraries don't
# read this.
_TUNABLES = "GLIBC_TUNABLES"
_KEEP_PIECES = "glibc.malloc.tcache_count=1000:glibc.malloc.hugetlb=1"


class RowFunction(Protocol[Result_co]):
    """What runs in the children: a module-level function (or a partial of one) of the rows of a block.

    ``lost`` names the rows (counted within the block) that must not be touched, with the reason,
    ``"crashed"`` or ``"timeout"``; the result covers them all the same.
    """

    def __call__(self, rows: Sequence[str], /, *, lost: Mapping[int, str]) -> Result_co:
        """Return the result for all rows."""


def count_cores() -> int:
    """Cores that this process may use; none on Windows, where worker processes can't be had."""
    if os.name == "nt":
        return 0
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_blocks(
    function: RowFunction[Result],
    blocks: Iterable[Sequence[str]],
    workers: int,
    timeout_s: float = 60.0,
    ahead: int = 2,
) -> Generator[Result, None, None]:
    """Yield ``function(block, lost=...)`` for every block, in order.

    The processes start at once, with the first blocks, but for one that waits until a result is asked for;
    after that ``blocks`` is consumed lazily: at most ``ahead`` blocks per worker are taken but not yet
    yielded. With ``workers=0`` all runs in this process, without protection. ``timeout_s`` bounds the
    processor time of each run of a block, so that a busy machine doesn't cost good rows.
    An exception of ``function`` ends the iteration as a :class:`MolftError` with the child's traceback.
    """
    if workers < 0 or timeout_s <= 0 or ahead < 1:
        raise MolftError(
            "workers must be 0 or more, timeout_s above 0 and ahead at least 1, got "
            f"{workers}, {timeout_s} and {ahead}"
        )
    if workers and os.name == "nt":
        raise MolftError("worker processes need Linux or macOS; on Windows run with 0 workers")
    if workers == 0:
        return (function(block, lost={}) for block in blocks)
    results = _map_in_children(function, blocks, workers, timeout_s, ahead)
    next(results)
    return results


def _map_in_children(
    function: RowFunction[Result],
    blocks: Iterable[Sequence[str]],
    workers: int,
    timeout_s: float,
    ahead: int,
) -> Generator[Any, None, None]:
    """Yield None when the processes have their first blocks, then the results."""
    children = [_Child(function, timeout_s) for _ in range(workers)]
    idle: SimpleQueue[_Child[Result]] = SimpleQueue()
    early = max(1, workers - 1)
    for child in children[:early]:
        idle.put(child)

    def run(block: Sequence[str]) -> Result:
        child = idle.get()
        try:
            return _run_block(child, block)
        finally:
            idle.put(child)

    # The threads only wait for their children; they hold no Python lock meanwhile.
    pool = ThreadPoolExecutor(workers, thread_name_prefix="molft-worker")
    source, pending = iter(blocks), deque[Future[Result]]()
    try:
        pending.extend(pool.submit(run, block) for block in islice(source, ahead * workers))
        yield None
        # Till somebody asks for a result, he has a core of his own for what he does meanwhile.
        for child in children[early:]:
            idle.put(child)
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(run, block) for block in islice(source, 1))
    finally:
        for child in children:
            child.close()
        pool.shutdown(wait=True, cancel_futures=True)


def start_worker(function: RowFunction[Result], timeout_s: float = 60.0) -> Callable[[Sequence[str]], Result]:
    """``function`` of single blocks, run as by :func:`map_blocks` in a child that lives as this process.

    On Windows, which has no such children, it runs in this process, without protection.
    """
    if os.name == "nt":
        return lambda block: function(block, lost={})
    return partial(_run_block, _Child(function, timeout_s))


def _run_block(child: _Child[Result], block: Sequence[str]) -> Result:
    """The result of one block, whatever its rows do to the process."""
    lost: dict[int, str] = {}
    for _ in range(_ROUNDS):
        result, fate = child.run(block, lost)
        if not fate:
            return result
        lost |= _find_guilty(child, block, [row for row in range(len(block)) if row not in lost])
    # It dies as a whole, by no row alone (memory that adds up, say): no row of it is to be had.
    result, fate = child.run(block, {row: lost.get(row, fate) for row in range(len(block))})
    if fate:
        raise MolftError(
            f"a worker process ended ({fate}) on a block of {len(block)} rows even when it left them all out"
        )
    return result


def _find_guilty(child: _Child[Any], block: Sequence[str], rows: Sequence[int]) -> dict[int, str]:
    """Which of the rows end the process when they are alone, and how."""
    guilty: dict[int, str] = {}
    step = -(-len(rows) // _PARTS)
    for start in range(0, len(rows), max(step, 1)):
        part = rows[start : start + step]
        _, fate = child.run([block[row] for row in part], {})
        if fate:
            guilty |= {part[0]: fate} if len(part) == 1 else _find_guilty(child, block, part)
    return guilty


class _Child(Generic[Result]):
    """A child process that is started when it is first needed, and again after each death."""

    def __init__(self, function: RowFunction[Result], timeout_s: float) -> None:
        self._function = function
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection[Any, Any] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def run(self, block: Sequence[str], lost: Mapping[int, str]) -> tuple[Any, str]:
        """Return the result and "", or None and how the child died: ``"crashed"`` or ``"timeout"``."""
        pipe = self._pipe or self._start()
        try:
            pipe.send((block, dict(lost)))
            result, error = pipe.recv()
        except (EOFError, ConnectionError):
            return None, self._bury()
        if error:
            raise MolftError(error)
        return result, ""

    def _start(self) -> Connection[Any, Any]:
        self._pipe, theirs = Pipe()
        with theirs, self._lock:
            if self._closed:
                raise MolftError("the worker processes were stopped")
            start = _START.format(path=sys.path, handle=theirs.fileno(), timeout=self._timeout_s)
            self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and our own code)
                [sys.executable, "-c", start],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=_child_environment(),
            )
        try:
            self._pipe.send(self._function)
            error = self._pipe.recv()
        except (EOFError, ConnectionError):
            error = f"it ended at once ({self._bury()})"
        if error:
            raise MolftError(f"a worker process can't start: {error}")
        return self._pipe

    def _bury(self) -> str:
        """Collect the child that has closed its end, and say how it died."""
        code = self._process.wait() if self._process else None
        self._pipe = None
        return "timeout" if code in (-signal.SIGPROF, -signal.SIGALRM) else "crashed"

    def close(self) -> None:
        """End the child for good; a thread that waits for it meets the end of the pipe."""
        with self._lock:
            self._closed = True
            if self._process:
                self._process.kill()
                self._process.wait()


def _child_environment() -> dict[str, str]:
    """This process's environment, for one thread and many small pieces of memory; what the user set holds."""
    own = os.environ.get(_TUNABLES)
    return os.environ | _ONE_THREAD | {_TUNABLES: f"{_KEEP_PIECES}:{own}" if own else _KEEP_PIECES}


def serve(handle: int, timeout_s: float) -> None:
    """Answer blocks until the parent is gone: what a child process does, and all it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for over in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(over, signal.SIG_DFL)
    _limit_memory()
    pipe: Connection[Any, Any] = Connection(handle)
    try:
        function = pipe.recv()
    except Exception:
        pipe.send(traceback.format_exc())
        return
    pipe.send("")
    while True:
        try:
            block, lost = pipe.recv()
            pipe.send(_answer(function, block, lost, timeout_s))
        except (EOFError, ConnectionError):
            return


def _answer(
    function: RowFunction[Result], block: Sequence[str], lost: Mapping[int, str], timeout_s: float
) -> tuple[Result | None, str]:
    """The result and an empty text, or None and what went wrong."""
    # The kernel ends the process when the time is over: no C++ loop can hold that up, and a child
    # whose parent was killed doesn't run for ever.
    signal.setitimer(signal.ITIMER_PROF, timeout_s)
    signal.setitimer(signal.ITIMER_REAL, _STARVED * timeout_s)
    try:
        return function(block, lost=lost), ""
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    except MolftError as error:
        return None, str(error)
    except Exception:
        return None, f"a block of {len(block)} rows failed in a worker process:\n{traceback.format_exc()}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit_memory() -> None:
    if sys.platform != "linux":
        return  # macOS knows the limit and doesn't keep it
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = _MEMORY if most == resource.RLIM_INFINITY else min(_MEMORY, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
