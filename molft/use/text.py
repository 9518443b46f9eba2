"""Text that is neat for people and can't steer a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text


def row_table(title: str, rows: Sequence[tuple[str, ...]]) -> Table:
    """Rows of texts as a table without rules; the first column is a name, numbers align to the right."""
    table = Table(
        title=Text(clean(title), style="bold"),
        title_justify="left",
        box=None,
        show_header=False,
        pad_edge=True,
    )
    for place in range(max(map(len, rows), default=1)):
        cells = [row[place] for row in rows if len(row) > place]
        numbers = place > 0 and all(_is_number(cell) for cell in cells)
        table.add_column(justify="right" if numbers else "left", no_wrap=place == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell), style="" if place else "dim") for place, cell in enumerate(row)))
    return table


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").removeprefix("-").isdecimal()


def clean(text: str) -> str:
    """The text with every control character but line end replaced, so that it can't steer the terminal.

    >>> clean("red" + chr(27) + "[31m")
    'red�[31m'
    """
    return "".join("\ufffd" if unicodedata.category(c) == "Cc" and c != "\n" else c for c in text)


def shorten(text: str, length: int = 60) -> str:
    """The text, with its end cut off where it is longer than ``length`` characters.

    >>> shorten("pIC50 of EGFR", 8)
    'pIC50...'
    """
    return text if len(text) <= length else text[: length - 3] + "..."


def format_rate(rate: float) -> str:
    """Steps in a second, or seconds for a step where that says more.

    >>> format_rate(1234.5), format_rate(2.5), format_rate(0.04)
    ('1,234/s', '2.5/s', '25 s each')
    """
    if rate >= 10:
        return f"{rate:,.0f}/s"
    return f"{rate:.1f}/s" if rate >= 1 else f"{format_seconds(1 / rate)} each"


def format_seconds(seconds: float) -> str:
    """A duration in the two units that matter.

    >>> format_seconds(42.4), format_seconds(125), format_seconds(3 * 3600 + 60)
    ('42 s', '2 min 5 s', '3 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
