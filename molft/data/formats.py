"""Whatever a lab exports, as blocks of rows in which every cell is the text that stood in the file.

Nothing is typed here: ``00123``, ``NA`` and ``1E5`` survive. Memory does not grow with the file.
"""

from __future__ import annotations

import gzip
import lzma
import sys
import zlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from molft.data.delimited import DELIMITERS, Rows, read_delimited, read_smiles_list
from molft.data.parquet import read_parquet, seekable
from molft.data.sdf import property_names, read_sdf
from molft.data.streams import decompress, open_binary, read_lines
from molft.data.workbook import read_workbook
from molft.errors import MolftError

if TYPE_CHECKING:  # a screen does without pandas, which takes half a second to import
    import pandas as pd

# The column of a block read with ragged="keep": '', or what was wrong with the way the row is written.
PROBLEM = "molft_problem"

KINDS = {
    ".csv": "table", ".tsv": "table", ".tab": "table", ".txt": "table",
    ".smi": "smiles", ".ism": "smiles", ".smiles": "smiles", ".cxsmiles": "smiles",
    ".sdf": "sdf", ".sd": "sdf", ".parquet": "parquet", ".pq": "parquet", ".xlsx": "xlsx", ".xlsm": "xlsx",
}  # fmt: skip
_COMPRESSED = (".gz", ".bz2", ".xz")
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


@dataclass(frozen=True)
class TextBlock:
    """Some rows of a file, column by column, every cell the text that stood there.

    Shapes: R rows. columns: R texts each; problems: R texts, '' or what was wrong with the way the row is
    written. ``start`` is the place of the first row among all of the file; ``delimiter`` is '' where the
    format has none.
    """

    columns: dict[str, list[str]]
    problems: list[str]
    start: int = 0
    delimiter: str = ""

    def __len__(self) -> int:
        """Number of rows R."""
        return len(self.problems)


def read_texts(
    path: str | Path, rows: int = 4096, ragged: Literal["error", "keep"] = "error"
) -> Generator[TextBlock, None, None]:
    """Read a file block by block; '-' is standard input (a table or a SMILES list).

    ``.csv .tsv .txt`` (delimiter and encoding found from the text), ``.smi .ism .cxsmiles``, ``.sdf``,
    ``.parquet`` (also a folder of them) and ``.xlsx`` (first sheet), each also ``.gz .bz2 .xz``. A table
    without rows gives one empty block. With ``ragged="keep"`` a row that can't be read as written stays,
    and :attr:`TextBlock.problems` says why; with ``"error"`` a ragged text row is a :class:`MolftError` with
    its line. A missing, damaged or unknown file is a :class:`MolftError`.
    """
    where = "standard input" if str(path) == "-" else str(path)
    keep = ragged == "keep"
    with ExitStack() as stack:
        try:
            table = _standard_input(keep, stack) if str(path) == "-" else _open_table(Path(path), keep, stack)
            yield from _blocks(table, rows)
        except _DAMAGED as error:
            raise MolftError(f"{where}: the compressed file is damaged or cut short ({error})") from error
        except UnicodeError as error:
            raise MolftError(f"{where}: not readable as text ({error}); save it as UTF-8") from error


def read_blocks(
    path: str | Path, rows: int = 4096, ragged: Literal["error", "keep"] = "error"
) -> Generator[pd.DataFrame, None, None]:
    """:func:`read_texts` as pandas has it: every column text, the index counting the file's rows from 0.

    With ``ragged="keep"`` there is a column :data:`PROBLEM` more.
    """
    import pandas as pd

    for block in read_texts(path, rows, ragged):
        columns = block.columns | ({PROBLEM: block.problems} if ragged == "keep" else {})
        index = pd.RangeIndex(block.start, block.start + len(block))
        frame = pd.DataFrame(columns, index=index, dtype=str)
        frame.attrs["delimiter"] = block.delimiter
        yield frame


def read_table(path: str | Path, ragged: Literal["error", "keep"] = "error") -> pd.DataFrame:
    """Read a whole file as one table of text; see :func:`read_blocks`.

    ``frame.attrs["delimiter"]`` is the delimiter that was found, '' where the format has none.
    """
    import pandas as pd

    blocks = list(read_blocks(path, ragged=ragged))
    frame = pd.concat(blocks, ignore_index=True)
    frame.attrs = dict(blocks[0].attrs)
    return frame


def file_kind(path: Path) -> str:
    """Tell the kind of a file from its name: table, smiles, sdf, parquet or xlsx.

    >>> file_kind(Path("library.smi.gz"))
    'smiles'
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    kind = KINDS.get(suffixes[-1]) if suffixes else None
    if kind is None and not path.is_dir():
        known = f"{' '.join(KINDS)}, each also with {' '.join(_COMPRESSED)}"
        raise MolftError(f"{path}: unknown kind of file; expected a name that ends in {known}")
    return kind or "parquet"


def _blocks(table: Rows, rows: int) -> Iterator[TextBlock]:
    start = 0
    while (taken := list(islice(table.rows, rows))) or not start:
        cells = zip(*(row.cells for row in taken), strict=True) if taken else ([] for _ in table.names)
        columns = dict(zip(table.names, map(list, cells), strict=True))
        yield TextBlock(columns, [row.problem for row in taken], start, table.delimiter)
        start += len(taken)
        if len(taken) < rows:
            return


def _open_table(path: Path, keep: bool, stack: ExitStack) -> Rows:
    where = str(path)
    if not path.exists():
        raise MolftError(f"{where}: no such file")
    kind = file_kind(path)
    if kind == "parquet":
        return read_parquet(path)
    stream = open_binary(path, stack)
    if kind == "xlsx":
        return read_workbook(seekable(stream), where, stack)
    lines = read_lines(stream, where, stack)
    if kind == "sdf":
        return read_sdf(lines, _sdf_properties(path), where)
    return (read_smiles_list if kind == "smiles" else read_delimited)(lines, where, keep)


def _sdf_properties(path: Path) -> list[str]:
    """Read an SDF once for the names alone, so that every block has the same columns."""
    with ExitStack() as stack:
        return property_names(read_lines(open_binary(path, stack), str(path), stack))


def _standard_input(keep: bool, stack: ExitStack) -> Rows:
    """Tell a table from a SMILES list by the first line, as nothing says what is piped in."""
    where = "standard input"
    lines = read_lines(decompress(sys.stdin.buffer, stack), where, stack)
    head = list(islice(lines, 1))
    if not head:
        raise MolftError(f"{where}: empty; expected a table with a header, or a list of SMILES")
    # A tab may also stand between a SMILES and its name.
    is_table = any(delimiter in head[0] for delimiter in DELIMITERS if delimiter != "\t")
    return (read_delimited if is_table else read_smiles_list)(chain(head, lines), where, keep)
