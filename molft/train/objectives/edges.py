"""Edge prediction: which atoms of a molecule are bonded?

Hamilton, Ying and Leskovec (NeurIPS 2017), in the form of the SNAP code (Hu, Liu et al., ICLR 2020): the
score of a pair is the dot product of its final states; the molecule is encoded with all its bonds. Dot
products of wide states are large, and so is this loss: beside other objectives it wants a small weight.
"""

from __future__ import annotations

import torch
from torch import Tensor

from molft.data.batch import Batch
from molft.train.objectives.context import tell_apart

_TRIES = 10  # pairs drawn for each one that is wanted


def draw_pairs(batch: Batch, generator: torch.Generator) -> Tensor:
    """Ordered pairs of atoms of one molecule that are not bonded: as many as it has bonds, if there are.

    None is drawn twice, though (a, b) and (b, a) may both be. Ten times as many are drawn as are wanted,
    and those that fit are kept; a small molecule gives fewer, a triangle of atoms none.

    Shapes: out int64 [2, K].
    """
    atoms = len(batch.atoms)
    wanted = torch.bincount(batch.graph[batch.edge_index[0, ::2]], minlength=batch.size)
    counts = torch.bincount(batch.graph, minlength=batch.size)
    first = torch.cumsum(counts, 0) - counts
    owner = torch.repeat_interleave(wanted * _TRIES)
    share = torch.rand(2, len(owner), generator=generator, device=owner.device, dtype=torch.float64)
    pairs = first[owner] + (share * counts[owner]).long()
    keys = pairs[0] * atoms + pairs[1]
    bonds = batch.edge_index[0] * atoms + batch.edge_index[1]
    fits = (pairs[0] != pairs[1]) & ~torch.isin(keys, bonds) & _first_of_its_kind(keys)
    pairs, owner = pairs[:, fits], owner[fits]
    kept = torch.bincount(owner, minlength=batch.size)
    rank = torch.arange(len(owner), device=owner.device) - (torch.cumsum(kept, 0) - kept)[owner]
    return pairs[:, rank < wanted[owner]]


def _first_of_its_kind(keys: Tensor) -> Tensor:
    """Whether no equal key stands before, bool [X]."""
    ordered, order = keys.sort(stable=True)
    fresh = torch.ones_like(keys, dtype=torch.bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    out = torch.empty_like(fresh)
    out[order] = fresh
    return out


def predict_edges(states: Tensor, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Loss over all bonds (once each) and as many pairs without one, and the share that was told right.

    A batch without bonds or without free pairs costs 0. Shapes: states [N, width].
    """
    pairs = draw_pairs(batch, generator)
    bonds = batch.edge_index[:, ::2]
    if bonds.shape[1] == 0 or pairs.shape[1] == 0:
        nothing = states.sum() * 0
        return nothing, nothing.detach()
    true, false = ((states[ends[0]] * states[ends[1]]).sum(dim=1) for ends in (bonds, pairs))
    return tell_apart(true, false)
