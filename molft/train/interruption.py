"""A polite end: the system asks a long run to stop, and it stops after the step it is at."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether the run was asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Remember it; a signal handler."""
        self.asked = True


@contextmanager
def catch_sigterm() -> Iterator[Interruption]:
    """While inside, SIGTERM (a batch system's time limit, a shutdown) sets a flag and kills nothing.

    Only the main thread may set handlers; in another one nothing changes.
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = signal.signal(signal.SIGTERM, interruption.ask)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGTERM, before)
