"""What the child processes run in test_worker.py; it imports little, so that they start fast."""

import itertools
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from molft.errors import MolftError

FATES = {
    "abort": os.abort,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segv": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "exit": lambda: os._exit(0),
    "hang": lambda: all(itertools.repeat(True)),
    "sleep": lambda: time.sleep(3600),
    "pause": lambda: time.sleep(1),
    "memory": lambda: bytearray(8 << 30),
}


def act(rows: Sequence[str], *, lost: Mapping[int, str], suffix: str = "") -> list[str]:
    """Do what the row says, and return what became of each."""
    done = []
    for number, row in enumerate(rows):
        if number in lost:
            done.append(lost[number])
            continue
        if row in FATES:
            FATES[row]()
        done.append(row + suffix)
    return done


def loaded(rows: Sequence[str], *, lost: Mapping[int, str]) -> list[str]:
    import molft.chem.prepare  # noqa: F401

    return sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "pandas", "sklearn", "rdkit"})


def fail(rows: Sequence[str], *, lost: Mapping[int, str]) -> list[str]:
    if "bad option" in rows:
        raise MolftError("no such scheme")
    return [str(1 // len(row)) for row in rows]


def too_much_at_once(rows: Sequence[str], *, lost: Mapping[int, str]) -> list[str]:
    """Die of more than three rows, whatever they hold."""
    if len(rows) - len(lost) > 3:
        os.abort()
    return [lost.get(number, row) for number, row in enumerate(rows)]


def die_once(rows: Sequence[str], *, lost: Mapping[int, str], marker: Path) -> list[str]:
    if not marker.exists():
        marker.touch()
        os.abort()
    return [*rows]


def die_always(rows: Sequence[str], *, lost: Mapping[int, str]) -> list[str]:
    os.abort()


def tell_tunables(rows: Sequence[str], *, lost: Mapping[int, str]) -> list[str]:
    return [os.environ["GLIBC_TUNABLES"]]


def count_threads(rows: Sequence[str], *, lost: Mapping[int, str]) -> list[str]:
    return [os.environ["OMP_NUM_THREADS"], str(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)]
