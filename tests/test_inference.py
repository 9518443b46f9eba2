"""Folded inference against the plain forward pass."""

import copy

import pytest
import torch
from torch import nn

from molft.data.batch import Batch
from molft.errors import MolftError
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder
from molft.model.inference import find_surroundings, fold, folds, read_molecules
from molft.model.readout import build_readout
from tests.tiny import ETHANOL, METHANE, NOTHING, batch_of, random_batch


def encoder(jk: str = "last", conv: str = "gin", layers: int = 5, width: int = 32) -> Encoder:
    """An encoder whose normalisation has something to fold."""
    torch.manual_seed(0)
    out = Encoder(EncoderConfig(conv=conv, layers=layers, width=width, jk=jk))
    for norm in out.batch_norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return out.eval()


@torch.no_grad()
def plain(model: Encoder, batch: Batch, readout: nn.Module) -> torch.Tensor:
    model = copy.deepcopy(model)
    model.sharing = False
    return readout(model(batch), batch.graph, batch.size)


@pytest.mark.parametrize("pool", ["mean", "sum"])
@pytest.mark.parametrize("jk", ["last", "sum", "concat"])
@pytest.mark.parametrize("layers", [1, 5])
def test_vectors_are_those_of_the_plain_pass(jk: str, pool: str, layers: int) -> None:
    model, batch = encoder(jk, layers=layers), random_batch(seed=1, molecules=40)
    readout = build_readout(pool, model.width)
    out = read_molecules(fold(model), find_surroundings(batch, model.config), readout)
    expected = plain(model, batch, readout)
    size = float(expected.abs().max())
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=2e-6 * size)


def test_in_64_bits_they_are_the_same_to_ten_digits() -> None:
    model, batch = encoder().double(), random_batch(seed=2)
    readout = build_readout("mean", model.width)
    out = read_molecules(fold(model), find_surroundings(batch, model.config), readout)
    torch.testing.assert_close(out, plain(model, batch, readout), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("pool", ["mean", "sum"])
def test_single_atoms_and_molecules_without_atoms_keep_their_place(pool: str) -> None:
    model, batch = encoder(), batch_of(NOTHING, METHANE, ETHANOL, NOTHING)
    readout = build_readout(pool, model.width)
    out = read_molecules(fold(model), find_surroundings(batch, model.config), readout)
    torch.testing.assert_close(out, plain(model, batch, readout), rtol=1e-5, atol=1e-5)
    assert not out[0].any() and not out[3].any()


def test_a_batch_without_atoms_gives_zeros() -> None:
    model = encoder()
    out = read_molecules(
        fold(model), find_surroundings(batch_of(NOTHING), model.config), build_readout("mean", 32)
    )
    assert out.shape == (1, 32) and not out.any()


def test_more_rows_than_one_piece() -> None:
    model, batch = encoder(layers=2), random_batch(seed=3, molecules=150)
    assert len(find_surroundings(batch, model.config).layers[-1].starts) > 1024
    readout = build_readout("mean", model.width)
    out = read_molecules(fold(model), find_surroundings(batch, model.config), readout)
    torch.testing.assert_close(out, plain(model, batch, readout), rtol=1e-5, atol=1e-5)


def test_equal_surroundings_are_found_once() -> None:
    found = find_surroundings(batch_of(ETHANOL, METHANE, ETHANOL), encoder(layers=2).config)
    assert [members.tolist() for members in found.members] == [
        # By number; equal numbers are equal surroundings: C, C, O | C | C, C, O.
        [found.members[0][i].item() for i in (0, 0, 2, 0, 0, 0, 2)],
        [found.members[1][i].item() for i in (0, 1, 2, 3, 0, 1, 2)],
        [found.members[2][i].item() for i in (0, 1, 2, 3, 0, 1, 2)],
    ]
    assert [len(layer.starts) for layer in found.layers] == [4, 4]
    assert found.starts.tolist() == [0, 3, 4] and found.atoms.tolist() == [3, 1, 3]


def test_one_search_serves_a_whole_ensemble() -> None:
    batch, readout = random_batch(seed=4), build_readout("mean", 32)
    found = find_surroundings(batch, encoder().config)
    for seed in range(3):
        model = encoder()
        nn.init.normal_(model.gnns[0].mlp[0].weight, std=0.1 * (seed + 1))
        out = read_molecules(fold(model), found, readout)
        torch.testing.assert_close(out, plain(model, batch, readout), rtol=1e-5, atol=1e-5)


def test_a_folded_encoder_does_not_change_with_the_one_it_came_from() -> None:
    model, batch = encoder(), batch_of(ETHANOL)
    folded, readout = fold(model), build_readout("mean", 32)
    found = find_surroundings(batch, model.config)
    before = read_molecules(folded, found, readout)
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(read_molecules(folded, found, readout), before, rtol=0, atol=0)


@pytest.mark.parametrize("jk", ["last", "sum", "concat"])
@pytest.mark.parametrize("pool", ["mean", "sum"])
@pytest.mark.parametrize("width", [32, 20])  # with and without numbers that only fill a tile
def test_in_16_bits_they_are_off_by_rounding(jk: str, pool: str, width: int) -> None:
    model, batch = encoder(jk, width=width), random_batch(seed=5, molecules=40)
    readout = build_readout(pool, model.width)
    out = read_molecules(fold(model, half=True), find_surroundings(batch, model.config), readout)
    expected = plain(model, batch, readout)
    assert out.dtype == torch.float32
    assert (out - expected).norm() / expected.norm() < 0.02


@pytest.mark.parametrize(
    ("jk", "conv", "pool", "expected"),
    [
        ("last", "gin", "mean", True),
        ("concat", "gin", "sum", True),
        ("max", "gin", "mean", False),
        ("last", "gin", "max", False),
        ("last", "gin", "attention", False),
        ("last", "gin", "set2set2", False),
        ("last", "gcn", "mean", False),
        ("last", "graphsage", "mean", False),
    ],
)
def test_types_decide_what_folds(jk: str, conv: str, pool: str, expected: bool) -> None:
    model = encoder(jk, conv)
    assert folds(model, build_readout(pool, model.width)) is expected


def test_other_convolutions_say_that_they_cannot_be_folded() -> None:
    with pytest.raises(MolftError, match="an encoder of 'gat' layers can't be folded; only 'gin' can"):
        fold(encoder(conv="gat"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_they_are_the_same_vectors() -> None:
    model, batch = encoder(), random_batch(seed=5, molecules=40)
    readout = build_readout("mean", model.width)
    expected = plain(model, batch, readout)
    model.cuda()
    found = find_surroundings(batch.to("cuda"), model.config)
    torch.testing.assert_close(
        read_molecules(fold(model), found, readout).cpu(), expected, rtol=1e-3, atol=1e-4
    )
