"""Gradients of training steps within a memory budget: chosen by measuring, backed off when it was wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from molft.model.encoder import Encoder
from molft.train.budget import Budget, Snapshot, no_trace
from molft.train.processes import Processes
from molft.train.resident import format_memory, is_out_of_memory
from molft.train.running_statistics import RunningStatistics
from molft.train.ways import Choice, Way, choose_way, step_down, too_small

Rows = NDArray[np.int64]
Learn = Callable[[Rows, float], float]
"""Add the gradients of some molecules, their loss times a share; the loss times that share."""


@dataclass
class Lean:
    """How steps are computed within ``budget``; ``share`` gives that of a part in its batch."""

    budget: Budget
    model: nn.Module
    encoder: Encoder
    ways: Sequence[Way]
    learn: Learn
    share: Callable[[Rows, Rows], float]
    choice: Choice | None = None

    @property
    def narrow(self) -> bool:
        """Whether layers are to be computed in 16 bits, which only those on a CPU do by themselves."""
        return self._chosen.way.half and self.budget.device.type == "cpu"

    @property
    def autocast(self) -> bool:
        """Whether torch's autocast is to be on, which stands for 16 bits on a GPU."""
        return self._chosen.way.half and self.budget.device.type != "cpu"

    def choose(self, heaviest: Rows, atoms: NDArray[np.integer], reserve: int) -> None:
        """Measure and choose a way for batches no heavier than that of ``heaviest`` molecules.

        Shapes: heaviest int64 [B], atoms int [B], those of each. ``reserve`` bytes are kept free.
        """

        def work(way: Way, number: int) -> None:
            self._use(Choice(way, 1, 0))
            with no_trace(self.model, self.budget.device):
                self.learn(heaviest[:number], 1.0)

        self._use(choose_way(self.budget, self.ways, atoms, work, reserve))

    def gradients(self, rows: Rows) -> float:
        """Add the gradients of a batch; its loss. Where memory runs out, the next way is taken."""
        while True:
            before = Snapshot(self.model, self.budget.device)
            try:
                loss = self._learn_parts(rows)
                break
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the handler: the error held all tensors of the step.
            before.restore()
            self.model.zero_grad(set_to_none=True)
            if not self._back_off(len(rows)):
                raise too_small(self.budget)
        if self.budget.exceeded():
            self._back_off(len(rows))
        return loss

    def _learn_parts(self, rows: Rows) -> float:
        parts = min(self._chosen.parts, len(rows))
        if parts == 1:
            return self.learn(rows, 1.0)
        statistics, loss = RunningStatistics(self.model), 0.0
        for part in np.array_split(rows, parts):
            loss += self.learn(part, self.share(part, rows))
            statistics.end_part()
        statistics.end_step(parts, Processes())
        return loss

    def _back_off(self, batch: int) -> bool:
        """Take the next way and tell it; False where there is none."""
        lower = step_down(self.ways, self._chosen, batch)
        if lower is None:
            return False
        size = format_memory(self.budget.size)
        self.budget.tell(f"memory {size} was not enough; from here on: {lower.text(batch)}")
        self._use(lower)
        return True

    @property
    def _chosen(self) -> Choice:
        return self.choice or Choice(self.ways[0], 1, 0)

    def _use(self, choice: Choice) -> None:
        self.choice = choice
        self.encoder.keeping = choice.way.keeping
        self.encoder.bf16 = self.narrow
        if self.budget.device.type == "cuda":
            torch.cuda.empty_cache()
