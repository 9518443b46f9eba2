"""Work kept within an amount of memory: how much of it fits at a time, found by measuring.

Nothing is computed from formulas. A piece of work is done on few molecules, its peak is read
(:mod:`molft.train.resident`), and more are tried as long as the next peak, by what an atom cost in the last
one, stays below the budget. So the search itself stays within it, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from molft.errors import MolftError
from molft.train.resident import (
    forget_peak,
    format_memory,
    give_back,
    is_out_of_memory,
    keep_within,
    peak,
    used,
)

_FIRST = 32  # molecules of the first measurement
_SAFETY = 0.95  # of the budget may be planned for: batches differ, and kernels are added on the way
_SLIGHT = 0.05  # of the budget is next to nothing
_GROWTH = 1.05  # by which an atom may cost more in a larger batch


def say_nothing(text: str) -> None:
    """Tell nobody."""


class Found(NamedTuple):
    """How many molecules fit at a time (0: not even one), and the peak in bytes that was measured."""

    molecules: int
    peak: int


@dataclass(frozen=True)
class Budget:
    """``size`` bytes that may be held on ``device``, as :mod:`molft.train.resident` counts them."""

    size: int
    device: torch.device
    tell: Callable[[str], None] = say_nothing

    def begin(self) -> None:
        """Set the allocator; more held already than the budget is a :class:`MolftError`."""
        keep_within(self.device, self.size)
        held = used(self.device)
        if held > self.size:
            raise MolftError(
                f"--memory {format_memory(self.size)}: molft with its libraries and this data holds "
                f"{format_memory(held)} before it begins; give at least {format_memory(1.25 * held)}"
            )

    @property
    def room(self) -> int:
        """Bytes that may still be taken now."""
        return max(0, int(_SAFETY * self.size) - used(self.device))

    def watch(self) -> Callable[[], bool]:
        """A function that says whether a step that begins now went over the budget.

        A step that takes next to nothing is not to blame for what else is held, and less of it wouldn't help.
        """
        give_back(self.device)
        forget_peak(self.device)
        before = peak(self.device)  # where it can't be forgotten, what was held earlier doesn't count
        return lambda: peak(self.device) > max(self.size, before + int(_SLIGHT * self.size))

    def most(self, atoms: NDArray[np.integer], work: Callable[[int], object], reserve: int = 0) -> Found:
        """How many molecules ``work`` can do at a time.

        ``atoms`` int [B] are those of each molecule of the largest piece of work there is; ``work(n)`` does
        it with the first n of them and leaves no trace. ``reserve`` bytes are kept free.
        """
        sums = np.cumsum(atoms)
        most, number = len(sums), min(_FIRST, len(sums))
        self._measure(work, min(2, number))  # what is needed once (kernels, buffers) is no cost of an atom
        best = Found(0, 0)
        while number > best.molecules:
            held = used(self.device)
            top = self._measure(work, number)
            room = int(_SAFETY * self.size) - reserve - held
            if top is None or top - held > room:
                most = number - 1
                number = min(number // 2, most)
                continue
            best = Found(number, top + reserve)
            cost = _GROWTH * max(top - held, 1) / max(int(sums[number - 1]), 1)
            number = min(most, 2 * number, int(np.searchsorted(sums, room / cost, side="right")))
        return best

    def _measure(self, work: Callable[[int], object], number: int) -> int | None:
        """The peak of the work; None where memory ran out."""
        give_back(self.device)
        forget_peak(self.device)
        try:
            work(number)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return None
        return peak(self.device)


class Snapshot:
    """What a step changes besides gradients: random numbers and running statistics."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.device = device
        self.numbers = torch.get_rng_state()
        self.on_gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)]
        self.buffers: list[tuple[Tensor, Tensor]] = [(b, b.clone()) for m in norms for b in m.buffers()]

    @torch.no_grad()
    def restore(self) -> None:
        """Put it all back."""
        torch.set_rng_state(self.numbers)
        if self.on_gpu is not None:
            torch.cuda.set_rng_state(self.on_gpu, self.device)
        for buffer, before in self.buffers:
            buffer.copy_(before)


@contextmanager
def no_trace(model: nn.Module, device: torch.device) -> Iterator[None]:
    """While inside, steps may be tried: random numbers, statistics and gradients are as before afterwards."""
    before = Snapshot(model, device)
    try:
        yield
    finally:
        before.restore()
        model.zero_grad(set_to_none=True)
        if device.type == "cuda":
            torch.cuda.empty_cache()
