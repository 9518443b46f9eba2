"""The checkpoint of a fine-tuning: what it holds, and which run it belongs to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molft.errors import MolftError
from molft.train.checkpoint import (
    load_checkpoint,
    optimizer_state,
    part,
    restore_optimizer,
    save_checkpoint,
    with_prefix,
)
from molft.train.task import Progress, Task


def save_run(
    path: Path,
    task: Task,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    best: dict[str, Tensor],
    identity: dict[str, Any],
) -> None:
    """Write weights, best weights, optimiser and progress, so that the run can go on from here."""
    tensors = (
        with_prefix("network", task.network.state_dict())
        | with_prefix("best", best)
        | with_prefix("optimizer", optimizer_state(optimizer))
    )
    save_checkpoint(path, tensors, {"progress": progress.to_json(), "identity": identity})


def identify(task: Task) -> dict[str, Any]:
    """What must be the same for a checkpoint to be continued, as it comes back from JSON."""
    weights = [tensor.detach().cpu().numpy() for tensor in task.network.encoder.state_dict().values()]
    identity = {
        "plan": task.plan.to_json(),
        "seed": task.seed,
        "data": [_digest(*vars(e.graphs).values(), e.labels, e.bounds) for e in (task.train, task.valid)],
        "encoder": _digest(*weights),
    }
    plain: dict[str, Any] = json.loads(json.dumps(identity))
    return plain


def _digest(*arrays: NDArray[np.generic]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()


def read_run(path: Path, identity: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The checkpoint of this very run; one of another is refused before the network is touched."""
    tensors, facts = load_checkpoint(path)
    before = facts.get("identity", {})
    changed = [name for name, value in identity.items() if before.get(name) != value]
    if changed:
        raise MolftError(
            f"{path} belongs to a run with another {', '.join(changed)}; remove it or use the same as then"
        )
    return tensors, facts


def restore_run(
    begun: tuple[dict[str, Tensor], dict[str, Any]], task: Task, optimizer: torch.optim.Optimizer
) -> tuple[Progress, dict[str, Tensor]]:
    """Put what :func:`read_run` gave into network and optimiser; progress and best weights."""
    tensors, facts = begun
    task.network.load_state_dict(part("network", tensors))
    restore_optimizer(optimizer, part("optimizer", tensors))
    return Progress.from_json(facts["progress"]), part("best", tensors)
