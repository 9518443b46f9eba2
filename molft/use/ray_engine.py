"""The blocks of a library answered by the tasks of a Ray cluster.

Ray schedules the tasks, ships the question once to each process, and runs the blocks of a lost process or
node again. Rows are read, and parts written, by the process that asks; only SMILES and answers travel. A task
reads molecules in a child process of its own, so that one that crashes RDKit costs its row there too.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import rdkit
import torch

import molft
from molft.chem.prepare import Block, prepare
from molft.chem.worker import start_worker
from molft.errors import MolftError
from molft.use.question import Answered, Question, answer_block

# How often the block of a lost process runs again: a cluster that drops machines is no reason to stop,
# a block that ends every process is.
_RETRIES = 8
_BLOCKS_PER_CORE = 2
_LEAST_BLOCKS = 8


@dataclass(frozen=True)
class Cluster:
    """Which Ray cluster, and what a task takes of it.

    ``address`` is that of Ray: ``"auto"`` for the cluster of this machine, ``HOST:PORT`` or
    ``ray://HOST:PORT``; without one, a cluster of this machine's cores is started for the run.
    ``gpus`` is the share of a GPU for each task: with 0.25 four tasks share one; 0 leaves them alone.
    """

    address: str | None = None
    gpus: float = 0.0


def answer_on_ray(
    question: Question, blocks: Iterator[list[str]], cluster: Cluster, workers: int | None
) -> Iterator[Answered]:
    """Answer block by block, in order, by one task for each block.

    ``workers`` is the number of cores of a cluster that is started here; one that runs already is used as a
    whole. Ray missing, no cluster at the address, a node with other versions, and a block that was lost too
    often is a :class:`MolftError`.
    """
    ray = _import_ray()
    with _connected(ray, cluster, workers):
        options = {"num_cpus": 1, "num_gpus": cluster.gpus, "max_retries": _RETRIES}
        task = ray.remote(**options)(_answer_rows)
        # In a list, so that Ray hands over the reference: each process opens the question once.
        shared = [ray.put((question, _versions()))]
        pending: deque[Any] = deque()
        most = max(_LEAST_BLOCKS, _BLOCKS_PER_CORE * int(ray.cluster_resources().get("CPU", 1)))
        try:
            for block in blocks:
                pending.append(task.remote(shared, block))
                if len(pending) == most:
                    yield _fetch(ray, pending.popleft())
            while pending:
                yield _fetch(ray, pending.popleft())
        finally:
            for one in pending:
                ray.cancel(one, force=True)


def _answer_rows(shared: Sequence[Any], rows: list[str]) -> Answered:
    """What a task does: one block, by the question that its process has opened."""
    question, read = _open(shared[0])
    return answer_block(question, read(rows))


@lru_cache(maxsize=1)
def _open(reference: Any) -> tuple[Question, Callable[[Sequence[str]], Block]]:  # noqa: ANN401  (ray.ObjectRef)
    import ray

    question, wanted = ray.get(reference)
    other = [
        f"{name} {have} ({wanted[name]} here)" for name, have in _versions().items() if have != wanted[name]
    ]
    if other:
        raise MolftError(
            f"the Ray node {ray.util.get_node_ip_address()} has {', '.join(other)}: its numbers could "
            "differ; install the same versions on every node"
        )
    torch.set_num_threads(1)  # as on one machine (answer_here), for the same bytes
    if ray.get_gpu_ids() and torch.cuda.is_available():
        for network in question.networks:
            network.to("cuda")
    return question, start_worker(partial(prepare, recipe=question.recipe))


def _versions() -> dict[str, str]:
    # A node with a GPU may have another build of the same torch.
    torch_release = torch.__version__.partition("+")[0]
    return {"molft": molft.__version__, "rdkit": rdkit.__version__, "torch": torch_release}


def _fetch(ray: Any, reference: Any) -> Answered:  # noqa: ANN401
    try:
        answered: Answered = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, MolftError):
            raise error.cause from error
        raise MolftError(f"a Ray task failed: {error}") from error
    except ray.exceptions.RayError as error:
        raise MolftError(
            f"Ray lost a block of rows {_RETRIES + 1} times, or its cluster ({error}); what is finished is "
            "kept: --resume goes on from there"
        ) from error
    return answered


@contextmanager
def _connected(ray: Any, cluster: Cluster, workers: int | None) -> Iterator[None]:  # noqa: ANN401
    """Be connected to the cluster; a connection that the caller has already stays as it is."""
    if ray.is_initialized():
        yield
        return
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if cluster.address:
            ray.init(address=cluster.address, **quiet)
        else:
            # What runs on this machine alone tells nobody that it does.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init(address="local", num_cpus=workers or None, include_dashboard=False, **quiet)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise MolftError(
            f"no Ray cluster at {cluster.address or 'this machine'}: {error}. Start one with ray start "
            "--head, or leave --ray-address out"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _import_ray() -> Any:  # noqa: ANN401
    # Ray's note on a change to come, which has no meaning without GPUs.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise MolftError("--engine ray needs Ray, which is missing: pip install 'molft[ray]'") from error
    return ray
