"""Adapting an encoder to the labels of an assay, as a plan says (:mod:`molft.train.plan`).

One call trains one network from one seed. Its state is written at the end of epochs, and everything random
follows from seed and epoch, so a run that was killed ends with the same weights as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from molft.chem.graphs import Graphs
from molft.data.batch import make_batch
from molft.errors import MolftError
from molft.model.encoder import stage_of
from molft.model.network import Network
from molft.train.checkpoint import (
    load_checkpoint,
    optimizer_state,
    part,
    restore_optimizer,
    save_checkpoint,
    with_prefix,
)
from molft.train.loop import FrozenStates, freeze_states, predict
from molft.train.losses import ClassBalance, Loss, build_loss
from molft.train.plan import Plan
from molft.train.schedule import epoch_order, split_evenly, warmup_cosine


@dataclass(frozen=True)
class Examples:
    """Molecules with labels.

    Shapes: labels float32 [B, T], NaN where missing (0 and 1 for classes, standardised values for
    regression); bounds int8 [B, T], +1 for ``>``, -1 for ``<``, 0 for an exact label.
    """

    graphs: Graphs
    labels: NDArray[np.float32]
    bounds: NDArray[np.int8]

    def __len__(self) -> int:
        """Number of molecules."""
        return len(self.graphs)


Score = Callable[[Examples, NDArray[np.float32]], float | None]
"""Validation score of raw outputs, higher is better; None where it is undefined."""


@dataclass
class Progress:
    """How far a training is: finished epochs, their records, and the best one (-1: none yet)."""

    epoch: int = 0
    best_epoch: int = -1
    best_score: float = -float("inf")
    history: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain values; JSON has no infinity, so without a best epoch the best score is None."""
        return {**vars(self), "best_score": self.best_score if self.best_epoch >= 0 else None}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Progress:
        """The inverse of :meth:`to_json`."""
        score = values["best_score"]
        return cls(**{**values, "best_score": -float("inf") if score is None else score})


@dataclass(frozen=True)
class Task:
    """One training: the network to adapt (already on its device), its data, plan and seed."""

    network: Network
    train: Examples
    valid: Examples
    plan: Plan
    score: Score
    seed: int


def finetune(
    task: Task,
    checkpoint: Path | None = None,
    *,
    save_every_s: float = 20.0,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Progress:
    """Train ``task.network`` in place; it ends with the weights of the best validation epoch.

    An existing ``checkpoint`` is continued; one of another plan, seed, data or encoder is refused. Without a
    defined validation score the last epoch is kept, and the history says so.
    """
    if len(task.train) < 2:
        raise MolftError(f"{len(task.train)} training molecule(s); at least two are needed")
    if not np.isfinite(task.train.labels).any():
        raise MolftError("no training molecule has a label; check the target columns and the split")
    optimizer = torch.optim.AdamW(_groups(task.network, task.plan), weight_decay=task.plan.weight_decay)
    best = {name: tensor.clone() for name, tensor in task.network.state_dict().items()}
    progress = Progress()
    identity = _identity(task)
    if checkpoint is not None and checkpoint.exists():
        progress, best = _restore(checkpoint, task, optimizer, identity)
    loss = build_loss(
        task.plan.loss,
        ClassBalance.of(task.train.labels) if task.plan.task_type == "classification" else None,
    )
    cached: tuple[int, FrozenStates | None] = (-1, None)
    saved = time.monotonic()
    while progress.epoch < task.plan.epochs and not _finished(progress, task.plan):
        stage = task.plan.stage_at(progress.epoch)
        task.network.encoder.freeze(stage.frozen)
        if cached[0] != stage.frozen:
            cached = (stage.frozen, freeze_states(task.network, task.train.graphs))
        record = _run_epoch(task, optimizer, loss, cached[1], progress.epoch)
        best = _judge(task, progress, record, best)
        if on_epoch:
            on_epoch(record)
        if checkpoint is not None and time.monotonic() - saved > save_every_s:
            _save(checkpoint, task, optimizer, progress, best, identity)
            saved = time.monotonic()
    task.network.load_state_dict(best)
    task.network.encoder.freeze(0)
    task.network.eval()
    return progress


def _groups(network: Network, plan: Plan) -> list[dict[str, Any]]:
    """Parameters by learning rate: one group for each encoder state, one for readout and head."""
    groups: dict[int, list[nn.Parameter]] = {}
    for name, parameter in network.encoder.named_parameters():
        groups.setdefault(stage_of(name), []).append(parameter)
    encoder = [{"params": params, "base": plan.rate(state)} for state, params in sorted(groups.items())]
    owned = {id(p) for group in encoder for p in group["params"]}  # type: ignore[attr-defined]
    head = [p for p in network.parameters() if id(p) not in owned]
    return [*encoder, {"params": head, "base": plan.head_rate}]


def _run_epoch(
    task: Task, optimizer: torch.optim.Optimizer, loss: Loss, frozen: FrozenStates | None, epoch: int
) -> dict[str, Any]:
    """One pass over the training molecules and the validation score after it."""
    # Dropout draws from torch's generator: seeded here, an epoch does not depend on how it was reached.
    torch.manual_seed(task.seed * 100_003 + epoch)
    started = time.monotonic()
    task.network.train()
    task.network.encoder.dropout = task.plan.dropout
    batches = split_evenly(_order(task, epoch), task.plan.batch_size)
    total = 0.0
    for number, rows in enumerate(batches):
        factor = warmup_cosine(
            epoch * len(batches) + number,
            task.plan.epochs * len(batches),
            max(1, round(task.plan.warmup * task.plan.epochs * len(batches))),
        )
        for group in optimizer.param_groups:
            group["lr"] = group["base"] * factor
        total += _step(task, optimizer, loss, frozen, rows)
    outputs = predict(task.network, task.valid.graphs)
    score = task.score(task.valid, outputs)
    return {
        "epoch": epoch + 1,
        "train_loss": total / len(batches),
        "valid_score": score,
        "seconds": round(time.monotonic() - started, 2),
        "molecules": len(task.train),
    }


def _order(task: Task, epoch: int) -> NDArray[np.int64]:
    """The molecules of an epoch; oversampled, both classes of a single task have the same chance."""
    if not task.plan.oversample or task.plan.task_type != "classification":
        return epoch_order(len(task.train), task.seed, epoch)
    balance = ClassBalance.of(task.train.labels)
    labels = task.train.labels
    share = np.where(labels == 1, balance.prevalence(), 1 - balance.prevalence())
    weight = np.where(np.isfinite(labels), 0.5 / np.maximum(share, 1e-6), 0.0)
    # A molecule is drawn as often as its rarest label asks for.
    chance = weight.max(axis=1)
    rng = np.random.default_rng([task.seed, epoch])
    return rng.choice(len(labels), size=len(labels), p=chance / chance.sum()).astype(np.int64)


def _step(
    task: Task,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    frozen: FrozenStates | None,
    rows: NDArray[np.int64],
) -> float:
    network = task.network
    device = next(network.parameters()).device
    if frozen is not None and frozen.summary is not None:
        outputs = network.head(frozen.summary[torch.from_numpy(rows)])
    else:
        batch = make_batch(task.train.graphs.take(rows)).to(device)
        states = network.encoder.run(batch, states=frozen.of_atoms(rows) if frozen else None)
        outputs = network.predict_from(states, batch)
    labels = torch.from_numpy(task.train.labels[rows]).to(device)
    bounds = torch.from_numpy(task.train.bounds[rows]).to(device)
    value = loss(outputs, labels, bounds)
    optimizer.zero_grad(set_to_none=True)
    value.backward()
    nn.utils.clip_grad_norm_([p for p in network.parameters() if p.grad is not None], task.plan.clip)
    optimizer.step()
    return float(value.detach())


def _judge(
    task: Task, progress: Progress, record: dict[str, Any], best: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Enter an epoch into the progress; the weights to keep."""
    progress.epoch += 1
    progress.history.append(record)
    score = record["valid_score"]
    if score is not None and score > progress.best_score:
        progress.best_score, progress.best_epoch = score, record["epoch"]
    elif progress.best_epoch < 0:
        record["note"] = "validation score undefined; the last epoch is kept"
    else:
        return best
    return {name: tensor.clone() for name, tensor in task.network.state_dict().items()}


def _finished(progress: Progress, plan: Plan) -> bool:
    """Whether patience has run out, counted from the release of the last part."""
    waited = progress.epoch - max(progress.best_epoch, plan.stages[-1].epoch)
    return progress.best_epoch >= 0 and waited >= plan.patience


def _save(
    path: Path,
    task: Task,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    best: dict[str, Tensor],
    identity: dict[str, Any],
) -> None:
    tensors = (
        with_prefix("network", task.network.state_dict())
        | with_prefix("best", best)
        | with_prefix("optimizer", optimizer_state(optimizer))
    )
    save_checkpoint(path, tensors, {"progress": progress.to_json(), "identity": identity})


def _identity(task: Task) -> dict[str, Any]:
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


def _restore(
    path: Path, task: Task, optimizer: torch.optim.Optimizer, identity: dict[str, Any]
) -> tuple[Progress, dict[str, Tensor]]:
    tensors, facts = load_checkpoint(path)
    before = facts.get("identity", {})
    changed = [name for name, value in identity.items() if before.get(name) != value]
    if changed:
        raise MolftError(
            f"{path} belongs to a run with another {', '.join(changed)}; remove it or use the same as then"
        )
    task.network.load_state_dict(part("network", tensors))
    restore_optimizer(optimizer, part("optimizer", tensors))
    return Progress.from_json(facts["progress"]), part("best", tensors)
