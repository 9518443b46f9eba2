"""Rows to the file that a user opens: CSV, TSV or parquet, whole or absent."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from math import isnan
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from molft.errors import MolftError
from molft.files import atomic, safe_cell

ENDINGS = {".csv": ",", ".tsv": "\t", ".parquet": ""}
_GROUP_ROWS = 65536


def check_ending(path: Path, more: tuple[str, ...] = ()) -> None:
    """Refuse, by a :class:`MolftError`, a name that doesn't say which kind of file (or folder) it is to be.

    >>> check_ending(Path("hits.csv.gz"))
    >>> check_ending(Path("hits.xlsx"))
    Traceback (most recent call last):
    molft.errors.MolftError: hits.xlsx: can't write this kind of file; let the name end in .csv .csv.gz ...
    """
    if path.suffix not in more and _ending(path) not in ENDINGS and not is_folder(path):
        known = " ".join([".csv .csv.gz .tsv .tsv.gz .parquet", *more])
        raise MolftError(
            f"{path}: can't write this kind of file; let the name end in {known}, or have no ending for a "
            "folder of parquet files"
        )


def is_folder(path: Path) -> bool:
    """Whether the output is a folder of parquet files, one a part: that of a name without an ending.

    >>> is_folder(Path("predictions")), is_folder(Path("predictions.parquet"))
    (True, False)
    """
    return not path.suffix


def _ending(path: Path) -> str:
    """The ending that tells the kind, without ``.gz``, which parquet files never have."""
    zipped = path.suffix == ".gz" and Path(path.stem).suffix != ".parquet"
    return Path(path.stem).suffix if zipped else path.suffix


def write_rows(path: Path, tables: Iterable[pa.Table]) -> None:
    """Write tables of the same columns, one after the other, as one file of the kind its name says.

    In text, numbers have eight significant digits (parquet keeps all), a missing one is an empty cell, and a
    cell that a spreadsheet could run as a formula is marked (:func:`molft.files.safe_cell`). The same
    rows give the same bytes. A full disk is a :class:`MolftError` and leaves the old file or none.
    """
    with atomic(path) as temporary:
        if _ending(path) == ".parquet":
            _write_parquet(temporary, tables)
        else:
            _write_text(temporary, tables, ENDINGS[_ending(path)], zipped=path.suffix == ".gz")


def _write_parquet(path: Path, tables: Iterable[pa.Table]) -> None:
    with ExitStack() as stack:
        writer = None
        for table in _gather(tables):
            if writer is None:
                writer = stack.enter_context(parquet.ParquetWriter(path, table.schema))
            writer.write_table(table)


def _gather(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join small tables, since a parquet file of many small groups is slow to read."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= _GROUP_ROWS:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _write_text(path: Path, tables: Iterable[pa.Table], delimiter: str, zipped: bool) -> None:
    # Not the csv module: it leaves a lone carriage return bare, which its own reader takes for a line end.
    special = re.compile(f'["\r\n{delimiter}]')

    def line(cells: Iterable[str]) -> str:
        quoted = ('"' + cell.replace('"', '""') + '"' if special.search(cell) else cell for cell in cells)
        return delimiter.join(quoted) + "\n"

    with ExitStack() as stack:
        file = stack.enter_context(path.open("wb"))
        # Without name and time, so that the same rows give the same bytes.
        stream = stack.enter_context(gzip.GzipFile("", "wb", 6, file, mtime=0)) if zipped else file
        text = stack.enter_context(io.TextIOWrapper(stream, encoding="utf-8", newline=""))
        for number, table in enumerate(tables):
            if number == 0:
                text.write(line(map(safe_cell, table.column_names)))
            columns = [cell_texts(column) for column in table.columns]
            text.writelines(line(cells) for cells in zip(*columns, strict=True))


def cell_texts(column: pa.ChunkedArray) -> list[str]:
    """A column of texts or numbers as the cells of a text table.

    >>> cell_texts(pa.chunked_array([[0.123456789123, None, 5e-10]]))
    ['0.12345679', '', '5e-10']
    >>> cell_texts(pa.chunked_array([["=1+1", "-5.2"]]))
    ["'=1+1", '-5.2']
    """
    values = column.to_pylist()
    if pa.types.is_floating(column.type):
        return ["" if value is None or isnan(value) else f"{value:.8g}" for value in values]
    return ["" if value is None else safe_cell(value) for value in values]
