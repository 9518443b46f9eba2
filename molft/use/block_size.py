"""Rows of a block and processes of a screen within a memory budget, by measuring its first block."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from molft.chem.prepare import Block, prepare
from molft.chem.worker import count_cores, map_blocks
from molft.errors import MolftError
from molft.train.budget import Budget, say_nothing
from molft.train.resident import format_memory, peak_of_child, used
from molft.use.library import open_library
from molft.use.local_engine import MOST_THREADS
from molft.use.molecules import take_rows
from molft.use.parts import begun_plan
from molft.use.question import Question
from molft.use.sources import find_files
from molft.use.sweep import Job

_FEWEST = 128  # rows below which a block costs more in passing on than in work: rather fewer processes
_BESIDE = 1.5  # what is waiting and written beside a block's answers, as a multiple of what these take


def fit_job(job: Job, question: Question, memory: int | None, tell: Callable[[str], None] | None) -> Job:
    """The job with so many rows a block, and processes, that it takes no more than ``memory`` bytes.

    That counts this process and those that read molecules, as measured on the first block of the library.
    What was chosen is told in one line. Parts that are there already (``resume``) keep their number of rows.
    Where even one process and a row a block need more, a :class:`MolftError`. None leaves the job as it is.
    """
    if memory is None:
        return job
    files = find_files(job.library)
    if files == [Path("-")] or job.ray is not None:
        what = "standard input" if job.ray is None else "a Ray cluster"
        raise MolftError(
            f"--memory measures a first block, which can't be done beforehand with {what}; leave it out "
            "and give fewer --workers"
        )
    budget = Budget(memory, torch.device("cpu"), tell or say_nothing)
    budget.begin()
    most = count_cores() if job.workers is None else job.workers
    block, child = _read_first(job, files, question, min(1, most))
    cost, begun = _cost(budget, question, block), _begun_rows(job)
    for count in range(most, 0 if most else -1, -1):
        each = min(max(1, count), MOST_THREADS) * cost
        rows = begun or _fitting_rows(budget.room - count * child, each, job.block_rows)
        fits = 0 < rows * each <= budget.room - count * child
        if fits and (count <= 1 or rows >= min(_FEWEST, job.block_rows)):
            budget.tell(
                f"memory {format_memory(memory)}: {rows:,} rows a block, processes that read molecules: "
                f"{count}; measured: {format_memory(used(budget.device))} here, "
                f"{format_memory(child)} a process, {format_memory(rows * each)} for blocks"
            )
            return replace(job, block_rows=rows, workers=count)
    raise MolftError(
        f"--memory {format_memory(memory)}: molft with its libraries and the model holds "
        f"{format_memory(used(budget.device))} and a process that reads molecules {format_memory(child)}, "
        f"which leaves too little for a block{f' of {begun:,} rows, as it was begun' if begun else ''}; give "
        f"more memory{', or --workers 0' if most else ''}"
    )


def _read_first(job: Job, files: list[Path], question: Question, workers: int) -> tuple[Block, int]:
    """The library's first block, read as the screen will read it, and what the process that did so held."""
    library = open_library(files, job.smiles_column, job.block_rows)
    texts = library.smiles(next(library.blocks))
    with closing(map_blocks(partial(prepare, recipe=question.recipe), [texts], workers)) as blocks:
        return next(blocks), peak_of_child() if workers else 0


def _fitting_rows(room: int, cost: float, most: int) -> int:
    """Rows of a block: ``most``, or a half of it, a quarter, and so on; 0 where nothing fits."""
    while most and most * cost > room:
        most //= 2
    return most


def _cost(budget: Budget, question: Question, block: Block) -> float:
    """Bytes that a row takes while a block is answered."""
    atoms = np.diff(block.graphs.atom_ptr)
    if not len(atoms):
        return 1.0

    def work(number: int) -> None:
        question.answer(take_rows(block, np.arange(number)))

    work(min(2, len(atoms)))  # what is needed once is no cost of a row
    held = used(budget.device)
    found = budget.most(atoms, work)
    if not found.molecules:
        return float("inf")
    return _BESIDE * max(found.peak - held, 1) / found.molecules


def _begun_rows(job: Job) -> int:
    """Rows of a part of the run that is to go on; 0 for a new one."""
    return int(begun_plan(job.output).get("rows of a part", 0)) if job.resume else 0
