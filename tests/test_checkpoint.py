"""Checkpoints that come back bit for bit, or not at all."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from molft.errors import MolftError
from molft.train.checkpoint import (
    load_checkpoint,
    optimizer_state,
    part,
    restore_optimizer,
    save_checkpoint,
    with_prefix,
)

FACTS = {
    "step": 3,
    "best": None,
    "name": "Natrium µ",
    "history": [{"loss": 0.1 + 0.2}],
    "nested": {"a": [1, 2]},
}


def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "weight": torch.randn(3, 4, generator=generator),
        "double": torch.tensor([1e-300, math.pi], dtype=torch.float64),
        "half": torch.tensor([0.1, -3.0], dtype=torch.bfloat16),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 2),
        "mask": torch.tensor([True, False]),
    }


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The file of :func:`tensors` and FACTS."""
    path = tmp_path / "run.safetensors"
    save_checkpoint(path, tensors(), FACTS)
    return path


def test_tensors_and_facts_come_back_bit_for_bit(saved: Path) -> None:
    found, facts = load_checkpoint(saved)
    assert facts == FACTS
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        n: t.dtype for n, t in tensors().items()
    }
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors().items())


def test_nan_comes_back_as_nan(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "run", {"a": torch.tensor([math.nan, math.inf])}, {"loss": math.nan})
    found, facts = load_checkpoint(tmp_path / "run")
    assert math.isnan(facts["loss"])
    assert math.isnan(found["a"][0]) and math.isinf(found["a"][1])


def test_views_of_one_memory_are_written_apart(tmp_path: Path) -> None:
    whole = torch.arange(6.0).view(2, 3)
    save_checkpoint(tmp_path / "run", {"whole": whole, "turned": whole.T, "row": whole[0]}, {})
    found, _ = load_checkpoint(tmp_path / "run")
    assert found["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["row"].tolist() == [0, 1, 2]


def test_no_tensor_at_all(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "run", {}, {"step": 0})
    assert load_checkpoint(tmp_path / "run") == ({}, {"step": 0})


def test_a_newer_checkpoint_replaces_the_older_and_leaves_nothing_beside(saved: Path) -> None:
    save_checkpoint(saved, {"weight": torch.ones(1)}, {"step": 4})
    assert load_checkpoint(saved)[1] == {"step": 4}
    assert [path.name for path in saved.parent.iterdir()] == ["run.safetensors"]


@pytest.mark.parametrize("bad", [{"score": torch.ones(1)}, {"path": Path("x")}])
def test_facts_that_are_no_json_leave_the_old_file(saved: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_checkpoint(saved, tensors(), bad)
    assert load_checkpoint(saved)[1] == FACTS
    assert [path.name for path in saved.parent.iterdir()] == ["run.safetensors"]


def test_every_flipped_bit_is_refused(saved: Path) -> None:
    """In the header every byte is tried, in the numbers too: names, shapes, facts and values."""
    whole = saved.read_bytes()
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= 1 << place % 8
        saved.write_bytes(broken)
        with pytest.raises(MolftError, match=r"run\.safetensors can't be read as a checkpoint"):
            load_checkpoint(saved)


@pytest.mark.parametrize("kept", [0, 7, 8, 100, -1])
def test_a_truncated_file_is_refused(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(MolftError, match="remove it to start the run again"):
        load_checkpoint(saved)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\xff" * 64, b"PK\x03\x04" + bytes(60)])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run").write_bytes(content)
    with pytest.raises(MolftError, match="can't be read as a checkpoint"):
        load_checkpoint(tmp_path / "run")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"facts": "{}"}])
def test_weights_that_are_no_checkpoint_are_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"weight": torch.ones(2)}, tmp_path / "run", metadata=metadata)
    with pytest.raises(MolftError, match="can't be read as a checkpoint"):
        load_checkpoint(tmp_path / "run")


@pytest.mark.parametrize("name", ["absent", "."])
def test_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MolftError, match="can't be read as a checkpoint"):
        load_checkpoint(tmp_path / name)


def test_prefixes_are_put_on_and_taken_off() -> None:
    both = with_prefix("best", {"a.b": torch.ones(1)}) | with_prefix("bestiary", {"a": torch.zeros(1)})
    assert set(both) == {"best/a.b", "bestiary/a"}
    assert part("best", both) == {"a.b": torch.ones(1)}
    assert part("other", both) == {}


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        x = torch.full((5, 3), float(step)) + torch.arange(3)
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_an_optimizer_goes_on_as_if_never_stopped(tmp_path: Path, kind: type[torch.optim.Optimizer]) -> None:
    def fresh() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
        # The second layer has a rate of its own; the first layer's bias has never had a gradient.
        model[0].bias.requires_grad_(False)
        groups = [{"params": model[0].parameters()}, {"params": model[1].parameters(), "lr": 0.1}]
        return model, kind(groups, lr=0.01)

    model, optimizer = fresh()
    train(model, optimizer, range(5))

    stopped, first = fresh()
    train(stopped, first, range(3))
    save_checkpoint(tmp_path / "run", with_prefix("o", optimizer_state(first)), {})
    resumed, second = fresh()
    resumed.load_state_dict(stopped.state_dict())
    restore_optimizer(second, part("o", load_checkpoint(tmp_path / "run")[0]))
    train(resumed, second, range(3, 5))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), resumed.parameters(), strict=True))


def test_the_state_of_a_new_optimizer_is_empty() -> None:
    optimizer = torch.optim.Adam(nn.Linear(2, 2).parameters())
    assert optimizer_state(optimizer) == {}
    restore_optimizer(optimizer, {})
    assert optimizer_state(optimizer) == {}
