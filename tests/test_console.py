"""What a run shows: a bar on a terminal, few plain lines in a log."""

import io

import pytest
from rich.console import Console

from molft.use.console import ConsoleReporter
from molft.use.options import Reporter


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def reporter(terminal: bool = False, **given: object) -> tuple[ConsoleReporter, io.StringIO, Clock]:
    file, clock = io.StringIO(), Clock()
    console = Console(file=file, force_terminal=terminal, width=80, **{"_environ": {}, **given})  # type: ignore[arg-type]
    return ConsoleReporter(console, clock), file, clock


def test_it_is_a_reporter() -> None:
    told: Reporter = reporter()[0]
    told.line("ready")


def test_piped_lines_are_whole_and_plain() -> None:
    told, file, _ = reporter()
    told.line("assay [bold]x[/bold] :smile: {what} " + "C" * 200)
    assert file.getvalue() == "assay [bold]x[/bold] :smile: {what} " + "C" * 200 + "\n"


def test_control_characters_do_not_reach_the_terminal() -> None:
    told, file, _ = reporter(terminal=True, color_system=None)
    told.line("a\x1b]0;title\x07b\rc\x9bd")
    told.rows("p\x1bq", [("n\x1b[2J", "v\x1b")])
    told.progress("w\x1b[5m", 1, 3, "note\x1b[2J")
    told.close()
    assert "a\ufffd]0;title\ufffdb\ufffdc\ufffdd\n" in file.getvalue()
    for sequence in ("\x1b]0", "\x1b[2J", "\x1b[5m", "\x9b", "\x07"):
        assert sequence not in file.getvalue()


def test_a_log_gets_a_line_every_ten_seconds_and_the_last() -> None:
    told, file, clock = reporter()
    for second in range(26):
        clock.now = float(second)
        told.progress("molecules", 1000 + 100 * second, 3500, "fine")
    assert file.getvalue().splitlines() == [
        "molecules: 2,000 of 3,500, 100/s, 15 s left, fine",
        "molecules: 3,000 of 3,500, 100/s, 5 s left, fine",
        "molecules: 3,500 of 3,500, 100/s, fine",
    ]


def test_work_that_ends_early_leaves_its_last_state() -> None:
    told, file, clock = reporter()
    for epoch in range(1, 4):
        clock.now = 4.0 * epoch
        told.progress("network 1 of 2", epoch, 30, f"loss 0.{epoch}")
    told.progress("network 2 of 2", 1, 30)
    told.line("forest")
    assert file.getvalue().splitlines() == [
        "network 1 of 2: 3 of 30, 4 s each, loss 0.3",
        "network 2 of 2: 1 of 30",
        "forest",
    ]


def test_what_was_told_is_not_told_twice() -> None:
    told, file, clock = reporter()
    told.progress("molecules", 1, 9)
    clock.now = 11.0
    told.progress("molecules", 2, 9)
    told.close()
    told.close()
    assert len(file.getvalue().splitlines()) == 1


def test_nothing_to_do_is_done() -> None:
    told, file, _ = reporter()
    told.progress("molecules", 0, 0)
    assert file.getvalue() == "molecules: 0 of 0\n"


def test_an_unknown_total_is_left_out() -> None:
    told, file, clock = reporter()
    told.progress("packing", 1000, 0)
    clock.now = 11.0
    told.progress("packing", 3000, 0)
    told.close()
    assert file.getvalue().splitlines()[0] == "packing: 3,000, 182/s"
    assert "of 0" not in file.getvalue()


def test_a_terminal_gets_a_bar_that_goes() -> None:
    told, file, clock = reporter(terminal=True)
    told.progress("molecules [red]", 1, 30)
    clock.now = 2.0
    told.progress("molecules [red]", 21, 30, "note")
    told._bar.refresh()  # type: ignore[union-attr]
    drawn = file.getvalue()
    assert "molecules [red] " in drawn and "21 of 30  10/s  1 s left" in drawn and "━" in drawn
    assert "note" in drawn
    told.progress("molecules [red]", 30, 30)
    assert told._bar is None
    assert file.getvalue().endswith("molecules [red]: 30 of 30, 14/s\n")
    assert "\x1b[?25h" in file.getvalue()  # the cursor is back


def test_an_error_gives_the_terminal_back() -> None:
    told, file, _ = reporter(terminal=True)
    with pytest.raises(KeyboardInterrupt), told:
        told.progress("molecules", 1, 30)
        raise KeyboardInterrupt
    assert told._bar is None
    assert file.getvalue().rindex("\x1b[?25h") > file.getvalue().rindex("\x1b[?25l")


def test_a_dumb_terminal_gets_lines() -> None:
    told, file, _ = reporter(terminal=True, color_system=None, _environ={"TERM": "dumb"})
    told.progress("molecules", 1, 2)
    told.close()
    assert file.getvalue() == "molecules: 1 of 2\n"


def test_rows() -> None:
    told, file, _ = reporter()
    told.rows("plan", [("epochs", "30", "a"), ("batch [x]", "1,024", "b")])
    assert [line.rstrip() for line in file.getvalue().splitlines()] == [
        "plan",
        " epochs        30  a",
        " batch [x]  1,024  b",
    ]


def test_no_rows() -> None:
    told, file, _ = reporter()
    told.rows("plan", [])
    assert "plan" in file.getvalue()
