"""Which arithmetic a training uses on which processor."""

import pytest
import torch

from molft.errors import MolftError
from molft.train import precision
from molft.train.precision import choose_autocast, choose_half

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("units", [True, False])
def test_auto_follows_the_processor(units: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_half_units", lambda: units)
    assert choose_half("auto", CPU, "gin") is units
    assert choose_half("bf16", CPU, "gin") is True
    assert choose_half("float32", CPU, "gin") is False


def test_auto_leaves_convolutions_alone_that_have_no_16_bit_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_half_units", lambda: True)
    assert choose_half("auto", CPU, "gcn") is False


def test_cuda_has_autocast_and_the_cpu_has_not() -> None:
    assert [choose_autocast(name, CUDA) for name in ("auto", "bf16", "float32")] == [True, True, False]
    assert [choose_half(name, CUDA, "gin") for name in ("auto", "bf16", "float32")] == [False] * 3
    assert not choose_autocast("bf16", CPU)


def test_an_unknown_precision_names_the_known_ones() -> None:
    with pytest.raises(MolftError, match="precision is 'fp8'; expected one of auto, float32, bf16"):
        choose_half("fp8", CPU, "gin")
