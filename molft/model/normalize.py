"""Batch normalisation over atoms, each row standing for one atom or for several equal ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F


class _WeightedNorm(torch.autograd.Function):
    """Normalisation by the weighted mean and variance of the rows (Ioffe & Szegedy, ICML 2015)."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor, shares: Tensor, mean: Tensor, scale: Tensor
    ) -> Tensor:
        """Shapes: x [U, D], shares [U, 1] adding up to 1, the others [D], out [U, D]."""
        ctx.save_for_backward(x, weight, shares, mean, scale)
        wide = x.to(weight.dtype)
        return torch.addcmul(bias - mean * scale * weight, wide, scale * weight).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """``dx = w s (g - p (sum g + z sum(g z)))`` with z the normalised rows, p their shares."""
        x, weight, shares, mean, scale = ctx.saved_tensors  # type: ignore[attr-defined]
        normal = (x - mean).mul_(scale)
        grad = grad.to(mean.dtype)
        d_bias = grad.sum(dim=0)
        d_weight = (grad * normal).sum(dim=0)
        d_x = normal.mul_(-d_weight).sub_(d_bias).mul_(shares).add_(grad).mul_(weight * scale)
        return d_x.to(x.dtype), d_weight, d_bias, None, None, None


def weighted_norm(norm: nn.BatchNorm1d, states: Tensor, counts: Tensor) -> Tensor:
    """What ``norm`` gives in training if row u stood ``counts[u]`` times in the batch.

    Running statistics are updated as for all these rows.

    Shapes: states [U, D], counts int64 [U] (at least 2 in all), out [U, D].
    """
    total = int(counts.sum())
    # Shares and sums of many rows want 32 bits even where layers are computed with 16.
    wide = states.to(torch.promote_types(states.dtype, norm.weight.dtype)).detach()
    shares = (counts.to(wide.dtype) / total).unsqueeze(1)
    with torch.no_grad():
        mean = (shares.t() @ wide).squeeze(0)
        # Around the mean: a mean of squares less a square of means would lose all digits.
        variance = (shares.t() @ (wide - mean).square_()).squeeze(0)
        if norm.running_mean is not None and norm.running_var is not None and norm.momentum is not None:
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), norm.momentum)
            unbiased = variance * (total / (total - 1))
            norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), norm.momentum)
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked.add_(1)
    out: Tensor = _WeightedNorm.apply(
        states, norm.weight, norm.bias, shares, mean, (variance + norm.eps).rsqrt()
    )
    return out


def normalize(norm: nn.BatchNorm1d, states: Tensor, counts: Tensor | None = None) -> Tensor:
    """Batch normalisation over all atoms of the batch; row u stands for ``counts[u]`` atoms.

    A single atom has no variance: then, as in eval mode, the running statistics are used, and not updated.

    Shapes: states [U, D], counts int64 [U] or None (one atom each), out [U, D].
    """
    atoms = states.shape[0] if counts is None else int(counts.sum())
    if norm.training and atoms < 2:
        return F.batch_norm(
            states, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=False, eps=norm.eps
        )
    if norm.training and counts is not None:
        with torch.autocast(states.device.type, enabled=False):
            return weighted_norm(norm, states, counts)
    out: Tensor = norm(states)
    return out
