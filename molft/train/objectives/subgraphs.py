"""Parts of a batch: which atoms are how far from a root, and the graph that a choice of atoms induces.

Everything works on the whole batch at once: a sweep moves one bond outward in all molecules together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from molft.data.batch import Batch

FAR = 1 << 30
"""Distance of an atom that no path leads to, or that lies beyond the limit."""


def draw_roots(graph: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """One random atom of each molecule that has atoms, all equally likely.

    Shapes: graph int64 [N], rising; out int64 [at most size], rising.
    """
    counts = torch.bincount(graph, minlength=size)
    first = torch.cumsum(counts, 0) - counts
    share = torch.rand(size, generator=generator, device=graph.device, dtype=torch.float64)
    return (first + (share * counts).long())[counts > 0]


def distances(edge_index: Tensor, atoms: int, roots: Tensor, limit: int = FAR) -> Tensor:
    """Bonds between each atom and the nearest root, up to ``limit``; :data:`FAR` beyond.

    Shapes: edge_index int64 [2, E], both directions of every bond; roots int64 [R]; out int64 [atoms].
    """
    out = torch.full((atoms,), FAR, dtype=torch.int64, device=edge_index.device)
    out[roots] = 0
    hop = 0
    while hop < limit:
        reached = edge_index[1][out[edge_index[0]] == hop]
        fresh = reached[out[reached] > hop]
        if len(fresh) == 0:
            break
        hop += 1
        out[fresh] = hop
    return out


def places(chosen: Tensor) -> Tensor:
    """Number of each chosen element among the chosen; meaningless elsewhere.

    Shapes: bool [X] to int64 [X].

    >>> places(torch.tensor([True, False, True]))[[0, 2]].tolist()
    [0, 1]
    """
    return torch.cumsum(chosen, 0) - 1


def induce(batch: Batch, chosen: Tensor) -> Batch:
    """The chosen atoms and the bonds between them; codes stay as they are, and so do the molecules.

    A molecule without chosen atoms stays as an empty one. Shapes: chosen bool [N].
    """
    bonds = chosen[batch.edge_index].all(dim=0)
    return Batch(
        batch.atoms[chosen],
        batch.bonds[bonds],
        places(chosen)[batch.edge_index[:, bonds]],
        batch.graph[chosen],
        batch.size,
    )
