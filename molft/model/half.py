"""A layer in 16 bits, on a CPU that has units for them.

The two products of GIN's perceptron are nearly all of the network's arithmetic. In bfloat16, with sums in 32
bits, a core with AMX does them about fifteen times as fast; the states between layers take half the memory.
Parameters, normalisation and gradients of parameters stay in 32 bits. oneDNN compiles a kernel for every new
shape, which takes longer than the product of a batch: so the rows of a product are padded to one of few
numbers (:attr:`molft.model.topology.Topology.padded`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

_FEWEST = 64


def padded_rows(rows: int) -> int:
    """The next number of rows that kernels are made for: 16 numbers for each doubling.

    >>> [padded_rows(rows) for rows in (1, 64, 65, 1000, 1025, 5600)]
    [64, 64, 128, 1024, 1088, 5632]
    """
    step = max(_FEWEST, 1 << max(0, (rows - 1).bit_length() - 5))
    return max(1, -(-rows // step)) * step


def has_half_units() -> bool:
    """Whether this CPU has units that multiply bfloat16 matrices (AMX)."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))


_FUSED = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def linear(x: Tensor, weight: Tensor, bias: Tensor, relu: bool = False) -> Tensor:
    """``x weight^T + bias``, and its ReLU if asked, without a gradient.

    Where oneDNN has it, bias and ReLU are added to a product while it is in the cache: else they take longer
    than the product, with the same result.

    Shapes: x bfloat16 [R, D], weight bfloat16 [H, D], bias bfloat16 [H], out bfloat16 [R, H].
    """
    if _FUSED:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "relu" if relu else "none", [], "")
        return out
    out = torch.addmm(bias, x, weight.t())
    return out.relu_() if relu else out


class _Perceptron(torch.autograd.Function):
    """Linear, ReLU, Linear in bfloat16; the gradients of the weights in 32 bits."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, first: Tensor, shift: Tensor, second: Tensor, bias: Tensor
    ) -> Tensor:
        """Shapes: x [R, D], first [H, D], shift [H], second [D', H], bias [D'], out [R, D']."""
        weights = first.bfloat16(), second.bfloat16()
        hidden = linear(x, weights[0], shift.bfloat16(), relu=True)
        ctx.save_for_backward(x, hidden, *weights)
        return linear(hidden, weights[1], bias.bfloat16())

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The hidden layer's gradient passes where it is positive."""
        x, hidden, first, second = ctx.saved_tensors  # type: ignore[attr-defined]
        needs_x, *needs_parameters = ctx.needs_input_grad  # type: ignore[attr-defined]
        within = torch.ops.aten.threshold_backward(grad @ second, hidden, 0)
        d_x = within @ first if needs_x else None
        if not any(needs_parameters):
            return d_x, None, None, None, None
        # A sum over rows is slow in 16 bits, as a product with ones it is not; nor is x^T g as fast as g^T x.
        ones = x.new_ones(1, x.shape[0])
        return (
            d_x,
            (x.t() @ within).t().float(),
            (ones @ within).squeeze(0).float(),
            (hidden.t() @ grad).t().float(),
            (ones @ grad).squeeze(0).float(),
        )


def perceptron(x: Tensor, first: nn.Linear, second: nn.Linear) -> Tensor:
    """``second(relu(first(x)))`` in 16 bits.

    Shapes: x bfloat16 [R, D], out bfloat16 [R, D'].
    """
    out: Tensor = _Perceptron.apply(x, first.weight, first.bias, second.weight, second.bias)
    return out
