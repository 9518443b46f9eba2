"""Layers in 16 bits against the same layers in 32, and against torch's own 16-bit arithmetic."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molft.errors import MolftError
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder
from molft.model.half import padded_rows, perceptron
from molft.model.topology import aggregate, aggregate_padded
from tests.tiny import ETHANOL, METHANE, batch_of, random_batch


def encoder(jk: str = "last", conv: str = "gin") -> Encoder:
    torch.manual_seed(0)
    out = Encoder(EncoderConfig(conv=conv, layers=3, width=32, jk=jk))
    for norm in out.batch_norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
    return out


def test_rows_are_padded_to_few_numbers() -> None:
    assert [padded_rows(n) for n in (0, 1, 64, 65, 1024, 1025, 5600)] == [64, 64, 64, 128, 1024, 1088, 5632]
    many = {padded_rows(n) for n in range(4097, 8193)}
    assert len(many) == 16
    assert all(n <= padded_rows(n) <= 1.07 * n for n in range(1024, 9000))


def test_the_perceptron_is_torchs_own_in_16_bits() -> None:
    torch.manual_seed(1)
    first, second = nn.Linear(8, 16), nn.Linear(16, 8)
    x = torch.randn(64, 8).bfloat16().requires_grad_()
    narrow = copy.deepcopy(nn.Sequential(first, nn.ReLU(), second)).bfloat16()
    other = x.detach().clone().requires_grad_()
    out, expected = perceptron(x, first, second), narrow(other)
    torch.testing.assert_close(out, expected, rtol=0, atol=0)
    grad = torch.randn(64, 8).bfloat16()
    out.backward(grad)
    expected.backward(grad)
    torch.testing.assert_close(x.grad, other.grad)
    for ours, theirs in ((first, narrow[0]), (second, narrow[2])):
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad.float(), rtol=0.02, atol=0.02)
        torch.testing.assert_close(ours.bias.grad, theirs.bias.grad.float(), rtol=0.02, atol=0.02)


def test_frozen_weights_get_no_gradient_and_pass_theirs_on() -> None:
    first, second = nn.Linear(8, 16).requires_grad_(False), nn.Linear(16, 8).requires_grad_(False)
    x = torch.randn(64, 8).bfloat16().requires_grad_()
    perceptron(x, first, second).sum().backward()
    assert x.grad is not None
    assert first.weight.grad is None


def test_padded_sums_are_the_sums_followed_by_zeros() -> None:
    batch, model = random_batch(seed=2), encoder()
    topology = model.topology(batch)
    states = torch.randn(topology.atoms, 32).bfloat16()
    table = torch.randn(topology.counts.shape[1], 32)
    out = aggregate_padded(states, table, topology)
    assert len(out) == padded_rows(topology.atoms)
    torch.testing.assert_close(out[: topology.atoms], aggregate(states, table, topology), rtol=0, atol=0)
    assert not out[topology.atoms :].any()


@pytest.mark.parametrize("sharing", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("jk", ["last", "sum", "max", "concat"])
def test_states_are_those_of_32_bits_to_rounding(jk: str, training: bool, sharing: bool) -> None:
    batch, wide = random_batch(seed=3), encoder(jk).train(training)
    narrow = copy.deepcopy(wide)
    narrow.bf16 = True
    wide.sharing = narrow.sharing = sharing
    expected, out = wide(batch), narrow(batch)
    assert out.dtype == torch.float32
    assert distance(out, expected) < 0.02  # bfloat16 rounds to 1 in 256, six products one after the other
    assert (out != expected).any()
    for a, b in zip(narrow.buffers(), wide.buffers(), strict=True):
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_gradients_are_those_of_32_bits_to_rounding(dropout: float) -> None:
    batch, wide = random_batch(seed=4, molecules=32), encoder().train()
    wide.dropout = dropout
    narrow = copy.deepcopy(wide)
    narrow.bf16 = True
    direction = torch.randn(len(batch.atoms), 32)
    for model in (wide, narrow):
        torch.manual_seed(5)
        (model(batch) * direction).sum().backward()
    for (name, ours), theirs in zip(narrow.named_parameters(), wide.parameters(), strict=True):
        assert ours.grad is not None and ours.grad.dtype == torch.float32, name
        if ".2.bias" not in name:  # what normalisation takes away again has no gradient but rounding
            assert F.cosine_similarity(ours.grad.flatten(), theirs.grad.flatten(), dim=0) > 0.98, name


def test_a_molecules_state_does_not_depend_on_its_batch() -> None:
    model = encoder().eval()
    model.bf16 = True
    alone, beside = model(batch_of(ETHANOL)), model(batch_of(ETHANOL, METHANE, *[ETHANOL] * 40))
    torch.testing.assert_close(alone, beside[:3], rtol=0.01, atol=0.01)


def test_half_is_switched_for_all_layers_and_back() -> None:
    model = encoder()
    assert not model.bf16
    model.bf16 = True
    assert model.bf16 and all(conv.bf16 for conv in model.gnns)
    model.bf16 = False
    torch.testing.assert_close(model.eval()(batch_of(METHANE)), encoder().eval()(batch_of(METHANE)))


@pytest.mark.parametrize("conv", ["gcn", "graphsage", "gat"])
def test_other_convolutions_keep_their_precision(conv: str) -> None:
    model = encoder(conv=conv).double().eval()
    assert not model.bf16
    assert model(batch_of(ETHANOL)).dtype == torch.float64


def test_other_convolutions_say_that_they_have_no_16_bit_form() -> None:
    with pytest.raises(MolftError, match="layers of 'gcn' can't be computed in 16 bits; only 'gin' can"):
        encoder(conv="gcn").bf16 = True


def distance(out: Tensor, expected: Tensor) -> float:
    return float((out - expected).detach().norm() / expected.detach().norm())
