"""Text tables and SMILES lists: lines of text to rows of cells, read as written or refused with the line.

The delimiter is found from the text, never assumed: with a wrong one, the decimal commas of
``smiles;y`` split a number in two and the columns shift without a warning.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

from molft.errors import MolftError
from molft.files import plain_cell

# Where two delimiters explain a file equally well, the rarer character inside a cell is believed.
DELIMITERS = ("\t", ";", "|", ",")

_SAMPLE_LINES = 200
_BLANKS = re.compile(r"[ \t]+")


class Row(NamedTuple):
    """One row: its cells, and what was wrong with the way it is written ('' where nothing was)."""

    cells: list[str]
    problem: str = ""


class Rows(NamedTuple):
    """A table that is read once from top to bottom; ``delimiter`` is '' where the format has none."""

    names: list[str]
    rows: Iterator[Row]
    delimiter: str = ""


def find_delimiter(head: list[str]) -> str:
    r"""Tell the delimiter from the first lines, the header first; a single column gives ','.

    The one that gives most lines as many fields as the header, then the one with most columns.

    >>> find_delimiter(["smiles;pIC50", "CCO;5,3", "CCN;6,1"])
    ';'
    >>> find_delimiter(["smiles", "CCO"])
    ','
    """
    best, found = (0.0, 1), ","
    for delimiter in DELIMITERS:
        try:
            counts = [len(cells) for cells in csv.reader(head, delimiter=delimiter) if cells]
        except csv.Error:  # a quote that is never closed; the real reading names its line
            continue
        if not counts or counts[0] < 2:
            continue
        score = (sum(count == counts[0] for count in counts) / len(counts), counts[0])
        if score > best:
            best, found = score, delimiter
    return found


def name_columns(cells: list[str], where: str) -> list[str]:
    """Make column names of a header: outer blanks off, ``column 3`` for an empty one.

    The same name twice is a :class:`MolftError`, because a label could then be either.
    """
    names = [cell.strip() or f"column {number}" for number, cell in enumerate(cells, start=1)]
    for number, name in enumerate(names, start=1):
        if (first := names.index(name) + 1) != number:
            raise MolftError(f"{where}: columns {first} and {number} are both named {name!r}; rename one")
    return names


def read_delimited(lines: Iterator[str], where: str, keep: bool) -> Rows:
    """Read a table whose first line is the header; blank lines are skipped.

    Empty fields beyond the header's are dropped, and the apostrophe that guards a cell from a spreadsheet
    (:func:`molft.files.safe_cell`) comes off. Any other row of the wrong length, and a quote never
    closed, is a :class:`MolftError` that names the line, or with ``keep`` a row with its problem.
    """
    lines = _after_blank_lines(lines, where)
    head = list(islice(lines, _SAMPLE_LINES))
    skipped = 0
    if stated := re.fullmatch(r"sep=(.)", head[0].strip(), re.IGNORECASE):  # Excel's own directive
        head, skipped = head[1:], 1
    delimiter = stated.group(1) if stated else find_delimiter(head)
    reader = csv.reader(chain(head, lines), delimiter=delimiter, strict=True)
    try:
        names = name_columns(next(reader, []), where)
    except csv.Error as error:
        raise MolftError(f"{where}: the header line can't be read: {error}") from error
    return Rows(names, _check_rows(reader, names, where, keep, skipped, delimiter), delimiter)


def _after_blank_lines(lines: Iterator[str], where: str) -> Iterator[str]:
    for line in lines:
        if line.strip():
            return chain([line], lines)
    raise MolftError(f"{where}: empty; expected a header line and rows")


def _check_rows(
    reader: Iterator[list[str]], names: list[str], where: str, keep: bool, skipped: int, delimiter: str
) -> Iterator[Row]:
    width = len(names)
    while True:
        line = reader.line_num + skipped + 1  # type: ignore[attr-defined]  # csv.reader has no public type
        problem = ""
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            cells, problem = [], f"line {line}: a quoted cell can't be read ({error})"
        if not problem and (not cells or cells == [""] or (len(cells) == 1 and cells[0].isspace())):
            continue
        if not problem and len(cells) != width:
            cells, problem = _fit(cells, width, line, delimiter)
        if problem and not keep:
            raise MolftError(
                f"{where}, {problem}; the header has {width}: {', '.join(names[:6])}. Put quotes around a "
                f"cell that holds the delimiter {delimiter!r}, or fill the missing cells"
            )
        cells += [""] * (width - len(cells))
        yield Row([plain_cell(cell) if cell[:1] == "'" else cell for cell in cells], problem)


def _fit(cells: list[str], width: int, line: int, delimiter: str) -> tuple[list[str], str]:
    """Bring a row to the header's width without losing text; the surplus stays in the last cell."""
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        return cells[:width], ""
    start = delimiter.join(cells)[:60]
    problem = f"line {line}: {len(cells)} fields ({start!r}), expected {width}"
    return [*cells[: width - 1], delimiter.join(cells[width - 1 :])], problem


def read_smiles_list(lines: Iterator[str], where: str, keep: bool) -> Rows:
    """Read ``SMILES blank name`` lines, with or without a header; everything after the blank is the name.

    A first line that says "smiles" is a header; one with a delimiter makes the file a table (Enamine's
    .cxsmiles is one). Blank lines are skipped; a line without a name gets an empty one.
    """
    lines = _after_blank_lines(lines, where)
    first = next(lines)
    names = ["smiles", "name"]
    if "smiles" not in first.lower():
        lines = chain([first], lines)
    elif any(delimiter in first for delimiter in DELIMITERS):
        return read_delimited(chain([first], lines), where, keep)
    elif len(header := first.split()) > 1:
        names = name_columns(header, where)
    else:
        names = [header[0], "name"]
    return Rows(names, _split_lines(lines, len(names)))


def _split_lines(lines: Iterator[str], width: int) -> Iterator[Row]:
    for line in lines:
        # Only blanks and tabs divide: an odd Unicode space stays in the SMILES, which is then refused.
        if line := line.strip(" \r\n"):
            cells = _BLANKS.split(line.rstrip("\t"), maxsplit=width - 1)
            yield Row(cells + [""] * (width - len(cells)))
