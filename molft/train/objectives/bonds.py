"""Bond attribute prediction: hide bonds and predict what they were (Hu, Liu et al., ICLR 2020, 3.1.2).

As in the SNAP code, the bonds that touch chosen atoms are hidden, in both directions, and a bond is read
from the sum of the final states of its two atoms.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def touching(edge_index: Tensor, atoms: Tensor, count: int) -> Tensor:
    """Bonds with an end among ``atoms``, each once: bond b is columns 2b and 2b + 1 of ``edge_index``.

    Shapes: edge_index int64 [2, E], atoms int64 [K] out of ``count``; out int64 [at most E / 2], rising.
    """
    chosen = torch.zeros(count, dtype=torch.bool, device=edge_index.device)
    chosen[atoms] = True
    return chosen[edge_index[:, ::2]].any(dim=0).nonzero().squeeze(1)


class MaskedBonds(nn.Module):
    """Predict the codes of hidden bonds.

    With the ``snap`` scheme only the bond type is predicted, as published; with a richer one every column
    is, and the loss is the mean over columns.
    """

    def __init__(self, width: int, bond_sizes: Sequence[int], mask_bond: Sequence[int]) -> None:
        super().__init__()
        # Column 1 of ``snap`` (direction) is not predicted in the SNAP code.
        self.sizes = list(bond_sizes[:1]) if len(bond_sizes) == 2 else list(bond_sizes)
        self.head = nn.Linear(width, sum(self.sizes))
        self.register_buffer("mask_bond", torch.tensor(mask_bond), persistent=False)

    def hide(self, bonds: Tensor, index: Tensor) -> Tensor:
        """A copy of ``bonds`` int64 [E, Fb] with both directions of the bonds ``index`` set to the mask."""
        hidden = bonds.clone()
        hidden[2 * index] = hidden[2 * index + 1] = self.get_buffer("mask_bond")
        return hidden

    def forward(self, states: Tensor, edge_index: Tensor, bonds: Tensor) -> tuple[Tensor, Tensor]:
        """Loss, and the share of bond types that were right; without bonds 0 and 0.

        Shapes: states [N, width]; edge_index int64 [2, K], ends of the hidden bonds; bonds int64 [K, Fb],
        their true codes.
        """
        logits = self.head(states[edge_index[0]] + states[edge_index[1]]).split(self.sizes, dim=1)
        if len(bonds) == 0:
            nothing = states.sum() * 0
            return nothing, nothing.detach()
        losses = [F.cross_entropy(part, bonds[:, column]) for column, part in enumerate(logits)]
        right = (logits[0].argmax(dim=1) == bonds[:, 0]).float().mean()
        return torch.stack(losses).mean(), right
