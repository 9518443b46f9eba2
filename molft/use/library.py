"""A library of molecules, read and answered block by block: every row keeps its place, bad ones too."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from pyarrow import ArrowInvalid, parquet

from molft.data.formats import TextBlock, read_texts
from molft.data.table import find_smiles_column
from molft.use.question import Answered, Answers
from molft.use.sources import check_column, read_files, read_headers

BLOCK_ROWS = 2048
"""Rows that are read, answered and written together, unless other numbers are asked for."""

_LINES = {".csv": 1, ".tsv": 1, ".tab": 1, ".txt": 1, ".smi": 0, ".ism": 0, ".smiles": 0}  # header lines
_CHUNK = 1 << 20


@dataclass
class Library:
    """Rows that are read once: their columns, which of them holds the SMILES, and how that was found.

    ``waiting`` are the blocks of rows whose SMILES were handed out and that wait for the answers.
    """

    columns: list[str]
    smiles_column: str
    found: str
    blocks: Iterator[TextBlock]
    waiting: deque[TextBlock] = field(default_factory=deque)

    def texts(self, skip: int = 0) -> Iterator[list[str]]:
        """The SMILES of each block from block ``skip`` on, "" for a row that can't be read as written."""
        for block in islice(self.blocks, skip, None):
            self.waiting.append(block)
            yield self.smiles(block)

    def smiles(self, block: TextBlock) -> list[str]:
        """The SMILES of a block, "" for a row that can't be read as written."""
        # The cells of such a row may stand in the wrong columns.
        texts = zip(block.columns[self.smiles_column], block.problems, strict=True)
        return ["" if problem else text for text, problem in texts]


class Portion(NamedTuple):
    """One block of rows.

    Shapes: R rows, B accepted molecules.
        cells: R texts of each of the library's own columns; status: R texts, ``ok`` or the reason.
        answered: the answers for the accepted molecules; rejected: how many rows each stage refused.
    """

    cells: dict[str, list[str]]
    status: list[str]
    answered: Answered
    rejected: Counter[str]


def open_library(files: Sequence[Path], smiles_column: str | None, block_rows: int) -> Library:
    """Open files (of :func:`molft.use.sources.find_files`) as one table; ``Path("-")`` is standard input.

    An unreadable file, and one in which the SMILES column can't be told, is a :class:`MolftError`.
    """
    headers = read_headers(files) if len(files) > 1 else {}
    if headers:
        blocks = read_files(headers, block_rows)
    else:
        blocks = read_texts(files[0], rows=block_rows, ragged="keep")
    first = next(blocks)
    column, found = find_smiles_column(first.columns, smiles_column)
    check_column(headers, column)
    return Library(list(first.columns), column, found, chain([first], blocks))


def answer_library(library: Library, answers: Answers, skip: int = 0) -> Generator[Portion, None, None]:
    """Yield the library's blocks, from block ``skip`` on, with the answers for their molecules; in order.

    Memory does not grow with the library: few blocks are on their way at any time. Close the iterator to
    end the processes that answer early.
    """
    for answered in answers(library.texts(skip)):
        yield _join(library.waiting.popleft(), answered)


def _join(block: TextBlock, answered: Answered) -> Portion:
    status = ["ok"] * len(block)
    for bad in answered.rejected:
        status[bad.row] = bad.status
    for row, problem in enumerate(block.problems):
        if problem:
            status[row] = f"text: {problem}"
    rejected = Counter(bad.stage for bad in answered.rejected)
    return Portion(block.columns, status, answered, rejected)


def expect_rows(files: Sequence[Path]) -> int:
    """Estimate how many rows files hold together, to tell the time left; 0 where it is unknown for one.

    Lines of a text file (a blank one, or a line end inside a cell, makes it wrong by one), or what a
    parquet file says of itself; unknown for standard input, compressed files, SDF and Excel.
    """
    rows = [_file_rows(file) for file in files]
    return sum(rows) if all(rows) else 0


def _file_rows(file: Path) -> int:
    if not file.is_file():
        return 0
    suffix = file.suffix.lower()
    if suffix in (".parquet", ".pq"):
        return _parquet_rows(file)
    if suffix not in _LINES:
        return 0
    with file.open("rb") as stream:
        lines = sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(_CHUNK), b""))
    return max(lines - _LINES[suffix], 0)


def _parquet_rows(file: Path) -> int:
    try:
        return int(parquet.read_metadata(file).num_rows)
    except ArrowInvalid:
        return 0  # compressed as a whole, or damaged, which reading it will tell
