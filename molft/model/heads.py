"""From a molecule's vector to raw task outputs (logits or values)."""

from __future__ import annotations

from torch import nn

from molft.errors import MolftError
from molft.model.dropout import check_rate


def build_head(name: str, width: int, tasks: int, hidden: int = 300, dropout: float = 0.0) -> nn.Module:
    """``linear``: the single layer of Hu et al.; ``mlp``: Linear, ReLU, dropout, Linear.

    Impossible options are a :class:`MolftError`.

    Shapes of the head: in [B, width], out [B, tasks].
    """
    if tasks < 1:
        raise MolftError(f"a head needs at least one task, got {tasks}")
    if hidden < 1:
        raise MolftError(f"hidden width is {hidden}; it must be at least 1")
    if name == "linear":
        return nn.Linear(width, tasks)
    if name == "mlp":
        return nn.Sequential(
            nn.Linear(width, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(check_rate(dropout)),
            nn.Linear(hidden, tasks),
        )
    raise MolftError(f"unknown head {name!r}; expected linear or mlp")
