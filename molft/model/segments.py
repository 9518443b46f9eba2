"""Sums and softmax over groups of rows (the atoms of a molecule, the pairs of an atom)."""

from __future__ import annotations

from torch import Tensor


def segment_sum(values: Tensor, group: Tensor, size: int) -> Tensor:
    """Sum of the rows of each group; a group without rows gives zeros.

    Shapes: values [X, ...], group int64 [X], out [size, ...].
    """
    return values.new_zeros(size, *values.shape[1:]).index_add_(0, group, values)


def segment_max(values: Tensor, group: Tensor, size: int) -> Tensor:
    """Largest value of each column in each group; a group without rows gives zeros.

    Shapes: values [X, D], group int64 [X], out [size, D].
    """
    index = group.unsqueeze(1).expand_as(values)
    return values.new_zeros(size, values.shape[1]).scatter_reduce(
        0, index, values, "amax", include_self=False
    )


def segment_softmax(logits: Tensor, group: Tensor, size: int) -> Tensor:
    """Softmax of each column over the rows of each group.

    Shapes: logits [X, H], group int64 [X], out [X, H].
    """
    # The shift only keeps exp in range and cancels in the quotient: no gradient needs to pass through it.
    shift = segment_max(logits.detach(), group, size)
    weights = (logits - shift[group]).exp()
    return weights / (segment_sum(weights, group, size)[group] + 1e-16)
