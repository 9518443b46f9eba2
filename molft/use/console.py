"""What a run looks like on a terminal, and in a log where there is no terminal.

On a terminal progress is a bar with rate and time left. Piped, it is a plain line every ten seconds or so,
without colour or control characters. Either way finished work leaves one line. Names and cells from the
user's file are shown as they are: never read as markup, and control characters in them are replaced.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, Task, TextColumn
from rich.table import Table
from rich.text import Text

from molft.use.evaluate import Evaluation
from molft.use.metrics import LOWER_IS_BETTER
from molft.use.model import About
from molft.use.score_rows import (
    METRIC_NAMES,
    PART_NAMES,
    chosen_metric,
    listed_tasks,
    overall,
    shown_metrics,
)
from molft.use.scores import Score
from molft.use.text import clean, format_rate, format_seconds, row_table, shorten

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


def score_table(evaluation: Evaluation, about: About) -> Table:
    """Scores of all answers on the test part, with the validation part beside it.

    The mean over the tasks, then the tasks themselves, or of many the worst and the best. A star marks the
    answer; the caption says why a score is undefined. Made for 80 columns: long names are broken.
    """
    parts = sorted(evaluation.scores, key=list(PART_NAMES).index, reverse=True)
    table = Table(box=box.SIMPLE, pad_edge=False, caption_justify="left", caption_style="")
    table.add_column("", overflow="fold")
    table.add_column("answer", no_wrap=True)
    for part in parts:
        table.add_column(PART_NAMES[part], no_wrap=True)
    for metric in shown_metrics(evaluation, about):
        found = {
            part: {a: overall(s).get(metric) for a, s in evaluation.scores[part].items()} for part in parts
        }
        _add_answers(table, METRIC_NAMES[metric], found, about.answer)
    if len(about.tasks) > 1:
        metric = chosen_metric(about)
        for task in listed_tasks(evaluation, about):
            found = {
                part: {a: s.tasks[task][metric] for a, s in evaluation.scores[part].items()} for part in parts
            }
            _add_answers(table, task, found, about.answer)
    table.caption = Text(_caption(evaluation, about))
    return table


def _add_answers(
    table: Table, name: str, found: Mapping[str, Mapping[str, Score | None]], chosen: str
) -> None:
    """One row for every answer; ``found`` holds a score by part and answer."""
    table.add_section()
    answers = list(next(iter(found.values())))
    for answer in answers:
        scores = [by_answer[answer] for by_answer in found.values()]
        table.add_row(
            Text(clean(shorten(name)) if answer == answers[0] else ""),
            Text(f"{'*' if answer == chosen else ' '} {answer}"),
            *(Text(_score_text(score)) for score in scores),
            style="bold" if answer == chosen else "",
        )


def _score_text(score: Score | None) -> str:
    if score is None:
        return ""
    return "undefined" if score.value is None else score.text


def _caption(evaluation: Evaluation, about: About) -> str:
    told = [f"* {evaluation.verdict}.", "In brackets: 95 % interval."]
    lower = [METRIC_NAMES[name] for name in shown_metrics(evaluation, about) if name in LOWER_IS_BETTER]
    if lower:
        told.append(f"Lower {' and '.join(lower)} is better.")
    metric, listed = chosen_metric(about), listed_tasks(evaluation, about)
    if len(about.tasks) > 1:
        which = "each" if len(listed) == len(about.tasks) else f"the {len(listed)} that are worst and best"
        told.append(f"First the means over {len(about.tasks)} tasks, then {METRIC_NAMES[metric]} of {which}.")
    found = [
        (PART_NAMES[part], task, evaluation.scores[part][about.answer].tasks[task][metric])
        for part in evaluation.scores
        for task in listed
    ]
    reasons = [f"{part}, {shorten(task)}: {score.note}" for part, task, score in found if score.value is None]
    if reasons:
        told.append(f"Undefined: {'; '.join(reasons)}.")
    return clean(" ".join(told))
