"""Atoms with equal surroundings, computed once.

After k layers of a graph isomorphism network, an atom's state depends on nothing but the bonds and atoms
within k bonds of it, its environment: atoms of the same Weisfeiler-Leman colour have the same state (Xu et
al., ICLR 2019). Molecules repeat their parts, so a batch has fewer environments than atoms.

Colours are 64-bit hashes: two environments share one by accident with probability below 1e-10 in a batch of
10,000 atoms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from molft.model.topology import Topology, stable_order

# Odd 64-bit constants of the splitmix64 generator (Steele et al., OOPSLA 2014), as signed numbers.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


@dataclass(frozen=True, eq=False)
class Environments:
    """Atoms grouped by environment, numbered as they first appear: what lies together stays together.

    Shapes: members int64 [N] environment of each atom; atoms int64 [U] the first atom of each, rising; counts
    int64 [U] atoms of each environment.
    """

    members: Tensor
    atoms: Tensor
    counts: Tensor

    def expand(self, states: Tensor) -> Tensor:
        """State of each atom from the state of each environment.

        Shapes: states [U, D], out [N, D].
        """
        return states.index_select(0, self.members)


def scramble(numbers: Tensor) -> Tensor:
    """A hash of each number, as by the finaliser of splitmix64.

    torch shifts signed numbers, so that a bit is lost at each of three shifts: 61 count.

    Shapes: int64 in and out, any shape.
    """
    out = (numbers + _STEP).mul_(_FIRST)
    out.bitwise_xor_(out >> 30).mul_(_SECOND)
    out.bitwise_xor_(out >> 27).mul_(_FIRST)
    return out.bitwise_xor_(out >> 31)


def colour_rows(rows: Tensor) -> Tensor:
    """Colour of atoms or pairs alone, from their rows of the stacked tables.

    Shapes: rows int64 [X, k], out int64 [X].
    """
    if not rows.numel():
        return rows.new_zeros(len(rows))
    # Many times fewer rows are in the tables than in a batch.
    hashes = scramble(torch.arange(int(rows.max()) + 1, device=rows.device))
    return hashes.index_select(0, rows.flatten()).view(rows.shape).sum(dim=1)


def refine(colours: Tensor, pair_colours: Tensor, topology: Topology) -> Tensor:
    """Colours that know one bond more: own colour with the multiset of neighbours' and bonds' colours.

    Shapes: colours int64 [N], pair_colours int64 [P], out int64 [N].
    """
    own = scramble(colours)
    messages = own.index_select(0, topology.neighbours).add_(pair_colours)
    # Half a scramble: what it is given is scrambled already.
    messages.bitwise_xor_(messages >> 30).mul_(_SECOND)
    messages.bitwise_xor_(messages >> 27)
    # A sum doesn't depend on the order of its terms; 64-bit overflow wraps and does no harm.
    return own.index_add_(0, topology.receivers, messages)


def group_atoms(colours: Tensor) -> Environments:
    """Atoms grouped by colour; the first atom of each colour stands for it.

    Shapes: colours int64 [N].
    """
    if colours.device.type != "cpu":
        return group_by_sorting(colours)
    # By a hash table: a sort takes three times as long. Of pyarrow, from its buffers and to them: its own
    # conversions import pandas first.
    column = pa.Array.from_buffers(pa.int64(), len(colours), [None, pa.py_buffer(colours.numpy())])
    indices = column.dictionary_encode().indices
    members = np.frombuffer(indices.buffers()[1], np.int32, len(indices)).astype(np.int64)
    first = np.flatnonzero(np.diff(np.maximum.accumulate(members), prepend=-1))
    groups = torch.from_numpy(members)
    return Environments(groups, torch.from_numpy(first), torch.bincount(groups, minlength=len(first)))


def group_by_sorting(colours: Tensor) -> Environments:
    """:func:`group_atoms` with torch alone, as on a GPU."""
    _, groups, counts = colours.unique(return_inverse=True, return_counts=True)
    places = torch.arange(len(colours), device=colours.device)
    first = torch.full_like(counts, len(colours)).scatter_reduce_(0, groups, places, "amin")
    atoms, order = first.sort()
    number = torch.empty_like(order)
    number[order] = torch.arange(len(order), device=order.device)
    return Environments(number.index_select(0, groups), atoms, counts.index_select(0, order))


def reduce_topology(topology: Topology, before: Environments, after: Environments) -> Topology:
    """Neighbour lists of one layer between environments: from those of ``before`` to those of ``after``.

    ``after`` must refine ``before`` by one bond. Receivers are environments of ``after``, neighbours are of
    ``before``, so the matrix isn't symmetric any more.
    """
    return reduce_lists(topology, before, after.atoms)


def reduce_lists(
    topology: Topology, before: Environments, receivers: Tensor, colours: Tensor | None = None
) -> Topology:
    """:func:`reduce_topology` to some atoms; with ``colours`` each list is in the order of its colours.

    Shapes: receivers int64 [U] atoms, colours int64 [N].
    """
    # By index_select throughout: indexing with brackets takes four times as long.
    lengths = topology.degrees.index_select(0, receivers).long()
    starts = lengths.cumsum(0) - lengths
    lists = torch.repeat_interleave(lengths)
    shift = topology.starts.index_select(0, receivers) - starts
    pairs = shift.index_select(0, lists).add_(torch.arange(len(lists), device=lists.device))
    if colours is not None:
        names = colours.index_select(0, topology.neighbours.index_select(0, pairs))
        order = names.argsort()
        order = order.index_select(0, stable_order(lists.index_select(0, order)))
        pairs = pairs.index_select(0, order)
    atoms = topology.neighbours.index_select(0, pairs)
    return Topology(
        neighbours=before.members.index_select(0, atoms).int(),
        starts=starts.int(),
        receivers=lists,
        rows=topology.rows.index_select(0, pairs),
        counts=topology.counts.index_select(0, receivers),
        senders=len(before.atoms),
    )
