"""Parquet files, and folders of them, to rows of text, read batch by batch."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pyarrow
from pyarrow import parquet

from molft.data.delimited import Row, Rows, name_columns
from molft.data.streams import open_binary
from molft.errors import MolftError

_BATCH_ROWS = 4096


def read_parquet(path: Path) -> Rows:
    """Read one file, or the files of a folder in the order of their names; null gives ''.

    A file that is no parquet, and a folder whose files differ in columns, is a :class:`MolftError`.
    """
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise MolftError(f"{path}: a folder without .parquet files")
    with ExitStack() as stack:
        names = _open(files[0], stack).schema_arrow.names
    return Rows(name_columns(names, str(path)), _read_rows(files, names))


def seekable(stream: IO[bytes]) -> IO[bytes]:
    """Give a stream that can be read from its end; a compressed one is unpacked in memory."""
    return stream if isinstance(stream, io.BufferedReader) else io.BytesIO(stream.read())


def _open(file: Path, stack: ExitStack) -> parquet.ParquetFile:
    try:
        return stack.enter_context(parquet.ParquetFile(seekable(open_binary(file, stack))))
    except pyarrow.ArrowInvalid as error:
        raise MolftError(f"{file}: not a parquet file ({error})") from error


def _read_rows(files: list[Path], names: list[str]) -> Iterator[Row]:
    for file in files:
        with ExitStack() as stack:
            table = _open(file, stack)
            if table.schema_arrow.names != names:
                raise MolftError(
                    f"{file}: columns {table.schema_arrow.names}, expected {names} as in {files[0]}"
                )
            try:
                for batch in table.iter_batches(batch_size=_BATCH_ROWS):
                    columns = [_column_text(column) for column in batch.columns]
                    yield from (Row(list(cells)) for cells in zip(*columns, strict=True))
            except (pyarrow.ArrowException, OSError) as error:
                raise MolftError(f"{file}: the parquet file is damaged ({error})") from error


def _column_text(column: pyarrow.Array) -> list[str]:
    try:
        texts = column.cast(pyarrow.string()).to_pylist()
    except (pyarrow.ArrowNotImplementedError, pyarrow.ArrowInvalid):  # lists, structs, bytes
        texts = [None if value is None else str(value) for value in column.to_pylist()]
    return ["" if text is None else text for text in texts]
