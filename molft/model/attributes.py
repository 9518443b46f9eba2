"""From what a node carries to its first state: a learned projection in place of the atom embedding.

An embedding table has a row for each code, so words counts fed to one are taken for codes and fill the memory
or fail. Here attributes are numbers: sparse rows are summed over their entries alone, dense ones multiplied.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molft.errors import MolftError


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of a sparse matrix: the columns and values of all entries, row by row.

    Shapes: columns int32 [Z], values float32 [Z], starts int32 [M] first entry of each row; ``width`` is the
    number of columns F.
    """

    columns: Tensor
    values: Tensor
    starts: Tensor
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as of a tensor."""
        return len(self.starts), self.width

    def to(self, device: torch.device) -> SparseRows:
        """The same on a device."""
        return SparseRows(self.columns.to(device), self.values.to(device), self.starts.to(device), self.width)


class AttributeProjection(nn.Module):
    """``W x + b``, for sparse and for dense rows; no dense row is made of a sparse one.

    ``centre`` and ``scale`` standardise dense columns first; they belong to the weights.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, attributes: int, width: int) -> None:
        super().__init__()
        # Rows of unit length with about thirty entries then give states of a size that Adam moves easily.
        self.weight = nn.Parameter(torch.randn(attributes, width) * 0.05)
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("centre", torch.zeros(attributes))
        self.register_buffer("scale", torch.ones(attributes))

    def forward(self, rows: SparseRows | Tensor) -> Tensor:
        """First states.

        Shapes: rows [M, F], out [M, D]. Another number of columns, or a dense row that holds no numbers, is
        a :class:`MolftError`.
        """
        if len(rows.shape) != 2 or rows.shape[1] != len(self.weight):
            raise MolftError(
                f"node attributes have shape {tuple(rows.shape)}, but the model was made for (M, "
                f"{len(self.weight):,}); networks must have the same columns of attributes"
            )
        if isinstance(rows, SparseRows):
            return F.embedding_bag(
                rows.columns, self.weight, rows.starts, mode="sum", per_sample_weights=rows.values
            ).add(self.bias)
        if rows.is_complex():
            raise MolftError(f"node attributes are of type {rows.dtype}; expected real numbers")
        return ((rows.to(self.weight.dtype) - self.centre) * self.scale) @ self.weight + self.bias
