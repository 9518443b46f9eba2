"""Context prediction: does this ring of atoms belong around that neighbourhood?

Hu, Liu et al., "Strategies for pre-training graph neural networks", ICLR 2020, section 3.1.1. Around a
random root, the neighbourhood is all atoms within r bonds (r layers see no more), the context all atoms from
r to r + 2 bonds, and the atoms at r bonds, which lie in both, are the anchors. A second, smaller encoder
reads the context. With 5 layers that is 5, 5 to 7 (more than 4), and 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molft.data.batch import Batch
from molft.model.encoder import Encoder
from molft.model.segments import segment_sum
from molft.train.objectives.subgraphs import distances, draw_roots, induce, places

CONTEXT_LAYERS = 3
MODES = ("cbow", "skipgram")


class Contexts(NamedTuple):
    """Neighbourhoods and contexts of the K molecules that have both, molecule by molecule.

    Shapes: inner, outer: batches of K molecules; roots int64 [K], atoms of ``inner``; anchors int64 [A],
    atoms of ``outer``; owners int64 [A], molecule of each anchor, rising.
    """

    inner: Batch
    outer: Batch
    roots: Tensor
    anchors: Tensor
    owners: Tensor


def extract(batch: Batch, roots: Tensor, radius: int) -> Contexts:
    """Cut neighbourhood and context around one root in each of some molecules.

    A molecule that ends within ``radius - 1`` bonds of its root has no context and is left out.

    Shapes: roots int64 [R], at most one in each molecule, rising.
    """
    hops = distances(batch.edge_index, len(batch.atoms), roots, radius + CONTEXT_LAYERS - 1)
    outer = (hops >= radius) & (hops < radius + CONTEXT_LAYERS)
    has_context = torch.zeros(batch.size, dtype=torch.bool, device=hops.device)
    has_context[batch.graph[outer]] = True
    inner = (hops <= radius) & has_context[batch.graph]
    roots = roots[has_context[batch.graph[roots]]]
    number, size = places(has_context), int(has_context.sum())
    inside, around = (
        part._replace(graph=number[part.graph], size=size)
        for part in (induce(batch, inner), induce(batch, outer))
    )
    anchors = (hops[outer] == radius).nonzero().squeeze(1)
    return Contexts(inside, around, places(inner)[roots], anchors, around.graph[anchors])


class ContextPrediction(nn.Module):
    """Tell the context of a neighbourhood from that of another molecule of the batch.

    ``cbow`` compares the root's state with the mean over the anchors of its context; ``skipgram`` with each
    anchor.
    """

    def __init__(self, layers: int, context_encoder: Encoder, mode: str = "cbow") -> None:
        super().__init__()
        self.radius = layers
        self.encoder = context_encoder
        self.mode = mode

    def forward(
        self, encode: Callable[[Batch], Tensor], batch: Batch, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Loss, and the share of pairs that were told right; 0 and 0 where no molecule has a context.

        ``encode`` is the encoder to train.
        """
        cut = extract(batch, draw_roots(batch.graph, batch.size, generator), self.radius)
        if len(cut.roots) == 0:
            nothing = next(self.parameters()).sum() * 0
            return nothing, nothing.detach()
        inner = encode(cut.inner).float()[cut.roots]
        return contrast(inner, self.encoder(cut.outer).float()[cut.anchors], cut.owners, self.mode)


def contrast(inner: Tensor, anchors: Tensor, owners: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    """Cross-entropy of true pairs and of pairs shifted by one molecule; share of pairs that are right.

    Shapes: inner [K, D]; anchors [A, D]; owners int64 [A], each of the K at least once.
    """
    if mode == "cbow":
        counts = torch.bincount(owners, minlength=len(inner)).unsqueeze(1)
        outer = segment_sum(anchors, owners, len(inner)) / counts
        true = (inner * outer).sum(dim=1)
        false = (inner * outer.roll(-1, dims=0)).sum(dim=1)
    else:
        true = (inner[owners] * anchors).sum(dim=1)
        false = (inner.roll(-1, dims=0)[owners] * anchors).sum(dim=1)
    return tell_apart(true, false)


def tell_apart(true: Tensor, false: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of true pairs plus that of false ones; mean share on the right side of 0.

    Shapes: true [X], false [Y], logits.
    """
    loss = F.softplus(-true).mean() + F.softplus(false).mean()
    right = ((true > 0).float().mean() + (false < 0).float().mean()) / 2
    return loss, right.detach()
