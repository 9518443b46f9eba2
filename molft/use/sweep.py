"""Once through a library: prepare every row, answer, keep finished parts, write one file.

Screening and embedding are this with different answers.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import rdkit
import torch
from numpy.typing import NDArray

import molft
from molft.chem.prepare import Block, Recipe
from molft.errors import MolftError
from molft.files import sha256
from molft.use.columns import free_names
from molft.use.library import Library, Portion, expect_rows, open_library, prepare_library
from molft.use.output import write_rows
from molft.use.parts import Tally, claim, count_parts, read_parts, write_part
from molft.use.ranking import Ranking

FORMAT = "molft-parts-1"
BLOCK_ROWS = 1024


class Progress(Protocol):
    """Told after each block: what is done, rows so far, rows in all (0 if unknown), and the rate."""

    def __call__(self, what: str, done: int, total: int, note: str = "", /) -> None:
        """``done`` of ``total`` rows of ``what``."""


@dataclass(frozen=True)
class Job:
    """From which library to which file, and how.

    Numbers of one molecule agree to rounding whatever ``block_rows`` is, and to the bit whatever ``workers``.
    """

    library: str | Path
    output: Path
    smiles_column: str | None = None
    block_rows: int = BLOCK_ROWS
    workers: int | None = None
    resume: bool = False
    overwrite: bool = False
    progress: Progress | None = None


@dataclass(frozen=True)
class Question:
    """What is asked of every molecule.

    ``answer`` gives float [B, K] for the B accepted molecules of a block, ``columns`` the K names, ``facts``
    all that determines the answers (a resumed run must have the same), ``title`` the work in a word.
    The numbers of a column that ``texts`` names are places in its texts, and these are written.
    """

    title: str
    recipe: Recipe
    columns: tuple[str, ...]
    answer: Callable[[Block], NDArray[np.floating]]
    facts: dict[str, Any]
    texts: Mapping[str, pa.StringArray] = field(default_factory=dict)


class Summary(NamedTuple):
    """What a sweep did.

    ``rejected`` counts the refused rows by stage, ``resumed`` the rows that were found finished, ``seconds``
    is the time of this run; ``found`` says how the SMILES column was found.
    """

    title: str
    rows: int
    ok: int
    rejected: dict[str, int]
    resumed: int
    seconds: float
    output: Path
    smiles_column: str
    found: str

    @property
    def molecules_per_s(self) -> float:
        """Rows per second of this run."""
        return (self.rows - self.resumed) / max(self.seconds, 1e-9)

    def text(self) -> str:
        """One sentence for the user."""
        before = f", {self.resumed:,} of them before" if self.resumed else ""
        stages = ", ".join(f"{stage} {number:,}" for stage, number in sorted(self.rejected.items()))
        refused = f"{self.rows - self.ok:,} refused" + (f" ({stages})" if stages else "")
        return (
            f"{self.title}: {self.rows:,} rows{before}: {self.ok:,} ok, {refused}; "
            f"{self.seconds:.1f} s, {self.molecules_per_s:,.0f} molecules/s; "
            f"SMILES in column {self.smiles_column!r} ({self.found}); written to {self.output}"
        )


def sweep(
    job: Job,
    question: Question,
    ranking: Callable[[list[str], str], Ranking] | None = None,
    write: Callable[[Path, Iterable[pa.Table]], None] = write_rows,
) -> Summary:
    """Answer the question for every row of the library and write the output.

    Columns: the library's own, ``status``, the question's; a name that the library already has gets
    ``_predicted`` after it. One row for every row, in order, or what ``ranking`` (given the names of the
    new columns, and of that with the SMILES) keeps, ranked. Whatever can't be used is a :class:`MolftError`.
    """
    started = time.monotonic()
    _check(job)
    library = open_library(job.library, job.smiles_column, job.block_rows)
    names = free_names(("status", *question.columns), library.columns)
    folder = claim(job.output, _plan(job, question, library), resume=job.resume, overwrite=job.overwrite)
    best = ranking(names, library.smiles_column) if ranking else None
    done, tally = count_parts(folder), Tally()
    for table, counted in read_parts(folder):
        tally += counted
        if best:
            best.admit(table)
    resumed, total = tally.rows, expect_rows(job.library) if job.progress else 0
    workers = _cores() if job.workers is None else job.workers
    with closing(prepare_library(library, question.recipe, workers, skip=done)) as portions:
        for number, portion in enumerate(portions, start=done):
            table, counted = _fill(portion, names, question)
            write_part(folder, number, best.admit(table) if best else table, counted)
            tally += counted
            _tell(job, question.title, tally.rows, resumed, total, time.monotonic() - started)
    write(job.output, [best.best] if best else (table for table, _ in read_parts(folder)))
    shutil.rmtree(folder)
    return Summary(
        question.title,
        tally.rows,
        tally.ok,
        dict(tally.rejected),
        resumed,
        time.monotonic() - started,
        job.output,
        library.smiles_column,
        library.found,
    )


def _check(job: Job) -> None:
    if job.block_rows < 1:
        raise MolftError(f"block_rows is {job.block_rows}; it must be at least 1")
    if str(job.library) == "-":
        if job.resume:
            raise MolftError("standard input can't be read a second time, so --resume needs a library file")
    elif job.output.exists() and Path(job.library).exists() and job.output.samefile(job.library):
        raise MolftError(f"{job.output} is the library itself; give the output another name")


def _plan(job: Job, question: Question, library: Library) -> dict[str, Any]:
    """All that determines the rows of the output; a resumed run must have the same."""
    return {
        "format": FORMAT,
        "work": question.title,
        "library": _fingerprint(job.library),
        "SMILES column": library.smiles_column,
        "rows of a part": job.block_rows,
        **question.facts,
        "molft": molft.__version__,
        "rdkit": rdkit.__version__,
        "torch": torch.__version__,
    }


def _fingerprint(library: str | Path) -> object:
    """The sha256 of a file, or of each parquet file of a folder; None for standard input."""
    if str(library) == "-":
        return None
    path = Path(library)
    if path.is_dir():
        return {file.name: sha256(file) for file in sorted(path.glob("*.parquet"))}
    return sha256(path)


def _fill(portion: Portion, names: list[str], question: Question) -> tuple[pa.Table, Tally]:
    """The rows of a part: a refused row has no numbers."""
    answers = question.answer(portion.block)
    if answers.shape != (len(portion.block.index), len(question.columns)):
        raise MolftError(
            f"{question.title}: answers of shape {answers.shape} for {len(portion.block.index)} molecules "
            f"and {len(question.columns)} columns"
        )
    values = np.full((len(portion.status), answers.shape[1]), np.nan, answers.dtype)
    values[portion.block.index] = answers
    columns = [pa.array(portion.cells[name].tolist(), pa.string()) for name in portion.cells]
    columns.append(pa.array(portion.status, pa.string()))
    for name, numbers in zip(question.columns, np.ascontiguousarray(values.T), strict=True):
        column = pa.array(numbers, from_pandas=True)
        texts = question.texts.get(name)
        columns.append(column if texts is None else texts.take(column.cast(pa.int64())))
    table = pa.Table.from_arrays(columns, names=[*portion.cells, *names])
    return table, Tally(len(portion.status), len(portion.block.index), portion.rejected)


def _tell(job: Job, title: str, rows: int, resumed: int, total: int, seconds: float) -> None:
    if job.progress:
        rate = (rows - resumed) / max(seconds, 1e-9)
        job.progress(title, rows, max(total, rows) if total else 0, f"{rate:,.0f} molecules/s")


def _cores() -> int:
    """Cores that this process may use; none on Windows, where worker processes can't be had."""
    if os.name == "nt":
        return 0
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
