"""A screen on two Ray nodes, of which a worker and then a node are killed; test_ray_engine.py runs this.

Arguments: the model, the library, the output, and a file that is made when the worker dies.
"""

import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import molft.use.screen as screens
from molft.chem.prepare import Block
from molft.use.question import Question
from molft.use.ray_engine import Cluster
from molft.use.sweep import Job, Summary

BLOCK_ROWS = 8
MOST_SECONDS = 900  # seconds are the rule; a busy machine takes its time, and after that something hangs
START_TURNS = 5
NODE_DIES_AT = 56  # rows


def die_once(block: Block, *, question: Question, marker: Path) -> NDArray[np.floating]:
    """The answer; but the first process that comes here is killed, in the middle of its block."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return question.answer(block)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def give_up(*_: object) -> None:
    """End in order, so that no process of Ray stays behind."""
    raise TimeoutError(f"the screen took over {MOST_SECONDS} s")


def start_nodes() -> tuple[Any, Any]:
    """Two nodes, and the second of them; Ray gives a node 30 s to start, which on a busy machine can fail."""
    # Here, since pytest imports this file in search of doctests, with Ray or without.
    from ray.cluster_utils import Cluster as Nodes

    for turn in range(START_TURNS):
        nodes = Nodes()
        try:
            nodes.add_node(num_cpus=1, include_dashboard=False)
            return nodes, nodes.add_node(num_cpus=1)
        except Exception:
            nodes.shutdown()
            if turn == START_TURNS - 1:
                raise
    raise AssertionError("no turn")


def main(model: str, library: str, output: str, marker: str) -> None:
    """Screen, going on with what was begun; print the rows found finished, all, and those that are fine."""
    sweep = screens.sweep

    def sweep_deadly(job: Job, question: Question, *rest: object) -> Summary:
        answer = partial(die_once, question=question, marker=Path(marker))
        return sweep(job, replace(question, answer=answer), *rest)  # type: ignore[arg-type]

    screens.sweep = sweep_deadly  # type: ignore[assignment]
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(MOST_SECONDS)
    nodes, second = start_nodes()
    try:

        def watch(_: str, rows: int, *rest: object) -> None:
            if rows == NODE_DIES_AT:
                nodes.remove_node(second, allow_graceful=False)

        options = {"block_rows": BLOCK_ROWS, "resume": True, "progress": watch, "ray": Cluster(nodes.address)}
        summary = screens.screen(model, library, output, **options)  # type: ignore[arg-type]
        print(summary.resumed, summary.rows, summary.ok)
    finally:
        nodes.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
