"""The blocks of a library answered by the processes and threads of this machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import torch

from molft.chem.prepare import Block, prepare
from molft.chem.worker import count_cores, map_blocks
from molft.use.question import Answered, Question, answer_block

MOST_THREADS = 8


def answer_here(question: Question, blocks: Iterator[list[str]], workers: int | None) -> Iterator[Answered]:
    """Answer block by block, in order: ``workers`` processes read the molecules, this one has the networks.

    None for as many processes as this one may use cores; 0 for none.
    """
    count = count_cores() if workers is None else workers
    read = map_blocks(partial(prepare, recipe=question.recipe), blocks, count)
    return answer_read(question, read, count)


def answer_read(question: Question, read: Iterator[Block], workers: int) -> Iterator[Answered]:
    """Answer blocks whose molecules ``workers`` processes read, in order.

    As many threads (at least one, at most eight, for the memory that each needs) run a block each, on one
    core: the rounding of a product depends on how many threads share it, so that otherwise another machine
    would give other bytes.
    """
    threads, pending = min(max(workers, 1), MOST_THREADS), deque[Future[Answered]]()
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(threads, "molft-network", torch.set_num_threads, (1,))
    try:
        for block in read:
            pending.append(pool.submit(answer_block, question, block))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(before)
