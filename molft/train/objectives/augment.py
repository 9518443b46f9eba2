"""Altered views of molecules for contrastive learning (You et al., "GraphCL", NeurIPS 2020, table 1).

Each molecule of a view is altered in one of four ways, drawn anew: a fifth of its atoms is dropped, a fifth
of its bonds is moved elsewhere, a fifth of its atoms is masked, or only a connected four fifths is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from molft.data.batch import Batch
from molft.train.objectives.subgraphs import distances, draw_roots, induce

WAYS = ("drop", "rewire", "mask", "subgraph")
RATE = 0.2


def alter(
    batch: Batch, mask_atom: Sequence[int], generator: torch.Generator, ways: Sequence[str] = WAYS
) -> Batch:
    """A view of the batch, every molecule altered in one of ``ways``; none loses all its atoms."""
    drawn = torch.randint(len(ways), (batch.size,), generator=generator, device=batch.graph.device)
    way = torch.tensor([WAYS.index(name) for name in ways], device=drawn.device)[drawn]
    chosen = some(batch.graph, batch.size, generator)
    of_atom = way[batch.graph]
    atoms = batch.atoms.clone()
    atoms[chosen & (of_atom == WAYS.index("mask"))] = torch.tensor(mask_atom, device=atoms.device)
    gone = chosen & (of_atom == WAYS.index("drop"))
    gone |= outside(batch, generator) & (of_atom == WAYS.index("subgraph"))
    view = rewire(batch, way == WAYS.index("rewire"), generator)._replace(atoms=atoms)
    return induce(view, ~gone)


def some(group: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """A random fifth of the members of each group, rounded down.

    Shapes: group int64 [X], rising; out bool [X].
    """
    order = torch.rand(len(group), generator=generator, device=group.device, dtype=torch.float64)
    return ranks(order, group, size) < (RATE * torch.bincount(group, minlength=size)).long()[group]


def ranks(values: Tensor, group: Tensor, size: int) -> Tensor:
    """Place of each value in its group, the smallest first.

    Shapes: values float [X], group int64 [X], rising; out int64 [X].
    """
    by_value = values.argsort(stable=True)
    order = by_value[group[by_value].argsort(stable=True)]
    counts = torch.bincount(group, minlength=size)
    out = torch.empty_like(order)
    out[order] = torch.arange(len(order), device=order.device) - (torch.cumsum(counts, 0) - counts)[group]
    return out


def outside(batch: Batch, generator: torch.Generator) -> Tensor:
    """The fifth of each molecule's atoms (rounded down) that is farthest from a random root, bool [N].

    Ties are broken at random. What is left is connected if the molecule is: of two atoms, the farther one
    never stays alone. (GraphCL walks at random instead.)
    """
    hops = distances(batch.edge_index, len(batch.atoms), draw_roots(batch.graph, batch.size, generator))
    tie = torch.rand(len(hops), generator=generator, device=hops.device, dtype=torch.float64)
    counts = torch.bincount(batch.graph, minlength=batch.size)
    kept = counts - (RATE * counts).long()
    return ranks(hops + tie, batch.graph, batch.size) >= kept[batch.graph]


def rewire(batch: Batch, chosen: Tensor, generator: torch.Generator) -> Batch:
    """In the chosen molecules, a fifth of the bonds is moved to random other pairs of atoms, with its codes.

    A bond whose new place is taken (or leads from an atom to itself) is dropped. Shapes: chosen bool [B].
    """
    ends, codes = batch.edge_index[:, ::2], batch.bonds[::2]
    owner = batch.graph[ends[0]]
    moved = some(owner, batch.size, generator) & chosen[owner]
    counts = torch.bincount(batch.graph, minlength=batch.size)
    first = torch.cumsum(counts, 0) - counts
    where = owner[moved]
    share = torch.rand(2, len(where), generator=generator, device=ends.device, dtype=torch.float64)
    new = ends.clone()
    new[:, moved] = first[where] + (share * counts[where]).long()
    keys = new.amin(dim=0) * len(batch.atoms) + new.amax(dim=0)
    old = ends.amin(dim=0) * len(batch.atoms) + ends.amax(dim=0)
    taken = torch.isin(keys, old) | (new[0] == new[1]) | _repeated(keys)
    kept = ~(moved & taken)
    new, codes = new[:, kept], codes[kept]
    return batch._replace(
        edge_index=torch.stack([new, new.flip(0)], dim=2).flatten(1),
        bonds=codes.repeat_interleave(2, dim=0),
    )


def _repeated(keys: Tensor) -> Tensor:
    """Whether another equal key is there, bool [X]."""
    _, number, counts = keys.unique(return_inverse=True, return_counts=True)
    return counts[number] > 1
