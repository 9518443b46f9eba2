"""Ways of computing a training step, from the fastest to the one that needs least memory.

1. As always.
2. Layers keep their inputs only (:mod:`molft.model.recompute`): the same result.
3. Perceptrons go through their rows in pieces as well, their gradients added up: the same to rounding.
4. In 16 bits, unless 32 are asked for.
5. The batch in parts, whose gradients are added up. The update is that of the whole batch, each label
   weighs the same, but batch normalisation sees one part ("ghost batch normalisation", Hoffer et al.,
   NeurIPS 2017); its running statistics are the mean over the parts. Where the normalised layers are frozen,
   the result is the same to rounding.

Parts come last, though they are what is usually reached for first: ways 2 and 3 need half to a third of the
memory and leave the batch, and with it batch normalisation, whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from molft.errors import MolftError
from molft.model.recompute import KEEPING
from molft.train.budget import Budget
from molft.train.resident import format_memory, used

_KERNELS = 50_000_000  # bytes that oneDNN comes to hold for products in 16 bits, by measurement


class Way(NamedTuple):
    """What layers keep (:data:`molft.model.recompute.KEEPING`), and whether they compute in 16 bits."""

    keeping: str = KEEPING[0]
    half: bool = False


@dataclass(frozen=True)
class Choice:
    """A way, in how many parts a batch is computed, and the peak in bytes that was measured."""

    way: Way
    parts: int
    peak: int

    def text(self, batch: int) -> str:
        """In words, for a batch of so many molecules."""
        kept = {
            "all": "layers keep all",
            "states": "layers keep their inputs only (same result)",
            "pieces": "layers keep their inputs only and work in pieces (same result to rounding)",
        }[self.way.keeping]
        bits = ", 16 bits" if self.way.half else ""
        if self.parts == 1:
            return f"{kept}{bits}, batch of {batch:,} whole"
        each = -(-batch // self.parts)
        return (
            f"{kept}{bits}, batch of {batch:,} in {self.parts} parts of {each:,} (each normalised by itself)"
        )


def list_ways(conv: str, half: bool, may_halve: bool) -> list[Way]:
    """The ways of an encoder of ``conv`` layers; ``half``: it computes in 16 bits anyway."""
    kept = KEEPING if conv == "gin" else KEEPING[:2]
    ways = [Way(keeping, half) for keeping in kept]
    return [*ways, Way(kept[-1], True)] if may_halve and not half else ways


def choose_way(
    budget: Budget,
    ways: Sequence[Way],
    atoms: NDArray[np.integer],
    work: Callable[[Way, int], object],
    reserve: int = 0,
    least: int = 1,
) -> Choice:
    """The first way in which the whole batch fits, else that with the fewest parts; it is told.

    ``atoms`` int [B] are those of the molecules of the heaviest batch; ``work(way, n)`` computes the
    gradients of the first n and leaves no trace. ``reserve`` bytes are kept free, and in 16 bits some for
    kernels of other batches. Not even ``least`` of them are a :class:`MolftError`.
    """
    batch, best = len(atoms), None
    for way in ways:
        later = reserve + (_KERNELS if way.half and budget.device.type == "cpu" else 0)
        found = budget.most(atoms, lambda number, way=way: work(way, number), later)  # type: ignore[misc]
        choice = Choice(way, -(-batch // max(1, found.molecules)), found.peak)
        if found.molecules >= min(least, batch) and (best is None or choice.parts < best.parts):
            best = choice
        if found.molecules == batch:
            break
    if best is None:
        raise too_small(budget, least, int(atoms[0]))
    budget.tell(
        f"memory {format_memory(budget.size)}: {best.text(batch)}; "
        f"measured: {format_memory(best.peak)} at most, {format_memory(used(budget.device))} between steps"
    )
    return best


def step_down(ways: Sequence[Way], choice: Choice, batch: int, least: int = 1) -> Choice | None:
    """The next way, or twice the parts after the last; None where a part would have too few molecules."""
    number = list(ways).index(choice.way)
    if number + 1 < len(ways):
        return replace(choice, way=ways[number + 1])
    return replace(choice, parts=2 * choice.parts) if batch >= 2 * choice.parts * least else None


def too_small(budget: Budget, least: int = 1, atoms: int | None = None) -> MolftError:
    """That no step fits."""
    which = "one molecule" if least == 1 else f"{least} molecules"
    size = "" if atoms is None else f" (the first has {atoms} atoms)"
    return MolftError(
        f"--memory {format_memory(budget.size)}: not even {which}{size} fit into a step beside the "
        f"{format_memory(used(budget.device))} held between steps; give more memory, or train fewer layers "
        "(--strategy frozen)"
    )
