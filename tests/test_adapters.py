"""Adapters: nothing at first, a wider perceptron in the end, and nothing else is trained."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from molft.errors import MolftError
from molft.model.adapters import adapted, add_adapters
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder
from molft.model.inference import find_surroundings, fold, read_molecules
from molft.model.readout import Sum
from molft.model.updates import freeze_all_but_updates, is_update, merge_updates
from molft.model.weights import load_encoder_files, save_encoder
from molft.train.encoders import new_encoder
from molft.train.finetune import finetune
from molft.train.plan import Stage
from tests.tiny import random_batch
from tests.train_deeds import strategy_task, weights


def encoder(width: int = 12) -> Encoder:
    torch.manual_seed(0)
    return new_encoder("snap", layers=2, width=width).eval()


def disturbed(units: int = 3) -> Encoder:
    """An encoder whose adapters have something to say."""
    given = encoder()
    add_adapters(given, units, seed=3)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in given.named_parameters():
            if is_update(name):
                parameter.normal_(0, 0.3)
    return given


def test_an_adapter_changes_nothing_at_first() -> None:
    given, batch = encoder(), random_batch(0)
    before = given(batch)
    add_adapters(given, 4, seed=3)
    torch.testing.assert_close(given(batch), before)


def test_it_adds_a_narrow_perceptron_of_the_same_input() -> None:
    given = disturbed()
    first, _, second = given.gnns[1].mlp
    x = torch.randn(5, 12)
    plain = encoder().gnns[1].mlp(x)
    down, shift = (first.parametrizations[name][0].more for name in ("weight", "bias"))
    up = second.parametrizations.weight[0].more
    assert (down.shape, shift.shape, up.shape) == ((3, 12), (3,), (12, 3))
    torch.testing.assert_close(given.gnns[1].mlp(x), plain + F.relu(x @ down.t() + shift) @ up.t())


def test_merged_it_is_the_same_function_and_a_plain_encoder(tmp_path: Path) -> None:
    given, batch = disturbed(), random_batch(0)
    changed = given(batch)
    merge_updates(given)
    assert torch.equal(given(batch), changed)
    assert given.config == EncoderConfig(**{**encoder().config.__dict__, "adapter": 3})
    assert list(given.state_dict()) == list(encoder().state_dict())
    assert all(type(m) is nn.Linear for m in given.modules() if isinstance(m, nn.Linear))
    save_encoder(given, tmp_path / "adapted", {})
    again, _ = load_encoder_files(tmp_path / "adapted")
    assert again.gnns[0].mlp[0].out_features == 27
    assert torch.equal(again(batch), changed)
    folded = read_molecules(fold(again), find_surroundings(batch, again.config), Sum(12))
    expected = Sum(12)(changed, batch.graph, batch.size)
    torch.testing.assert_close(folded, expected, rtol=1e-5, atol=1e-5)


def test_a_second_adapter_stands_beside_the_first() -> None:
    given, batch = disturbed(), random_batch(0)
    merge_updates(given)
    before = given(batch)
    add_adapters(given, 2, seed=0)
    merge_updates(given)
    assert given.config.adapter == 5
    torch.testing.assert_close(given(batch), before)


def test_only_adapters_are_trained() -> None:
    given = encoder()
    add_adapters(given, 2, seed=0)
    freeze_all_but_updates(given)
    trained = {name for name, parameter in given.named_parameters() if parameter.requires_grad}
    assert trained == {
        f"gnns.{layer}.mlp.{place}.parametrizations.{name}.0.more"
        for layer in (0, 1)
        for place, name in ((0, "weight"), (0, "bias"), (2, "weight"))
    }


def test_a_fine_tuned_network_has_its_old_weights_and_a_few_more() -> None:
    task = strategy_task("adapter", adapter=2, probe=0, epochs=6, stages=(Stage(0, 0),))
    before = weights(task.network)
    finetune(task)
    after = task.network.state_dict()
    assert list(after) == list(before)
    assert task.network.encoder.config.adapter == 2
    assert all(parameter.requires_grad for parameter in task.network.parameters())
    for name, tensor in after.items():
        if name.startswith("gnn.") and "running" not in name and "tracked" not in name:
            old = before[name]
            assert torch.equal(tensor[tuple(slice(size) for size in old.shape)], old), name
    assert after["gnn.gnns.1.mlp.2.weight"].shape[1] == before["gnn.gnns.1.mlp.2.weight"].shape[1] + 2
    assert after["gnn.gnns.1.mlp.2.weight"][:, -2:].abs().sum() > 0


def test_adapters_belong_to_gin() -> None:
    with pytest.raises(MolftError, match="'gcn' layers has no adapters, only 'gin' has; use lora"):
        adapted(replace(encoder().config, conv="gcn"), 4)
    with pytest.raises(MolftError, match="adapter is -1"):
        replace(encoder().config, adapter=-1)
