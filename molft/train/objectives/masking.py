"""Attribute masking: hide some atoms and predict what they were (Hu, Liu et al., ICLR 2020, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RATE = 0.15


def choose_atoms(
    graph: Tensor, size: int, generator: torch.Generator, molecules: Tensor | None = None
) -> Tensor:
    """floor(0.15 n + 1) random atoms of each molecule with n atoms, without replacement.

    Shapes: graph int64 [N], molecule of each atom, rising; ``molecules`` bool [size], which ones take part;
    out int64 [K], rising.
    """
    counts = torch.bincount(graph, minlength=size)
    wanted = (RATE * counts + 1).long().clamp(max=counts)
    if molecules is not None:
        wanted = wanted * molecules
    # Shuffle the atoms inside each molecule, then take the first ones.
    draw = torch.rand(len(graph), generator=generator, dtype=torch.float64, device=graph.device)
    order = torch.argsort(draw + graph)
    first = torch.cumsum(counts, 0) - counts
    rank = torch.arange(len(graph), device=graph.device) - first[graph]
    return order[rank < wanted[graph]].sort().values


class MaskedAtoms(nn.Module):
    """Predict the codes of hidden atoms from their final states.

    With the ``snap`` scheme only the atomic number is predicted, as published; with a richer scheme every
    column is, and the loss is the mean over columns.
    """

    def __init__(self, width: int, atom_sizes: Sequence[int], mask_atom: Sequence[int]) -> None:
        super().__init__()
        # Column 1 of ``snap`` (chirality) is not predicted in the SNAP code.
        self.sizes = list(atom_sizes[:1]) if len(atom_sizes) == 2 else list(atom_sizes)
        self.head = nn.Linear(width, sum(self.sizes))
        self.register_buffer("mask_atom", torch.tensor(mask_atom), persistent=False)

    def hide(self, atoms: Tensor, index: Tensor) -> Tensor:
        """A copy of ``atoms`` int64 [N, Fa] with the rows ``index`` set to the mask code."""
        hidden = atoms.clone()
        hidden[index] = self.get_buffer("mask_atom")
        return hidden

    def forward(self, states: Tensor, atoms: Tensor) -> tuple[Tensor, Tensor]:
        """Loss, and the share of atomic numbers that were right.

        Shapes: states [K, width] of the hidden atoms, atoms int64 [K, Fa] their true codes.
        """
        logits = self.head(states).split(self.sizes, dim=1)
        losses = [F.cross_entropy(part, atoms[:, column]) for column, part in enumerate(logits)]
        right = (logits[0].argmax(dim=1) == atoms[:, 0]).float().mean()
        return torch.stack(losses).mean(), right
