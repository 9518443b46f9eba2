"""Heads: one layer or two, and options that make no head."""

import pytest
import torch

from molft.errors import MolftError
from molft.model.heads import build_head


def test_linear_head_is_one_layer_with_snap_s_names() -> None:
    head = build_head("linear", 300, 12)
    assert {name: tuple(p.shape) for name, p in head.named_parameters()} == {
        "weight": (12, 300),
        "bias": (12,),
    }


def test_mlp_head_drops_out_in_training_only() -> None:
    head = build_head("mlp", 4, 2, hidden=64, dropout=0.5)
    x = torch.ones(3, 4)
    assert not torch.equal(head(x), head(x))
    head.eval()
    assert torch.equal(head(x), head(x))
    assert head(x).shape == (3, 2)


@pytest.mark.parametrize(
    ("name", "tasks", "options", "message"),
    [
        ("mpl", 1, {}, "unknown head 'mpl'; expected linear or mlp"),
        ("linear", 0, {}, "at least one task, got 0"),
        ("mlp", 1, {"dropout": 1.0}, "expected 0 <= rate < 1"),
        ("mlp", 1, {"hidden": 0}, "hidden width is 0; it must be at least 1"),
    ],
)
def test_impossible_heads_are_refused(name: str, tasks: int, options: dict[str, float], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        build_head(name, 4, tasks, **options)
