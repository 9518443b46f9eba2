"""What is trained beside an encoder's fixed weights, and becomes part of them in the end.

Updates are parametrizations of the convolutions' linear layers: low-rank ones (:mod:`molft.model.lora`) or
more hidden units (:mod:`molft.model.adapters`).
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.utils import parametrize

from molft.model.encoder import Encoder


def freeze_all_but_updates(encoder: Encoder) -> None:
    """Take every parameter of the encoder from training but the updates.

    Dropout and batch normalisation go on as in training: the running statistics follow the new molecules.
    """
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(is_update(name))


def is_update(name: str) -> bool:
    """Whether an encoder's parameter belongs to an update.

    >>> is_update("gnns.0.mlp.0.parametrizations.weight.0.up"), is_update("gnns.0.mlp.0.bias")
    (True, False)
    >>> is_update("gnns.0.mlp.0.parametrizations.weight.original")
    False
    """
    return ".parametrizations." in name and not name.endswith(".original")


def merge_updates(encoder: Encoder) -> None:
    """Make the updates part of the weights: a plain encoder again, its parameters in the order they had."""
    for linear in linears(encoder):
        if not parametrize.is_parametrized(linear):
            continue
        for name in ("weight", "bias"):
            if parametrize.is_parametrized(linear, name):
                parametrize.remove_parametrizations(linear, name, leave_parametrized=True)
        # What was updated came back behind the others; what is written or hashed goes by the order.
        bias = linear.bias
        del linear.bias
        linear.register_parameter("bias", bias)


def linears(encoder: Encoder) -> Iterator[nn.Linear]:
    """The linear layers of the convolutions."""
    for module in encoder.gnns.modules():
        if isinstance(module, nn.Linear):
            yield module
