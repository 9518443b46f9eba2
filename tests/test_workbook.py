"""Excel workbooks to rows."""

import importlib.util
import io
from contextlib import ExitStack
from datetime import date

import pytest

from molft.data.delimited import Row
from molft.data.workbook import read_workbook
from molft.errors import MolftError

openpyxl = pytest.importorskip("openpyxl", reason="the xlsx extra is not installed")


def workbook(*rows: tuple[object, ...]) -> io.BytesIO:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    stream.seek(0)
    return stream


def read(stream: io.BytesIO) -> tuple[list[str], list[Row]]:
    with ExitStack() as stack:
        table = read_workbook(stream, "a.xlsx", stack)
        return table.names, list(table.rows)


def test_cells_as_text() -> None:
    stream = workbook(
        (), ("smiles", "y", "when"), ("CCO", 6.3, date(2024, 5, 1)), (), ("CCN", ">10"), ("00123", True, 5)
    )
    names, rows = read(stream)
    assert names == ["smiles", "y", "when"]
    assert [row.cells for row in rows] == [
        ["CCO", "6.3", "2024-05-01T00:00:00"],
        ["CCN", ">10", ""],
        ["00123", "TRUE", "5"],
    ]


def test_an_empty_sheet_is_refused() -> None:
    with pytest.raises(MolftError, match="first sheet, 'Sheet', is empty"):
        read(workbook())


def test_a_row_longer_than_the_header_is_refused() -> None:
    with pytest.raises(MolftError, match="the row that starts with 'CCO' has 2 cells, but the header only 1"):
        read(workbook(("smiles",), ("CCO", 5)))


def test_what_is_no_workbook_is_refused() -> None:
    with pytest.raises(MolftError, match=r"not an \.xlsx workbook"):
        read(io.BytesIO(b"smiles,y\n"))


def test_without_openpyxl_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MolftError, match="needs openpyxl; pip install 'molft\\[xlsx\\]'"):
        read(io.BytesIO())
