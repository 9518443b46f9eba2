"""Excel workbooks (.xlsx) to rows of text, read row by row."""

from __future__ import annotations

import importlib.util
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, datetime, time
from typing import IO, Any

from molft.data.delimited import Row, Rows, name_columns
from molft.errors import MolftError


def read_workbook(stream: IO[bytes], where: str, stack: ExitStack) -> Rows:
    """Read the first sheet of a workbook; formulas give the value Excel last stored.

    The first row that isn't empty is the header, and empty rows are skipped. A file that is no
    workbook, an empty sheet, and a missing openpyxl are each a :class:`MolftError`.
    """
    if importlib.util.find_spec("openpyxl") is None:
        raise MolftError(f"{where}: reading .xlsx needs openpyxl; pip install 'molft[xlsx]', or save as .csv")
    import openpyxl

    try:
        with warnings.catch_warnings():
            # openpyxl warns of styles and drop-down lists it doesn't keep; no cell depends on them.
            warnings.simplefilter("ignore", UserWarning)
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise MolftError(f"{where}: not an .xlsx workbook ({error})") from error
    stack.callback(book.close)
    sheet = book.worksheets[0]
    sheet.reset_dimensions()  # the size stated in the file is often wrong
    rows = _filled_rows(sheet.iter_rows(values_only=True))
    header = next(rows, None)
    if header is None:
        raise MolftError(f"{where}: the first sheet, {sheet.title!r}, is empty; sheets: {book.sheetnames}")
    names = name_columns(header, where)
    return Rows(names, _fitted(rows, names, where))


def _filled_rows(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[str]]:
    for row in rows:
        cells = [cell_text(value) for value in row]
        while cells and not cells[-1].strip():
            cells.pop()
        if cells:
            yield cells


def _fitted(rows: Iterator[list[str]], names: list[str], where: str) -> Iterator[Row]:
    for cells in rows:
        if len(cells) > len(names):
            raise MolftError(
                f"{where}: the row that starts with {cells[0]!r} has {len(cells)} cells, but the header "
                f"only {len(names)}: {', '.join(names[:6])}; give every column a name"
            )
        yield Row(cells + [""] * (len(names) - len(cells)))


def cell_text(value: Any) -> str:  # noqa: ANN401  (whatever Excel stores)
    """Write a cell as text: an empty one as '', a date in ISO form, a number as Python prints it.

    >>> [cell_text(value) for value in (None, 6.3, 5, True, ">10")]
    ['', '6.3', '5', 'TRUE', '>10']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, (date, datetime, time)):
        return value.isoformat()
    return str(value)
