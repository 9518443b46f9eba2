"""A question asked of every molecule of a library, and the processes of this machine that answer it.

The other place that answers is a Ray cluster (:mod:`molft.use.ray_engine`); what comes back is the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import nn

from molft.chem.prepare import Block, Recipe, prepare
from molft.chem.worker import count_cores, map_blocks
from molft.errors import MolftError, Rejected

MOST_THREADS = 8


@dataclass(frozen=True)
class Question:
    """What is asked of every molecule.

    ``answer`` gives float [B, K] for the B accepted molecules of a block, ``columns`` the K names, ``facts``
    all that determines the answers (a resumed run must have the same), ``title`` the work in a word.
    The numbers of a column that ``texts`` names are places in its texts, and these are written.
    ``networks`` are those by which ``answer`` finds them, for who wants them on a GPU.
    """

    title: str
    recipe: Recipe
    columns: tuple[str, ...]
    answer: Callable[[Block], NDArray[np.floating]]
    facts: dict[str, Any]
    texts: Mapping[str, pa.StringArray] = field(default_factory=dict)
    networks: Sequence[nn.Module] = ()


class Answered(NamedTuple):
    """What became of a block of rows.

    Shapes: values float [B, K], the answers for the B accepted molecules; rows int64 [B], that of each;
    rejected, the other rows, rising.
    """

    values: NDArray[np.floating]
    rows: NDArray[np.int64]
    rejected: list[Rejected]


Answers = Callable[[Iterator[list[str]]], Iterator[Answered]]
"""What answers blocks of SMILES one by one, in order, and takes few of them before it does."""


def answer_block(question: Question, block: Block) -> Answered:
    """Answer for the molecules of a block; answers that don't fit them are a :class:`MolftError`."""
    values = question.answer(block)
    if values.shape != (len(block.index), len(question.columns)):
        raise MolftError(
            f"{question.title}: answers of shape {values.shape} for {len(block.index)} molecules "
            f"and {len(question.columns)} columns"
        )
    return Answered(values, block.index, block.rejected)


def answer_here(question: Question, blocks: Iterator[list[str]], workers: int | None) -> Iterator[Answered]:
    """Answer block by block, in order: ``workers`` processes read the molecules, this one has the networks.

    None for as many processes as this one may use cores; 0 for none. As many threads (at least one, at most
    eight, for the memory that each needs) run a block each, on one core: the rounding of a product depends
    on how many threads share it, so that otherwise another machine would give other bytes.
    """
    count = count_cores() if workers is None else workers
    prepared = map_blocks(partial(prepare, recipe=question.recipe), blocks, count)
    threads, pending = min(max(count, 1), MOST_THREADS), deque[Future[Answered]]()
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, "molft-network", torch.set_num_threads, (1,))
    try:
        for block in prepared:
            pending.append(pool.submit(answer_block, question, block))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(before)
