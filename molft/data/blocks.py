"""What a few nodes of a large graph need to be computed: sampled neighbours, renumbered.

After Hamilton et al. (NeurIPS 2017): every node hears a mean over itself and its neighbours, of which at most
a given number is drawn in each hop. All steps are NumPy operations on whole hops; no node is a Python object.

Shapes: M receiving nodes of a hop, S sending nodes, P pairs (a node with itself or with a neighbour).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molft.data.network import Network
from molft.errors import MolftError

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Hop:
    """Who hears whom, and by which weight: ``out[i]`` is the sum of ``weights[p] * states[senders[p]]``.

    The weights of a receiver's pairs add up to 1 where all its neighbours are there; where they are drawn,
    the sum is right in the mean over draws. ``links`` are the places in ``network.neighbours``, -1 for a node
    with itself, which is each receiver's first pair.

    Shapes: senders int32 [P], starts int32 [M] first pair of each receiver, weights float32 [P], links int64
    [P].
    """

    senders: NDArray[np.int32]
    starts: NDArray[np.int32]
    weights: NDArray[np.float32]
    links: Ints


@dataclass(frozen=True, eq=False)
class Block:
    """Hops to be computed one after the other, from the states of ``nodes`` to those of the seeds.

    Senders of the first hop are places in ``nodes``, int64 [S]; receivers of a hop are the senders of the
    next, and those of the last are the seeds, in order.
    """

    nodes: Ints
    hops: list[Hop]


class Sampler:
    """Draws blocks from one network; keeps one int32 for each node, for renumbering."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._place = np.full(network.nodes, -1, np.int32)

    def draw(self, seeds: Ints, fanouts: Sequence[int | None], rng: np.random.Generator) -> Block:
        """The block of distinct ``seeds``; ``fanouts`` from the seeds outwards, None for all neighbours.

        A seed that is no node, or stands twice, is a :class:`MolftError`.
        """
        seeds = np.asarray(seeds, np.int64)
        if len(seeds) and not (seeds.min() >= 0 and seeds.max() < self.network.nodes):
            raise MolftError(
                f"nodes {seeds.min()} to {seeds.max()} are asked for, but the network has nodes 0 to "
                f"{self.network.nodes - 1}"
            )
        place, nodes, hops = self._place, seeds, []
        try:
            place[nodes] = np.arange(len(nodes))
            if not np.array_equal(place[nodes], np.arange(len(nodes))):
                raise MolftError("a node stands twice among the seeds; give each once")
            for fanout in fanouts:
                links, counts = draw_links(self.network.starts, nodes, fanout, rng)
                ends = self.network.neighbours[links]
                fresh = np.unique(ends[place[ends] < 0]).astype(np.int64)
                place[fresh] = np.arange(len(nodes), len(nodes) + len(fresh))
                degrees = self.network.starts[nodes + 1] - self.network.starts[nodes]
                hops.append(make_hop(np.arange(len(nodes)), place[ends], links, counts, degrees))
                nodes = np.concatenate([nodes, fresh])
        finally:
            place[nodes] = -1
        return Block(nodes, hops[::-1])


def full_hops(network: Network, rows: int) -> Iterator[tuple[slice, Hop]]:
    """All pairs of all nodes, ``rows`` receivers at a time; senders are numbers of nodes."""
    for first in range(0, network.nodes, rows):
        part = slice(first, min(first + rows, network.nodes))
        starts = network.starts[part.start : part.stop + 1]
        degrees = np.diff(starts)
        links = np.arange(starts[0], starts[-1])
        receivers = np.arange(part.start, part.stop)
        yield part, make_hop(receivers, network.neighbours[links], links, degrees, degrees)


def make_hop(own: Ints, ends: NDArray[np.int32], links: Ints, counts: Ints, degrees: Ints) -> Hop:
    """A hop with each receiver as its own first sender.

    Shapes: own [M] the receivers' places among the senders, ends and links [P - M] drawn neighbours receiver
    by receiver, counts [M] how many were drawn, degrees [M] of how many.
    """
    starts = np.cumsum(counts + 1) - (counts + 1)
    total = len(own) + len(ends)
    drawn = np.ones(total, bool)
    drawn[starts] = False
    senders, places = np.empty(total, np.int32), np.full(total, -1, np.int64)
    senders[starts], senders[drawn], places[drawn] = own, ends, links
    share = 1.0 / (degrees + 1)
    weights = np.repeat((share * degrees / np.maximum(counts, 1)).astype(np.float32), counts + 1)
    weights[starts] = share
    return Hop(senders, starts.astype(np.int32), weights, places)


def draw_links(starts: Ints, rows: Ints, fanout: int | None, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Places of at most ``fanout`` links of every row, each set equally likely, row by row; and their counts.

    Rows with more links are drawn by Floyd's algorithm (Bentley and Floyd, CACM 1987), all rows at once: its
    cost goes by ``fanout``, not by the degree of hubs.

    Shapes: starts [N + 1], rows [M], out [sum of counts] and [M].
    """
    first, degrees = starts[rows], starts[rows + 1] - starts[rows]
    counts = degrees if fanout is None else np.minimum(degrees, fanout)
    before = np.cumsum(counts) - counts
    links = np.repeat(first - before, counts) + np.arange(counts.sum())
    many = degrees > counts
    if fanout and many.any():
        chosen = np.empty((int(many.sum()), fanout), np.int64)
        limits = degrees[many]
        for k in range(fanout):
            last = limits - fanout + k
            draw = rng.integers(0, last + 1)
            taken = (chosen[:, :k] == draw[:, None]).any(axis=1)
            chosen[:, k] = np.where(taken, last, draw)
        links[np.repeat(many, counts)] = (chosen + first[many][:, None]).ravel()
    return links, counts
