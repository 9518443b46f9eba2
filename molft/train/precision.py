"""How finely the layers are computed while an encoder is trained."""

from __future__ import annotations

import torch

from molft.errors import MolftError
from molft.model.half import has_half_units

PRECISIONS = ("auto", "float32", "bf16")


def check_precision(precision: str) -> str:
    """``precision`` if it is one, else a :class:`MolftError`."""
    if precision not in PRECISIONS:
        raise MolftError(f"precision is {precision!r}; expected one of {', '.join(PRECISIONS)}")
    return precision


def choose_half(precision: str, device: torch.device, conv: str) -> bool:
    """Whether layers are to be computed in 16 bits by :mod:`molft.model.half`: only on a CPU.

    "auto" does so where the CPU has units for it and the convolution allows it. On CUDA autocast does the
    same, see :func:`choose_autocast`.
    """
    if device.type != "cpu" or check_precision(precision) == "float32":
        return False
    return precision == "bf16" or (conv == "gin" and has_half_units())


def choose_autocast(precision: str, device: torch.device) -> bool:
    """Whether autocast to bfloat16 is to be used: on CUDA, unless 32 bits are asked for."""
    return device.type == "cuda" and check_precision(precision) != "float32"


def may_halve(precision: str, device: torch.device, conv: str) -> bool:
    """Whether 16 bits may be taken where memory is short: unless 32 are asked for, or the layers can't."""
    return check_precision(precision) != "float32" and (device.type == "cuda" or conv == "gin")


def half_type(device: torch.device) -> torch.dtype:
    """The 16-bit type that autocast is to use: bfloat16, or float16 on a GPU that has no units for it.

    Gradients in float16 vanish unless the loss is scaled up (``torch.amp.GradScaler``).
    """
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16
