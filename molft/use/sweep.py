"""Once through a library: prepare every row, answer, keep finished parts, write one file.

Screening and embedding are this with different answers.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import rdkit
import torch

import molft
from molft.errors import MolftError
from molft.use.ahead import Ahead
from molft.use.arrow import number_column, text_column
from molft.use.columns import free_names
from molft.use.library import BLOCK_ROWS, Library, Portion, answer_library, expect_rows, open_library
from molft.use.local_engine import answer_here, answer_read
from molft.use.output import is_folder, write_rows
from molft.use.parts import Tally, claim, count_parts, publish, read_parts, write_part
from molft.use.question import Answers, Question
from molft.use.ranking import Ranking
from molft.use.ray_engine import Cluster, answer_on_ray
from molft.use.sources import Given, find_files, fingerprint

FORMAT = "molft-parts-1"


class Progress(Protocol):
    """Told after each block: what is done, rows so far, rows in all (0 if unknown), and the rate."""

    def __call__(self, what: str, done: int, total: int, note: str = "", /) -> None:
        """``done`` of ``total`` rows of ``what``."""


@dataclass(frozen=True)
class Job:
    """From which library to which file, and how.

    Numbers of one molecule agree to rounding whatever ``block_rows`` is, and to the bit, on one kind of
    processor, whatever ``workers`` and ``ray`` are. With ``ray`` the tasks of that cluster answer, else
    processes of this machine. ``ahead`` is the library where reading it has begun already.
    """

    library: Given
    output: Path
    smiles_column: str | None = None
    block_rows: int = BLOCK_ROWS
    workers: int | None = None
    resume: bool = False
    overwrite: bool = False
    progress: Progress | None = None
    ray: Cluster | None = None
    ahead: Ahead | None = None


Writer = Callable[[Path, Iterable[pa.Table], str], None]
"""Writes tables as one file, given the name of their column of SMILES."""


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
    write: Writer | None = None,
) -> Summary:
    """Answer the question for every row of the library and write the output.

    Columns: the library's own, ``status``, the question's; a name that the library already has gets
    ``_predicted`` after it. One row for every row, in order, or what ``ranking`` (given the names of the
    new columns, and of that with the SMILES) keeps, ranked. An output without an ending is a folder of the
    parts themselves. Whatever can't be used is a :class:`MolftError`.
    """
    started = time.monotonic()
    files = find_files(job.library)
    _check(job, files)
    library = job.ahead.library if job.ahead else open_library(files, job.smiles_column, job.block_rows)
    names = free_names(("status", *question.columns), library.columns)
    plan = _plan(job, question, library, files)
    folder = claim(job.output, plan, resume=job.resume, overwrite=job.overwrite)
    best = ranking(names, library.smiles_column) if ranking else None
    done, tally = count_parts(folder), Tally()
    for table, counted in read_parts(folder):
        tally += counted
        if best:
            best.admit(table)
    resumed, total = tally.rows, expect_rows(files) if job.progress else 0
    with closing(answer_library(library, _answers(job, question), skip=done)) as portions:
        for number, portion in enumerate(portions, start=done):
            table, counted = _fill(portion, names, question)
            write_part(folder, number, best.admit(table) if best else table, counted)
            tally += counted
            _tell(job, question.title, tally.rows, resumed, total, time.monotonic() - started)
    if is_folder(job.output):
        publish(folder, job.output)
    else:
        tables = [best.best] if best else (table for table, _ in read_parts(folder))
        if write:
            write(job.output, tables, library.smiles_column)
        else:
            write_rows(job.output, tables)
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


def _answers(job: Job, question: Question) -> Answers:
    """What answers: processes here, perhaps with a beginning made, or the cluster."""
    if job.ray is not None:
        return partial(answer_on_ray, question, cluster=job.ray, workers=job.workers)
    begun = job.ahead
    if begun is None:
        return partial(answer_here, question, workers=job.workers)
    if begun.recipe != question.recipe:
        raise MolftError("the model was changed while its library was being read; start again")
    return lambda _: answer_read(question, begun.blocks, begun.workers)


def _check(job: Job, files: Sequence[Path]) -> None:
    if job.block_rows < 1:
        raise MolftError(f"block_rows is {job.block_rows}; it must be at least 1")
    if job.ahead and (job.resume or job.ray or job.block_rows != BLOCK_ROWS):
        raise MolftError("a library that is being read already can't be resumed, cut anew, or given to Ray")
    if files == [Path("-")]:
        if job.resume:
            raise MolftError("standard input can't be read a second time, so --resume needs a library file")
    elif job.output.exists() and any(job.output.samefile(file) for file in files if file.exists()):
        raise MolftError(f"{job.output} is the library itself; give the output another name")


def _plan(job: Job, question: Question, library: Library, files: Sequence[Path]) -> dict[str, Any]:
    """All that determines the rows of the output; a resumed run must have the same."""
    return {
        "format": FORMAT,
        "work": question.title,
        "library": fingerprint(files),
        "SMILES column": library.smiles_column,
        "rows of a part": job.block_rows,
        "device": "cuda" if job.ray and job.ray.gpus else "cpu",
        **question.facts,
        "molft": molft.__version__,
        "rdkit": rdkit.__version__,
        "torch": torch.__version__,
    }


def _fill(portion: Portion, names: list[str], question: Question) -> tuple[pa.Table, Tally]:
    """The rows of a part: a refused row has no numbers."""
    answers, rows, _ = portion.answered
    values = np.full((len(portion.status), answers.shape[1]), np.nan, answers.dtype)
    values[rows] = answers
    columns = [text_column(cells) for cells in portion.cells.values()]
    columns.append(text_column(portion.status))
    for name, numbers in zip(question.columns, np.ascontiguousarray(values.T), strict=True):
        column = number_column(numbers)
        texts = question.texts.get(name)
        columns.append(column if texts is None else texts.take(column.cast(pa.int64())))
    table = pa.Table.from_arrays(columns, names=[*portion.cells, *names])
    return table, Tally(len(portion.status), len(rows), portion.rejected)


def _tell(job: Job, title: str, rows: int, resumed: int, total: int, seconds: float) -> None:
    if job.progress:
        rate = (rows - resumed) / max(seconds, 1e-9)
        job.progress(title, rows, max(total, rows) if total else 0, f"{rate:,.0f} molecules/s")
