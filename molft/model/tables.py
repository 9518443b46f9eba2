"""Embedding tables of categorical features, several columns at a time.

Atoms and bonds come as integer codes, one column for each feature; each column has its own table, named
``<prefix>1``, ``<prefix>2``, ... in the state dict (the names of Hu et al., ICLR 2020). For arithmetic the
tables are stacked into one, so that a column's code plus the rows of the tables before it is a row number.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from molft.errors import MolftError


def add_tables(module: nn.Module, prefix: str, sizes: Sequence[int], width: int) -> None:
    """Give ``module`` one Xavier-uniform table for each size.

    All tables are made first and initialised afterwards: that is the order in which Hu et al. draw random
    numbers, so that a seed gives their initial weights.
    """
    for k, rows in enumerate(sizes, start=1):
        module.add_module(f"{prefix}{k}", nn.Embedding(rows, width))
    for k in range(1, len(sizes) + 1):
        nn.init.xavier_uniform_(module.get_parameter(f"{prefix}{k}.weight"))


def stack_tables(module: nn.Module, prefix: str, sizes: Sequence[int]) -> Tensor:
    """Tables ``<prefix>1..k`` of ``module``, one below the other.

    Shapes: out [sum(sizes), width].
    """
    return torch.cat([module.get_parameter(f"{prefix}{k}.weight") for k in range(1, len(sizes) + 1)])


def stacked_rows(codes: Tensor, sizes: Sequence[int], what: str) -> Tensor:
    """Row of the stacked table for each code.

    Shapes: codes int64 [X, k], out int64 [X, k]. A code outside its table (features of another scheme, as a
    rule) is a :class:`MolftError`: stacked, it would otherwise read a row of the next table.
    """
    if codes.dim() != 2 or codes.shape[1] != len(sizes):
        raise MolftError(
            f"{what} features have shape {tuple(codes.shape)}, but the encoder expects {len(sizes)} columns; "
            "featurise with the scheme the encoder was made for"
        )
    limits = torch.tensor(sizes, device=codes.device)
    if bool(((codes < 0) | (codes >= limits)).any()):
        column = int(((codes < 0) | (codes >= limits)).any(dim=0).nonzero()[0])
        low, high = int(codes[:, column].min()), int(codes[:, column].max())
        raise MolftError(
            f"{what} feature {column} has codes {low} to {high}, but the encoder's table has rows 0 to "
            f"{sizes[column] - 1}; featurise with the scheme the encoder was made for"
        )
    starts = torch.tensor([0, *accumulate(sizes)][:-1], device=codes.device)
    return codes + starts
