"""Surroundings that recur from block to block of a library, computed once.

Blocks of a library share parts with each other as molecules share them within a block. So the states of
surroundings that came up in more than one block are kept (a first sighting leaves no more than a mark: most
surroundings of four bonds come up once), until the memory is full; and a layer computes only what isn't there
and what a later layer asks for.

A kept state is the very one that would be computed anew, to the bit: neighbours are summed in the order of
their colours, not of the atoms, and products go over pieces of one size, whose rows don't depend on each
other. So it doesn't matter to an answer which block came first, in which thread, or before which kill.

Two surroundings are taken for one if their 64-bit colours agree: with 200,000 kept and 2.5 10^9 asked for, as
by 10^8 molecules, that happens with probability below 1e-4.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock

import torch
from torch import Tensor

from molft.model.environments import Environments, reduce_lists, reduce_topology
from molft.model.topology import Topology

KEPT_BYTES = 1 << 28
"""What the states may take."""

_SLOT_BITS, _MARK_BITS = 20, 24


@dataclass(frozen=True, eq=False)
class Recalled:
    """What a layer takes from the memory, and gives to it.

    Shapes: rows int64 [R], of the memory, whose states stand behind the computed ones; places int64 [K],
    which of the computed states are put into rows ``first`` to ``first + K``; colours int64 [K] of these.
    """

    rows: Tensor
    places: Tensor
    colours: Tensor
    first: int


class Recurring:
    """States of surroundings by colour, for some encoders of one config, in at most ``size`` bytes.

    Threads may share it. What a block recalls (:func:`recall_layers`) is there for others once it is
    published, when each encoder has put in its states. With ``size`` 0 nothing is kept, and the answers are
    the same, to the bit.
    """

    def __init__(self, encoders: Sequence[object], width: int, size: int = KEPT_BYTES) -> None:
        rows = size // (4 * len(encoders) * width)
        self._encoders = list(encoders)
        self._states = _reserve(len(encoders), rows, width)
        self._rows, self._used = rows, 0
        self._keys = torch.zeros(max(1, rows), dtype=torch.int64)
        self._slots = torch.full((1 << (_SLOT_BITS if rows else 0),), -1, dtype=torch.int32)
        self._marks = torch.zeros(1 << (_MARK_BITS if rows else 0), dtype=torch.bool)
        self._lock = Lock()

    def is_for(self, encoders: Sequence[object]) -> bool:
        """Whether all whose states are kept are among these: they have to read every block together."""
        return all(any(one is other for other in encoders) for one in self._encoders)

    def states_of(self, encoder: object) -> Tensor | None:
        """The kept states of one of the encoders, float32 [rows, width]; None for another one."""
        for own, states in zip(self._encoders, self._states, strict=True):
            if own is encoder:
                return states
        return None

    def find(self, colours: Tensor) -> Tensor:
        """Row of each colour, -1 for one that isn't there.

        Shapes: int64 in and out, [U].
        """
        with self._lock:
            rows = self._slots.index_select(0, self._slot(colours)).long()
            keys = self._keys.index_select(0, rows.clamp(min=0))
        return torch.where((rows >= 0) & (keys == colours), rows, -1)

    def admit(self, colours: Tensor) -> tuple[Tensor, int]:
        """Which of the colours, none of which is there, are to be kept, and in rows from which on.

        Those that were seen before, while there is room. Of two that would be found in the same place the
        first stays.

        Shapes: colours int64 [U], out int64 [K].
        """
        mark, slot = colours & (len(self._marks) - 1), self._slot(colours)
        with self._lock:
            room = self._rows - self._used
            if not room:
                return colours.new_empty(0), 0
            again = self._marks.index_select(0, mark)
            self._marks.index_fill_(0, mark, True)
            free = self._slots.index_select(0, slot) < 0
            places = (again & free).nonzero().flatten()[:room]
            first, self._used = self._used, self._used + len(places)
        return places, first

    def publish(self, layers: Iterable[Recalled]) -> None:
        """Let others find what was put in."""
        with self._lock:
            for layer in layers:
                rows = torch.arange(layer.first, layer.first + len(layer.colours))
                self._keys.index_copy_(0, rows, layer.colours)
                slot = self._slot(layer.colours)
                free = self._slots.index_select(0, slot) < 0
                self._slots.index_copy_(0, slot[free], rows[free].int())

    def _slot(self, colours: Tensor) -> Tensor:
        # The upper bits: the lower ones are those of the marks.
        return (colours >> (64 - _SLOT_BITS)) & (len(self._slots) - 1)


def _reserve(*shape: int) -> Tensor:
    """A float32 tensor apart from the heap: it takes memory as it is filled, and gives all of it back."""
    size = 4 * math.prod(shape)
    if not size:
        return torch.empty(shape)
    room = mmap.mmap(-1, size)
    with suppress(AttributeError, OSError):  # not Linux, or a kernel without large pages
        room.madvise(mmap.MADV_HUGEPAGE)  # single rows are read from all over it
    return torch.frombuffer(room, dtype=torch.float32).view(shape)


def recall_layers(
    topology: Topology, groups: Sequence[Environments], colours: Sequence[Tensor], recurring: Recurring
) -> tuple[list[Topology], list[Recalled]]:
    """Neighbour lists of what each layer has to compute, and what it recalls in place of computing it.

    All of the last layer's surroundings are computed. Neighbours are numbered by where their states stand:
    first those that were computed, then those that were recalled.

    Shapes: ``groups`` and ``colours`` (int64 [N]) of depths 0 to L; out L layers, and L - 1.
    """
    last = len(groups) - 1
    layers = [reduce_topology(topology, groups[last - 1], groups[last])]
    recalled: list[Recalled] = []
    for depth in range(last - 1, 0, -1):
        group, above = groups[depth], layers[0]
        wanted = torch.zeros(len(group.atoms), dtype=torch.bool)
        wanted.index_fill_(0, above.neighbours.long(), True)
        asked = wanted.nonzero().flatten()
        names = colours[depth].index_select(0, group.atoms.index_select(0, asked))
        rows = recurring.find(names)
        new = rows < 0
        computed, known = asked[new], asked[~new]
        position = torch.empty(len(group.atoms), dtype=torch.int32)
        position.index_copy_(0, torch.cat([computed, known]), torch.arange(len(asked), dtype=torch.int32))
        layers[0] = replace(above, neighbours=position.index_select(0, above.neighbours), senders=len(asked))
        atoms = group.atoms.index_select(0, computed)
        layers.insert(0, reduce_lists(topology, groups[depth - 1], atoms, colours[depth - 1]))
        names = names[new]
        places, first = recurring.admit(names)
        recalled.insert(0, Recalled(rows[~new], places, names.index_select(0, places), first))
    return layers, recalled
