"""Atoms with equal surroundings, computed once.

After k layers of a graph isomorphism network, an atom's state depends on nothing but the bonds and atoms
within k bonds of it, its environment: atoms of the same Weisfeiler-Leman colour have the same state (Xu et
al., ICLR 2019). Molecules repeat their parts, so a batch has fewer environments than atoms.

Colours are 64-bit hashes: two environments share one by accident with probability below 1e-10 in a batch of
10,000 atoms.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from molft.model.topology import Topology

# Odd 64-bit constants of the splitmix64 generator (Steele et al., OOPSLA 2014), as signed numbers.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64


@dataclass(frozen=True, eq=False)
class Environments:
    """Atoms grouped by environment.

    Shapes: members int64 [N] environment of each atom; atoms int64 [U] one atom of each environment; counts
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
    """A hash of each number (the finaliser of splitmix64), one to one.

    Shapes: int64 in and out, any shape.
    """
    numbers = (numbers + _STEP) * _FIRST
    numbers = (numbers ^ (numbers >> 30)) * _SECOND
    numbers = (numbers ^ (numbers >> 27)) * _FIRST
    return numbers ^ (numbers >> 31)


def colour_rows(rows: Tensor) -> Tensor:
    """Colour of atoms or pairs alone, from their rows of the stacked tables.

    Shapes: rows int64 [X, k], out int64 [X].
    """
    return scramble(rows).sum(dim=1)


def refine(colours: Tensor, pair_colours: Tensor, topology: Topology) -> Tensor:
    """Colours that know one bond more: own colour with the multiset of neighbours' and bonds' colours.

    Shapes: colours int64 [N], pair_colours int64 [P], out int64 [N].
    """
    messages = scramble(scramble(colours)[topology.neighbours] + pair_colours)
    # A sum doesn't depend on the order of its terms; 64-bit overflow wraps and does no harm.
    return scramble(colours).index_add_(0, topology.receivers, messages)


def group_atoms(colours: Tensor) -> Environments:
    """Atoms grouped by colour; the first atom of each colour stands for it.

    Shapes: colours int64 [N].
    """
    ordered, order = colours.sort(stable=True)
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    members = torch.empty_like(order)
    members[order] = first.cumsum(0) - 1
    starts = first.nonzero().squeeze(1)
    ends = torch.cat([starts[1:], starts.new_tensor([len(colours)])])
    return Environments(members, order[starts], ends - starts)


def reduce_topology(topology: Topology, before: Environments, after: Environments) -> Topology:
    """Neighbour lists of one layer between environments: from those of ``before`` to those of ``after``.

    ``after`` must refine ``before`` by one bond. Receivers are environments of ``after``, neighbours are of
    ``before``; the lists of the transposed product are added, since the matrix isn't symmetric any more.
    """
    lengths = topology.degrees[after.atoms].long()
    ends = lengths.cumsum(0)
    receivers = torch.repeat_interleave(torch.arange(len(lengths), device=ends.device), lengths)
    inside = torch.arange(len(receivers), device=ends.device) - (ends - lengths)[receivers]
    pairs = topology.starts[after.atoms].long()[receivers] + inside
    neighbours = before.members[topology.neighbours[pairs]]
    senders, order = neighbours.sort(stable=True)
    first = torch.searchsorted(senders, torch.arange(len(before.atoms), device=ends.device))
    return Topology(
        neighbours=neighbours.int(),
        starts=(ends - lengths).int(),
        receivers=receivers,
        rows=topology.rows[pairs],
        counts=topology.counts[after.atoms],
        transposed=(receivers[order].int(), first.int()),
    )
