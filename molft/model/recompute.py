"""Inner values of a layer computed again in the backward pass instead of being kept (Chen et al., 2016).

A layer keeps its input alone. What it makes of it is made a second time when the gradient comes by, from the
same weights, the same random numbers and the same batch, so the gradient is the same; it costs one more
forward pass. Batch normalisation still sees the whole batch, and counts it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

KEEPING = ("all", "states", "pieces")
"""What the layers of an encoder keep for the backward pass, from most to least: every inner value; their
inputs; these, and the perceptron goes through its rows in pieces, so that its wide inner layer is never
whole in memory."""

_ROWS = 2048  # of a piece: 5 MB of the inner layer at width 300; a number that 16-bit kernels are made for


def run_again(function: Callable[..., Tensor], norm: nn.Module, *inputs: Any) -> Tensor:  # noqa: ANN401
    """``function(*inputs)``, a layer with the normalisation ``norm``, with nothing kept but its inputs."""
    out: Tensor = checkpoint(function, *inputs, use_reentrant=False, context_fn=partial(_contexts, norm))
    return out


def run_pieces(function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """``function(rows)``, each row for itself, piece by piece and with nothing kept but ``rows``.

    Gradients of the weights are added up over the pieces: the same sum in another order.

    Shapes: rows [N, D], out [N, D'].
    """
    pieces = [
        checkpoint(function, piece, use_reentrant=False, preserve_rng_state=False)
        for piece in rows.split(_ROWS)
    ]
    return torch.cat(pieces) if len(pieces) > 1 else pieces[0]


def _contexts(norm: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Of the first pass and of the second, which must not move the running statistics on again."""
    return nullcontext(), _statistics_kept(norm)


@contextmanager
def _statistics_kept(norm: nn.Module) -> Iterator[None]:
    """Updates of the running statistics go to copies, which are thrown away."""
    kept = dict(norm.named_buffers())
    for name, value in kept.items():
        setattr(norm, name, value.clone())
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(norm, name, value)
