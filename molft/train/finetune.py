"""Adapting an encoder to the labels of an assay, as a plan says (:mod:`molft.train.plan`).

One call trains one network from one seed. Its state is written at the end of epochs, and everything random
follows from seed and epoch, so a run that was killed ends with the same weights as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from molft.errors import MolftError
from molft.model.adapters import add_adapters
from molft.model.encoder import stage_of
from molft.model.lora import add_updates
from molft.model.network import Network
from molft.model.updates import merge_updates
from molft.train.anchor import choose_share, copy_weights
from molft.train.finetune_checkpoint import identify, read_run, restore_run, save_run
from molft.train.finetune_step import Run, take_step
from molft.train.lean import heaviest_batch
from molft.train.losses import ClassBalance, Loss, build_loss
from molft.train.plan import Plan
from molft.train.schedule import epoch_order, split_evenly, warmup_cosine
from molft.train.task import Examples, Progress, Score, Task

__all__ = ["Examples", "Progress", "Score", "Task", "finetune"]


def finetune(
    task: Task,
    checkpoint: Path | None = None,
    *,
    save_every_s: float = 20.0,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Progress:
    """Train ``task.network`` in place; it ends with the weights of the best validation epoch (of those that
    the plan lets it pick).

    Updates beside the weights are merged, and with averaging the pre-trained weights are mixed in, so that
    the network is a plain one in the end whatever the plan. An existing ``checkpoint`` is continued; one of
    another plan, seed, data or encoder is refused. Without a defined validation score the last epoch is kept,
    and the history says so.
    """
    if len(task.train) < 2:
        raise MolftError(f"{len(task.train)} training molecule(s); at least two are needed")
    if not np.isfinite(task.train.labels).any():
        raise MolftError("no training molecule has a label; check the target columns and the split")
    identity = identify(task)
    begun = read_run(checkpoint, identity) if checkpoint is not None and checkpoint.exists() else None
    encoder, plan = task.network.encoder, task.plan
    start = copy_weights(encoder)
    if plan.rank:
        add_updates(encoder, plan.rank, task.seed)
    if plan.adapter:
        add_adapters(encoder, plan.adapter, task.seed)
    optimizer = torch.optim.AdamW(_groups(task.network, plan), weight_decay=plan.weight_decay, fused=True)
    run = Run(task, optimizer, _choose_loss(task), start)
    if task.budget is not None:
        run.keep_within(task.budget, _heaviest_batch(task))
    best = _copy(task.network)
    progress = Progress()
    if begun is not None:
        progress, best = restore_run(begun, task, optimizer)
    saved = time.monotonic()
    while progress.epoch < plan.epochs and not _finished(progress, plan):
        run.enter(plan.stage_at(progress.epoch).frozen)
        record = _run_epoch(run, progress.epoch)
        best = _judge(task, progress, record, best)
        if on_epoch:
            on_epoch(record)
        if checkpoint is not None and time.monotonic() - saved > save_every_s:
            save_run(checkpoint, task, optimizer, progress, best, identity)
            saved = time.monotonic()
    task.network.load_state_dict(best)
    merge_updates(encoder)
    encoder.freeze(0)
    encoder.keeping = "all"
    task.network.eval()
    if plan.average:
        _average(run, progress)
    return progress


def _choose_loss(task: Task) -> Loss:
    classes = task.plan.task_type == "classification"
    return build_loss(task.plan.loss, ClassBalance.of(task.train.labels) if classes else None)


def _copy(network: Network) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _average(run: Run, progress: Progress) -> None:
    """Mix the pre-trained weights into the encoder as far as the validation score gains."""
    task = run.task

    def judge() -> float | None:
        return task.score(task.valid, run.predict(task.valid.graphs))

    progress.share, score = choose_share(task.network.encoder, run.start, judge)
    if score is not None and progress.share < 1:
        progress.best_score = score


def _groups(network: Network, plan: Plan) -> list[dict[str, Any]]:
    """Parameters by learning rate: one group for each encoder state, one for readout and head."""
    groups: dict[int, list[nn.Parameter]] = {}
    for name, parameter in network.encoder.named_parameters():
        groups.setdefault(stage_of(name, plan.layers), []).append(parameter)
    encoder = [{"params": params, "base": plan.rate(state)} for state, params in sorted(groups.items())]
    owned = {id(p) for group in encoder for p in group["params"]}  # type: ignore[attr-defined]
    head = [p for p in network.parameters() if id(p) not in owned]
    return [*encoder, {"params": head, "base": plan.head_rate}]


def _run_epoch(run: Run, epoch: int) -> dict[str, Any]:
    """One pass over the training molecules and the validation score after it."""
    task, plan = run.task, run.task.plan
    # Dropout draws from torch's generator: seeded here, an epoch does not depend on how it was reached.
    torch.manual_seed(task.seed * 100_003 + epoch)
    started = time.monotonic()
    task.network.train()
    task.network.encoder.dropout = plan.dropout
    task.network.encoder.bf16 = task.half if run.lean is None else run.lean.narrow
    batches = split_evenly(_order(task, epoch), plan.batch_size)
    first, end = plan.phase_at(epoch)
    steps = (end - first) * len(batches)
    total = 0.0
    for number, rows in enumerate(run.batches.through(batches)):
        step = (epoch - first) * len(batches) + number
        factor = warmup_cosine(step, steps, max(1, round(plan.warmup * steps)), plan.floor)
        for group in run.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        total += take_step(run, rows)
    task.network.encoder.bf16 = False  # what judges is what will answer
    return {
        "epoch": epoch + 1,
        "train_loss": total / len(batches),
        "valid_score": run.validate(),
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


def _heaviest_batch(task: Task) -> NDArray[np.int64]:
    """The batch of all epochs with most atoms."""
    orders = (_order(task, epoch) for epoch in range(task.plan.epochs))
    batches = (rows for order in orders for rows in split_evenly(order, task.plan.batch_size))
    return heaviest_batch(batches, np.diff(task.train.graphs.atom_ptr))


def _judge(
    task: Task, progress: Progress, record: dict[str, Any], best: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Enter an epoch into the progress; the weights to keep."""
    progress.epoch += 1
    progress.history.append(record)
    score = record["valid_score"]
    if record["epoch"] <= task.plan.first_judged:
        return best
    if score is not None and score > progress.best_score:
        progress.best_score, progress.best_epoch = score, record["epoch"]
    elif progress.best_epoch < 0:
        record["note"] = "validation score undefined; the last epoch is kept"
    else:
        return best
    return _copy(task.network)


def _finished(progress: Progress, plan: Plan) -> bool:
    """Whether patience has run out, counted from the release of the last part."""
    waited = progress.epoch - max(progress.best_epoch, plan.stages[-1].epoch)
    return progress.best_epoch >= 0 and waited >= plan.patience
