"""Steps of a training within a memory budget: a way chosen by measuring, another where it was wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from molft.model.encoder import Encoder
from molft.train.budget import Budget, Snapshot, no_trace
from molft.train.processes import Processes
from molft.train.resident import format_memory, is_out_of_memory
from molft.train.ways import Choice, Way, choose_way, step_down, too_small

Result = TypeVar("Result")

_ONE_PROCESS, _AS_ALWAYS = Processes(), Choice(Way(), 1, 0)


@dataclass
class Lean:
    """How the gradients of a batch are computed within ``budget``.

    All encoders in ``model`` are set to what was chosen. ``least`` is the smallest number of molecules that a
    part may have. Several ``processes`` choose alike: what suits the one with the least room.
    """

    budget: Budget
    model: nn.Module
    ways: Sequence[Way]
    least: int = 1
    processes: Processes = _ONE_PROCESS
    choice: Choice = _AS_ALWAYS

    @property
    def parts(self) -> int:
        """In how many parts a batch is to be computed."""
        return self.choice.parts

    @property
    def narrow(self) -> bool:
        """Whether layers are to be computed in 16 bits, which only those on a CPU do by themselves."""
        return self.choice.way.half and self.budget.device.type == "cpu"

    @property
    def autocast(self) -> bool:
        """Whether torch's autocast is to be on, which stands for 16 bits elsewhere."""
        return self.choice.way.half and self.budget.device.type != "cpu"

    def choose(
        self, work: Callable[[int], object], atoms: NDArray[np.integer], optimizer: torch.optim.Optimizer
    ) -> None:
        """Measure and choose a way.

        ``work(n)`` computes the gradients of the first n molecules of the heaviest batch there is, in one
        part; ``atoms`` int [B] are those of its molecules. Room is kept for a copy of what is trained (the
        best weights, or a checkpoint), and for two averages of the ``optimizer`` if it has none yet.
        """
        trained = _bytes_of(p for p in self.model.parameters() if p.requires_grad)
        reserve = trained * (1 if optimizer.state else 3)

        def attempt(way: Way, number: int) -> None:
            self._use(Choice(way, 1, 0))
            with no_trace(self.model, self.budget.device):
                work(number)

        choice = choose_way(self.budget, self.ways, atoms, attempt, reserve, self.least)
        self._use(self._agree(choice))

    def attempt(self, gradients: Callable[[], Result], batch: int) -> Result:
        """What ``gradients`` gives, which adds those of a batch of so many molecules.

        Where memory runs out, the next way is taken and the batch computed again, as if it had not been
        begun; where more was held than the budget, from the next batch on. With nothing left to take, the
        first is a :class:`MolftError`.
        """
        device = self.budget.device
        while True:
            before = Snapshot(self.model, device)
            exceeded = self.budget.watch()
            result = self._try(gradients)
            if not self.processes.any(result is None, device) and result is not None:
                if self.processes.any(exceeded(), device):
                    self._back_off(batch)
                return result[0]
            before.restore()
            self.model.zero_grad(set_to_none=True)
            if not self._back_off(batch):
                raise too_small(self.budget, self.least)

    def _try(self, gradients: Callable[[], Result]) -> tuple[Result] | None:
        """The result; None where memory ran out. The error, which holds all tensors of the step, is gone."""
        try:
            return (gradients(),)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _back_off(self, batch: int) -> bool:
        """Take the next way and tell it; False where there is none."""
        lower = step_down(self.ways, self.choice, batch, self.least)
        if lower is None:
            return False
        size = format_memory(self.budget.size)
        self.budget.tell(f"memory {size} was not enough; from here on: {lower.text(batch)}")
        self._use(lower)
        return True

    def _agree(self, choice: Choice) -> Choice:
        """The most careful choice of all processes."""
        if self.processes.size == 1:
            return choice
        own = torch.zeros(self.processes.size, 2, device=self.budget.device)
        own[self.processes.rank] = torch.tensor([self.ways.index(choice.way), choice.parts])
        self.processes.sum([own])
        way, parts = (int(number) for number in own.amax(dim=0))
        return Choice(self.ways[way], parts, choice.peak)

    def _use(self, choice: Choice) -> None:
        self.choice = choice
        for encoder in self.model.modules():
            if isinstance(encoder, Encoder):
                encoder.keeping, encoder.bf16 = choice.way.keeping, self.narrow
        if self.budget.device.type == "cuda":
            torch.cuda.empty_cache()


def heaviest_batch(batches: Iterable[NDArray[np.int64]], sizes: NDArray[np.integer]) -> NDArray[np.int64]:
    """That of the batches whose molecules have most atoms together; ``sizes`` int [B] are those of all."""
    return max(batches, key=lambda rows: int(sizes[rows].sum()))


def _bytes_of(parameters: Iterable[Tensor]) -> int:
    """What they take in memory."""
    return sum(p.numel() * p.element_size() for p in parameters)
