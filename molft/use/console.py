"""What a run looks like on a terminal, and in a log where there is no terminal.

On a terminal progress is a bar with rate and time left. Piped, it is a plain line every ten seconds or so,
without colour or control characters. Either way finished work leaves one line. Names and cells from the
user's file are shown as they are: never read as markup, and control characters in them are replaced.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, Task, TextColumn
from rich.text import Text

from molft.use.text import clean, format_rate, format_seconds, row_table

_EVERY_S = 10.0


@dataclass
class _Work:
    """One piece of work that is under way: what was first, last and last told of it."""

    what: str
    started: float
    first: int
    done: int
    total: int
    note: str
    now: float
    told: float
    told_done: int = -1

    def pace(self, ended: bool = False) -> list[str]:
        """Done of total, rate, and time left unless the work has ended."""
        rate = self.rate()
        known = self.total > 0 or self.done == 0  # 0 of something: the total is not known
        left = (
            f"{format_seconds((self.total - self.done) / rate)} left" if known and rate and not ended else ""
        )
        told = [
            f"{self.done:,} of {self.total:,}" if known else f"{self.done:,}",
            format_rate(rate) if rate else "",
            left,
        ]
        return [text for text in told if text]

    def rate(self) -> float:
        """Steps in a second since the first report; 0 where there was none after it."""
        seconds = self.now - self.started
        return (self.done - self.first) / seconds if seconds > 0 else 0.0


class ConsoleReporter:
    """The :class:`~molft.use.options.Reporter` of the command line.

    Use it in a ``with`` statement, so that an error or Ctrl-C leaves the terminal as it was. ``clock``
    gives seconds.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or Console()
        self._clock = clock
        self._work: _Work | None = None
        self._bar: _Bar | None = None

    def __enter__(self) -> Self:
        """Begin; nothing is shown yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the work under way, if any, and give the terminal back."""
        self.close()

    def line(self, text: str) -> None:
        """Show a sentence (or several lines); work under way counts as ended."""
        self.close()
        self._print(text)

    def rows(self, title: str, rows: Sequence[tuple[str, ...]]) -> None:
        """Show a small table below its title; work under way counts as ended."""
        self.close()
        self.console.print(row_table(title, rows))

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Show that ``done`` of ``total`` steps of ``what`` are done; other work under way is ended first."""
        now = self._clock()
        if self._work is None or self._work.what != what:
            self.close()
            self._work = _Work(what, now, done, done, total, note, now, told=now)
            if self.console.is_terminal and not self.console.is_dumb_terminal:
                self._bar = _Bar(self.console)
        work = self._work
        work.done, work.total, work.note, work.now = done, total, note, now
        if done >= total and (total > 0 or done == 0):
            self.close()
        elif self._bar:
            self._bar.show(work)
            self._bar.start()
        elif now - work.told >= _EVERY_S:
            self._tell(work, ended=False)

    def close(self) -> None:
        """End the work under way: its bar goes, and one line says how far it came."""
        if self._bar:
            self._bar.stop()
        work, self._work, self._bar = self._work, None, None
        if work and work.told_done != work.done:
            self._tell(work, ended=True)

    def _tell(self, work: _Work, ended: bool) -> None:
        work.told, work.told_done = work.now, work.done
        said = [*work.pace(ended), work.note] if work.note else work.pace(ended)
        self._print(f"{work.what}: {', '.join(said)}")

    def _print(self, text: str) -> None:
        # Soft wrap: the terminal breaks long lines, and in a log a line stays one line.
        self.console.print(Text(clean(text)), soft_wrap=True)


class _Bar(Progress):
    """A bar with rate and time left, and the note in a line of its own; gone when it is stopped."""

    _note = ""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(None), _Pace())
        super().__init__(*columns, console=console, transient=True, expand=True, refresh_per_second=4)
        self._task = self.add_task("", total=None)

    def show(self, work: _Work) -> None:
        """Draw the work as it is now."""
        self._note = clean(work.note)
        self.update(
            self._task,
            description=clean(work.what),
            completed=work.done,
            total=work.total or None,
            pace="  ".join(work.pace()),
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bar, and below it the note."""
        yield from super().get_renderables()
        if self._note:
            yield Text(self._note, style="dim", no_wrap=True, overflow="ellipsis")


class _Pace(TextColumn):
    """Done of total, rate and time left, as the bar was told."""

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def render(self, task: Task) -> Text:
        """The text that :meth:`_Bar.show` gave."""
        return Text(task.fields.get("pace", ""), no_wrap=True)
