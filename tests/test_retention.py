"""What a user is told about forgetting."""

import pytest
import torch

from molft.model.config import NetworkConfig
from molft.model.encoder import Encoder
from molft.model.network import Network, build_network
from molft.use.options import Silent
from molft.use.retention import measure_retention, tell_retention
from tests.small import ENCODER


class Heard(Silent):
    """Keeps the lines it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


def encoder(seed: int) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(ENCODER).eval()


def network(seed: int) -> Network:
    return build_network(encoder(seed), NetworkConfig())


def test_an_encoder_that_did_not_change_keeps_everything() -> None:
    assert measure_retention(encoder(1), [encoder(1)], "snap") == [1.0]


def test_random_numbers_of_the_run_are_not_touched() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    start = encoder(1)
    torch.manual_seed(5)
    measure_retention(start, [], "snap")
    assert torch.equal(torch.rand(3), expected)


def test_much_forgetting_is_a_warning() -> None:
    heard = Heard()
    found = tell_retention(encoder(1), [network(1), network(2)], "snap", heard)
    kept = found["retention"]
    assert kept[0] == 1.0 and 0 <= kept[1] < 0.5
    assert heard.lines[0] == (f"of what pre-training had added to the encoder, 100%, {kept[1]:.0%} is left")
    assert heard.lines[1].startswith(
        f"warning: fine-tuning overwrote most of the pre-training ({kept[1]:.0%}"
    )
    assert "--strategy gradual, lora or l2-sp" in heard.lines[1]


def test_little_forgetting_is_told_without_a_warning() -> None:
    heard = Heard()
    assert tell_retention(encoder(1), [network(1)], "snap", heard) == {"retention": [1.0]}
    assert heard.lines == ["of what pre-training had added to the encoder, 100% is left"]


def test_without_reference_molecules_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("molft.use.retention.reference_molecules", lambda scheme: None)
    heard = Heard()
    assert tell_retention(encoder(1), [network(1)], "snap", heard) == {}
    assert heard.lines == []
