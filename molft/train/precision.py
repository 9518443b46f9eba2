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
