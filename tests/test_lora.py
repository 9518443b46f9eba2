"""Low-rank updates: nothing at first, plain weights in the end, and nothing else is trained."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from molft.model.encoder import Encoder
from molft.model.lora import add_updates
from molft.model.updates import freeze_all_but_updates, is_update, merge_updates
from molft.train.anchor import copy_weights
from molft.train.encoders import new_encoder
from molft.train.finetune import finetune
from molft.train.plan import Stage
from tests.tiny import random_batch
from tests.train_deeds import strategy_task, weights

CONVS = ["gin", "gcn", "graphsage", "gat"]


def encoder(conv: str = "gin", width: int = 12) -> Encoder:
    torch.manual_seed(0)
    return new_encoder("snap", conv=conv, layers=2, width=width).eval()


def disturb(given: Encoder) -> None:
    """Give the updates something to say."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in given.named_parameters():
            if is_update(name):
                parameter.normal_(0, 0.3)


@pytest.mark.parametrize("conv", CONVS)
def test_an_update_changes_nothing_at_first(conv: str) -> None:
    given, batch = encoder(conv), random_batch(0)
    before = given(batch)
    add_updates(given, 4, seed=3)
    assert torch.equal(given(batch), before)


@pytest.mark.parametrize("conv", CONVS)
def test_merged_it_is_the_same_function_and_a_plain_encoder(conv: str) -> None:
    given, batch = encoder(conv), random_batch(0)
    names, before = list(given.state_dict()), given(batch)
    add_updates(given, 4, seed=3)
    disturb(given)
    changed = given(batch)
    assert not torch.allclose(changed, before)
    merge_updates(given)
    assert torch.equal(given(batch), changed)
    assert list(given.state_dict()) == names  # the order too
    assert all(type(m) is nn.Linear for m in given.modules() if isinstance(m, nn.Linear))
    plain = encoder(conv)
    plain.load_state_dict(given.state_dict())
    assert torch.equal(plain(batch), changed)


def test_merged_weights_are_the_sum() -> None:
    given = encoder()
    weight = given.gnns[1].mlp[2].weight.detach().clone()
    add_updates(given, 3, seed=0)
    disturb(given)
    update = given.gnns[1].mlp[2].parametrizations.weight[0]
    assert (update.up.shape, update.down.shape) == ((12, 3), (3, 24))
    expected = weight + update.up @ update.down
    merge_updates(given)
    torch.testing.assert_close(given.gnns[1].mlp[2].weight, expected)
    difference = given.gnns[1].mlp[2].weight - weight
    assert torch.linalg.matrix_rank(difference, atol=1e-5) == 3


def test_a_rank_above_the_layer_s_is_the_layer_s() -> None:
    given = encoder(width=4)
    add_updates(given, 100, seed=0)
    update = given.gnns[0].mlp[0].parametrizations.weight[0]
    assert (update.up.shape, update.down.shape) == ((8, 4), (4, 4))


def test_merging_an_encoder_without_updates_does_nothing() -> None:
    given = encoder()
    before = copy_weights(given)
    merge_updates(given)
    assert all(torch.equal(tensor, before[name]) for name, tensor in given.state_dict().items())


def test_updates_follow_from_the_seed_alone() -> None:
    found = []
    for seed in (1, 1, 2):
        torch.rand(3)
        given = encoder()
        add_updates(given, 2, seed)
        found.append(given.gnns[0].mlp[0].parametrizations.weight[0].down.detach())
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_only_updates_are_trained() -> None:
    given = encoder()
    add_updates(given, 2, seed=0)
    freeze_all_but_updates(given)
    trained = {name for name, parameter in given.named_parameters() if parameter.requires_grad}
    assert trained == {
        f"gnns.{layer}.mlp.{place}.parametrizations.weight.0.{side}"
        for layer in (0, 1)
        for place in (0, 2)
        for side in ("up", "down")
    }


def test_a_fine_tuned_network_is_plain_and_differs_by_low_rank_only() -> None:
    task = strategy_task("lora", rank=2, probe=0, epochs=6, stages=(Stage(0, 0),))
    before = weights(task.network)
    finetune(task)
    after = task.network.state_dict()
    assert list(after) == list(before)
    assert all(parameter.requires_grad for parameter in task.network.parameters())
    for name, tensor in after.items():
        if ".mlp." in name and name.endswith("weight"):
            assert torch.linalg.matrix_rank(tensor - before[name], atol=1e-4) == 2, name
        elif name.startswith("gnn.") and "running" not in name and "tracked" not in name:
            assert torch.equal(tensor, before[name]), name
        elif name.startswith("graph_pred_linear."):
            assert not torch.equal(tensor, before[name]), name


def test_updates_are_trained_in_16_bits_too() -> None:
    task = replace(strategy_task("lora"), half=True)
    before = weights(task.network)
    progress = finetune(task)
    after = task.network.state_dict()
    assert list(after) == list(before)
    assert not torch.equal(after["gnn.gnns.0.mlp.0.weight"], before["gnn.gnns.0.mlp.0.weight"])
    assert after["gnn.gnns.0.mlp.0.weight"].dtype == torch.float32
    assert progress.history[-1]["train_loss"] < progress.history[0]["train_loss"]
