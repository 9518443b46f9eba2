"""Adapting an encoder to the labels of an assay, as a plan says (:mod:`molft.train.plan`).

One call trains one network from one seed. Its state is written at the end of epochs, and everything random
follows from seed and epoch, so a run that was killed ends with the same weights as one that was not.
"""

from __future__ import annotations

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
from molft.model.lora import add_updates, freeze_all_but_updates, merge_updates
from molft.model.network import Network
from molft.train.anchor import Weights, add_pull, choose_share, copy_weights
from molft.train.budget import Budget
from molft.train.finetune_checkpoint import identify, read_run, restore_run, save_run
from molft.train.lean import Lean
from molft.train.loop import PREDICTED, FrozenStates, freeze_states, predict
from molft.train.losses import ClassBalance, Loss, build_loss
from molft.train.plan import Plan
from molft.train.precision import half_type
from molft.train.reading import rows_within
from molft.train.schedule import epoch_order, split_evenly, warmup_cosine
from molft.train.task import Examples, Progress, Score, Task
from molft.train.ways import list_ways

__all__ = ["Examples", "Progress", "Score", "Task", "finetune"]

_CACHED_SHARE = 4  # of what a budget leaves free, a quarter may hold the states of a frozen part


def finetune(
    task: Task,
    checkpoint: Path | None = None,
    *,
    save_every_s: float = 20.0,
    on_epoch: Callable[[dict[str, Any]], None] | None = None,
) -> Progress:
    """Train ``task.network`` in place; it ends with the weights of the best validation epoch.

    With low-rank updates these are merged, and with averaging the pre-trained weights are mixed in, so that
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
    optimizer = torch.optim.AdamW(_groups(task.network, plan), weight_decay=plan.weight_decay, fused=True)
    run = _Run(task, optimizer, _choose_loss(task), start)
    if task.budget is not None:
        task.budget.begin()
        run.lean = _make_lean(run, task.budget)
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


@dataclass
class _Run:
    """What the epochs of one training share; the outputs of a frozen part are kept from epoch to epoch."""

    task: Task
    optimizer: torch.optim.Optimizer
    loss: Loss
    start: Weights
    frozen: int = -1
    train: FrozenStates | None = None
    valid: FrozenStates | None = None
    lean: Lean | None = None
    rows: int | None = None
    scaler: torch.amp.GradScaler = field(default_factory=lambda: torch.amp.GradScaler(enabled=False))

    def enter(self, frozen: int) -> None:
        """Freeze what makes the first ``frozen`` states, and run it over all molecules if it wasn't yet."""
        network = self.task.network
        network.encoder.freeze(frozen)
        if self.task.plan.rank and not frozen:
            freeze_all_but_updates(network.encoder)
        if self.frozen != frozen:
            self.frozen, self.train = frozen, self._freeze(self.task.train.graphs)
            self.valid = self._freeze(self.task.valid.graphs) if self._head_only() else None
            if self.lean is not None:
                _choose_way(self, self.lean)

    def _freeze(self, graphs: Graphs) -> FrozenStates | None:
        network, budget = self.task.network, self.task.budget
        if budget is None or not network.encoder.frozen:
            return freeze_states(network, graphs)

        def work(some: Graphs) -> None:
            freeze_states(network, some, len(some))

        rows = rows_within(budget, graphs, work, 256)
        return freeze_states(network, graphs, rows, min(budget.room // _CACHED_SHARE, 2**30))

    def _head_only(self) -> bool:
        return self.train is not None and self.train.summary is not None

    @torch.no_grad()
    def validate(self) -> float | None:
        """Validation score now; where only the head is trained, from molecule vectors made once."""
        network, valid = self.task.network, self.task.valid
        if self.valid is not None and self.valid.summary is not None:
            network.eval()
            return self.task.score(valid, network.head(self.valid.summary).cpu().numpy())
        return self.task.score(valid, self.predict(valid.graphs))

    def predict(self, graphs: Graphs) -> NDArray[np.float32]:
        """Raw outputs of the network as it is now, float32 [B, T]."""
        network, budget = self.task.network, self.task.budget
        if budget is not None and self.rows is None:
            self.rows = rows_within(budget, graphs, lambda some: predict(network, some), PREDICTED)
        return predict(network, graphs, self.rows or PREDICTED)


def _choose_loss(task: Task) -> Loss:
    classes = task.plan.task_type == "classification"
    return build_loss(task.plan.loss, ClassBalance.of(task.train.labels) if classes else None)


def _copy(network: Network) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _average(run: _Run, progress: Progress) -> None:
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


def _run_epoch(run: _Run, epoch: int) -> dict[str, Any]:
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
    for number, rows in enumerate(batches):
        step = (epoch - first) * len(batches) + number
        factor = warmup_cosine(step, steps, max(1, round(plan.warmup * steps)), plan.floor)
        for group in run.optimizer.param_groups:
            group["lr"] = group["base"] * factor
        total += _step(run, rows)
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


def _step(run: _Run, rows: NDArray[np.int64]) -> float:
    """One update of the weights; the loss before it."""
    task, network = run.task, run.task.network
    run.optimizer.zero_grad(set_to_none=True)
    value = _learn(run, rows) if run.lean is None else run.lean.gradients(rows)
    run.scaler.unscale_(run.optimizer)
    if task.plan.anchor:
        add_pull(network.encoder, run.start, task.plan.anchor)
    nn.utils.clip_grad_norm_([p for p in network.parameters() if p.grad is not None], task.plan.clip)
    run.scaler.step(run.optimizer)
    run.scaler.update()
    return value


def _learn(run: _Run, rows: NDArray[np.int64], share: float = 1.0) -> float:
    """Add the gradients of some molecules, which are a share of their batch; that share of the loss."""
    task, network, frozen = run.task, run.task.network, run.train
    device = next(network.parameters()).device
    narrow = run.lean is not None and run.lean.autocast
    with torch.autocast(device.type, half_type(device), enabled=narrow):
        if frozen is not None and frozen.summary is not None:
            outputs = network.head(frozen.summary[torch.from_numpy(rows)])
        else:
            batch = make_batch(task.train.graphs.take(rows)).to(device)
            states = network.encoder.run(batch, states=frozen.of_atoms(rows) if frozen else None)
            outputs = network.predict_from(states, batch)
            del states  # the backward pass frees them one by one
        outputs = outputs.float() if narrow else outputs
    labels = torch.from_numpy(task.train.labels[rows]).to(device)
    bounds = torch.from_numpy(task.train.bounds[rows]).to(device)
    value = run.loss(outputs, labels, bounds) * share
    run.scaler.scale(value).backward()
    return float(value.detach())


def _make_lean(run: _Run, budget: Budget) -> Lean:
    """The steps of the run within a budget."""
    task, known = run.task, np.isfinite(run.task.train.labels).sum(axis=1)

    def share(part: NDArray[np.int64], rows: NDArray[np.int64]) -> float:
        # The loss is a mean over known labels; without any it is 0, whatever its share.
        return float(known[part].sum() / max(known[rows].sum(), 1))

    encoder = task.network.encoder
    needs_scale = half_type(budget.device) == torch.float16
    run.scaler = torch.amp.GradScaler(budget.device.type, enabled=needs_scale)
    ways = list_ways(encoder.config.conv, task.half, task.may_halve)
    return Lean(budget, task.network, encoder, ways, lambda rows, part: _learn(run, rows, part), share)


def _choose_way(run: _Run, lean: Lean) -> None:
    """Measure with the heaviest batch of all epochs; with vectors made once, nothing is to be chosen."""
    task = run.task
    if run.train is not None and run.train.summary is not None:
        return
    sizes = np.diff(task.train.graphs.atom_ptr)
    batches = (
        rows
        for epoch in range(task.plan.epochs)
        for rows in split_evenly(_order(task, epoch), task.plan.batch_size)
    )
    heaviest = max(batches, key=lambda rows: int(sizes[rows].sum()))
    task.network.train()
    task.network.encoder.dropout = task.plan.dropout
    weights = sum(p.numel() * p.element_size() for p in task.network.parameters() if p.requires_grad)
    # Two averages of the optimiser, if there are none yet, and the best weights so far.
    reserve = weights * (1 if run.optimizer.state else 3)
    lean.choose(heaviest, sizes[heaviest], reserve)


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
    return _copy(task.network)


def _finished(progress: Progress, plan: Plan) -> bool:
    """Whether patience has run out, counted from the release of the last part."""
    waited = progress.epoch - max(progress.best_epoch, plan.stages[-1].epoch)
    return progress.best_epoch >= 0 and waited >= plan.patience
