"""Structural properties of atoms as targets: degree, ring membership, local clustering.

Hu, Fan, Chen, Chang and Sun, "Pre-training graph neural networks for generic structural feature extraction"
(2019), with the properties that mean something in a molecule. They are computed from the bonds of the batch,
so hidden atoms have them too. With a feature scheme that says degree and ring membership itself, only hidden
atoms are a task.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molft.data.batch import Batch
from molft.train.objectives.subgraphs import FAR, distances

DEGREES = 7  # classes 0 to 5, and 6 for more


class StructuralProperties(nn.Module):
    """Predict degree (cross-entropy), ring membership (BCE) and clustering coefficient (squared error)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head = nn.Linear(width, DEGREES + 2)

    def forward(self, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean of the three losses, and the share of atoms whose degree and ring membership are right.

        Shapes: states [N, width].
        """
        degree = degrees(batch)
        ring = in_ring(batch)
        out = self.head(states)
        losses = (
            F.cross_entropy(out[:, :DEGREES], degree.clamp(max=DEGREES - 1)),
            F.binary_cross_entropy_with_logits(out[:, DEGREES], ring.to(out.dtype)),
            F.mse_loss(out[:, DEGREES + 1], clustering(batch).to(out.dtype)),
        )
        right = (out[:, :DEGREES].argmax(dim=1) == degree) & ((out[:, DEGREES] > 0) == ring)
        return torch.stack(losses).mean(), right.float().mean()


def degrees(batch: Batch) -> Tensor:
    """Number of neighbours of each atom, int64 [N]."""
    return torch.bincount(batch.edge_index[0], minlength=len(batch.atoms))


def in_ring(batch: Batch) -> Tensor:
    """Whether each atom lies on a cycle, bool [N].

    Every bond outside a spanning tree closes a cycle with the tree, and every atom on a cycle lies on one of
    these. From both ends of all such bonds at once we walk toward the root until the walks meet.
    """
    depth, parent = spanning_forest(batch)
    one, other = batch.edge_index[:, ::2]
    closing = (parent[one] != other) & (parent[other] != one)
    one, other = one[closing], other[closing]
    out = torch.zeros(len(batch.atoms), dtype=torch.bool, device=one.device)
    out[one] = out[other] = True
    while len(one):
        deeper = depth[one] >= depth[other]
        one, other = torch.where(deeper, parent[one], one), torch.where(deeper, other, parent[other])
        out[one] = out[other] = True
        apart = one != other
        one, other = one[apart], other[apart]
    return out


def spanning_forest(batch: Batch) -> tuple[Tensor, Tensor]:
    """Depth and parent of each atom in breadth-first trees, one for each fragment; a root is its own parent.

    Shapes: int64 [N] each.
    """
    atoms = len(batch.atoms)
    parent = torch.arange(atoms, device=batch.graph.device)
    roots = parent[:0]
    while True:
        depth = distances(batch.edge_index, atoms, roots)
        left = (depth == FAR).nonzero().squeeze(1)
        if len(left) == 0:
            break
        # The first atom of each molecule that has not been reached: one more fragment of each.
        owners = batch.graph[left]
        first = torch.ones_like(left, dtype=torch.bool)
        first[1:] = owners[1:] != owners[:-1]
        roots = torch.cat([roots, left[first]])
    sender, receiver = batch.edge_index
    down = depth[receiver] == depth[sender] + 1
    parent[receiver[down]] = sender[down]
    return depth, parent


def clustering(batch: Batch) -> Tensor:
    """Share of the pairs of neighbours of each atom that are bonded to each other; 0 with fewer than two.

    In a molecule only rings of three raise it. Shapes: float32 [N] (Watts and Strogatz, Nature 1998).
    """
    atoms, degree = len(batch.atoms), degrees(batch)
    sender, order = batch.edge_index[0].sort(stable=True)
    receiver = batch.edge_index[1][order]
    # All walks of two bonds: from each bond on to every bond of its second atom.
    bond = torch.repeat_interleave(degree[receiver])
    ends = torch.cumsum(degree[receiver], 0)
    step = torch.arange(len(bond), device=bond.device) - (ends - degree[receiver])[bond]
    first = torch.cumsum(degree, 0) - degree
    start, stop = sender[bond], receiver[first[receiver[bond]] + step]
    closed = torch.isin(stop * atoms + start, sender * atoms + receiver)
    twice = torch.bincount(start[closed], minlength=atoms)
    return twice / (degree * (degree - 1)).clamp(min=1)
