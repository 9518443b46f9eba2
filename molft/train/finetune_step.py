"""One step of a fine-tuning, and what the steps share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from molft.chem.graphs import Graphs
from molft.data.batch import Batch, make_batch
from molft.model.updates import freeze_all_but_updates
from molft.train.anchor import Weights, add_pull
from molft.train.budget import Budget
from molft.train.lean import Lean
from molft.train.loop import CACHE_BYTES, PREDICTED, FrozenStates, freeze_states, predict
from molft.train.losses import Loss
from molft.train.precision import half_type
from molft.train.prefetch import Prefetch
from molft.train.processes import Processes
from molft.train.reading import rows_within
from molft.train.running_statistics import RunningStatistics
from molft.train.task import Task
from molft.train.ways import Choice, list_ways

_CACHED_SHARE = 4  # of what a budget leaves free, a quarter may hold the states of a frozen part


@dataclass
class Run:
    """What the steps of one training share; the outputs of a frozen part are kept from epoch to epoch.

    ``lean`` says how gradients are computed within a budget, ``heaviest`` int64 [B] names the batch to
    measure with, ``rows`` how many molecules are predicted at a time.
    """

    task: Task
    optimizer: torch.optim.Optimizer
    loss: Loss
    start: Weights
    frozen: int = -1
    train: FrozenStates | None = None
    valid: FrozenStates | None = None
    lean: Lean | None = None
    heaviest: NDArray[np.int64] | None = None
    rows: int | None = None
    scaler: torch.amp.GradScaler = field(default_factory=lambda: torch.amp.GradScaler(enabled=False))
    batches: Prefetch[Batch] = field(init=False)

    def __post_init__(self) -> None:
        """Batches are made from the packed graphs on the CPU, one ahead where a GPU trains."""
        on_gpu, graphs = self._on_gpu, self.task.train.graphs
        self.batches = Prefetch(lambda rows: make_batch(graphs.take(rows)).pin(on_gpu), on_gpu)

    @property
    def _on_gpu(self) -> bool:
        return next(self.task.network.parameters()).device.type == "cuda"

    def keep_within(self, budget: Budget, heaviest: NDArray[np.int64]) -> None:
        """Hold no more than the budget, of which the ``heaviest`` batch takes most."""
        budget.begin()
        task = self.task
        ways = list_ways(task.network.encoder.config.conv, task.half, task.may_halve)
        self.lean = Lean(budget, task.network, ways, choice=Choice(ways[0], 1, 0))
        self.heaviest = heaviest
        needs_scale = half_type(budget.device) == torch.float16
        self.scaler = torch.amp.GradScaler(budget.device.type, enabled=needs_scale)

    def enter(self, frozen: int) -> None:
        """Freeze what makes the first ``frozen`` states, and run it over all molecules if it wasn't yet."""
        network = self.task.network
        network.encoder.freeze(frozen)
        if self.task.plan.updates and not frozen:
            freeze_all_but_updates(network.encoder)
        if self.frozen != frozen:
            self.frozen, self.train = frozen, self._freeze(self.task.train.graphs)
            self.valid = self._freeze(self.task.valid.graphs) if self._head_only() else None
            self.batches.on = self._on_gpu and not self._head_only()
            if not self._head_only():
                self._choose_way()

    def _head_only(self) -> bool:
        return self.train is not None and self.train.summary is not None

    def _freeze(self, graphs: Graphs) -> FrozenStates | None:
        network, budget = self.task.network, self.task.budget
        if budget is None or not network.encoder.frozen:
            return freeze_states(network, graphs)

        def work(some: Graphs) -> None:
            freeze_states(network, some, len(some))

        rows = rows_within(budget, graphs, work, 256)
        return freeze_states(network, graphs, rows, min(budget.room // _CACHED_SHARE, CACHE_BYTES))

    def _choose_way(self) -> None:
        """Measure with the heaviest batch, if there is a budget."""
        lean, rows, task = self.lean, self.heaviest, self.task
        if lean is None or rows is None:
            return
        task.network.train()
        task.network.encoder.dropout = task.plan.dropout
        atoms = np.diff(task.train.graphs.atom_ptr)[rows]
        lean.choose(lambda n: _learn(self, rows[:n]), atoms, self.optimizer)

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


def take_step(run: Run, rows: NDArray[np.int64]) -> float:
    """One update of the weights by the molecules ``rows``; the loss before it."""
    task, network = run.task, run.task.network
    run.optimizer.zero_grad(set_to_none=True)
    if run.lean is None:
        value = _learn(run, rows)
    else:
        value = run.lean.attempt(lambda: _learn_parts(run, rows), len(rows))
    run.scaler.unscale_(run.optimizer)
    if task.plan.anchor:
        add_pull(network.encoder, run.start, task.plan.anchor)
    nn.utils.clip_grad_norm_([p for p in network.parameters() if p.grad is not None], task.plan.clip)
    run.scaler.step(run.optimizer)
    run.scaler.update()
    return value


def _learn_parts(run: Run, rows: NDArray[np.int64]) -> float:
    """Add the gradients of a batch, part by part if it must be; the loss."""
    parts = 1 if run.lean is None else min(run.lean.parts, len(rows))
    if parts == 1:
        return _learn(run, rows)
    # The loss is a mean over known labels, so a part weighs what it has of them; without any, its loss is 0.
    known = np.isfinite(run.task.train.labels[rows]).sum(axis=1)
    statistics, loss = RunningStatistics(run.task.network), 0.0
    for part in np.array_split(np.arange(len(rows)), parts):
        loss += _learn(run, rows[part], float(known[part].sum() / max(known.sum(), 1)))
        statistics.end_part()
    statistics.end_step(parts, Processes())
    return loss


def _learn(run: Run, rows: NDArray[np.int64], share: float = 1.0) -> float:
    """Add the gradients of some molecules, which are a share of their batch; that share of the loss."""
    task, network, frozen = run.task, run.task.network, run.train
    device = next(network.parameters()).device
    narrow = run.lean is not None and run.lean.autocast
    with torch.autocast(device.type, half_type(device), enabled=narrow):
        if frozen is not None and frozen.summary is not None:
            outputs = network.head(frozen.summary[torch.from_numpy(rows)])
        else:
            batch = run.batches.take(rows).to(device)
            states = network.encoder.run(batch, states=frozen.of_atoms(rows) if frozen else None)
            outputs = network.predict_from(states, batch)
            del states  # so that the backward pass can free them one by one
    labels = torch.from_numpy(task.train.labels[rows]).to(device)
    bounds = torch.from_numpy(task.train.bounds[rows]).to(device)
    value = run.loss(outputs.float() if narrow else outputs, labels, bounds) * share
    run.scaler.scale(value).backward()
    return float(value.detach())
