"""The pre-trained molecule vector: what it is, where it is used, what keeps it fixed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from molft.chem.prepare import Recipe, prepare
from molft.data.batch import Batch, make_batch
from molft.errors import MolftError
from molft.model.config import EncoderConfig, NetworkConfig
from molft.model.edgewise import EdgewiseNetwork
from molft.model.encoder import Encoder
from molft.model.inference import fold
from molft.model.network import Network, build_network, build_reader, suited_readout, vector_width
from molft.model.readout import MeanAndSum
from molft.model.weights import load_encoder_files, save_encoder
from molft.train.encoders import add_summary, new_encoder
from molft.train.loop import freeze_states, predict, run_batch
from molft.use.encoders import MoleculeEncoder

SMILES = ["CCO", "C", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCO.CCO", "[Na+].[Cl-]"]


def encoder(seed: int = 0, **options: object) -> Encoder:
    """An encoder with a summary and running statistics that are not those of a new one."""
    torch.manual_seed(seed)
    made = new_encoder("ogb", layers=2, width=12, summary=20, **options)  # type: ignore[arg-type]
    for name, tensor in made.state_dict().items():
        if name.endswith("running_mean"):
            tensor.uniform_(-0.2, 0.2)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
    return made.eval()


def batch() -> Batch:
    """The molecules of this file."""
    return make_batch(prepare(SMILES, Recipe(scheme="ogb", standardize=False)).graphs)


def by_hand(found: Encoder) -> Tensor:
    """The vectors molecule by molecule, in 64 bits, from the formula."""
    out = []
    assert found.summary is not None
    linear, norm = found.summary.linear, found.summary.norm
    for smiles in SMILES:
        one = make_batch(prepare([smiles], Recipe(scheme="ogb", standardize=False)).graphs)
        atoms = found(one).detach().double()
        pooled = torch.cat([atoms.mean(dim=0), atoms.sum(dim=0) / 32])
        raw = linear.weight.double() @ pooled + linear.bias.double()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        normal = (raw - norm.running_mean) / (norm.running_var.double() + norm.eps).sqrt()
        out.append((normal * norm.weight + norm.bias).clamp(min=0))
    return torch.stack(out)


def test_mean_and_sum_stand_side_by_side() -> None:
    states = torch.tensor([[1.0, 2.0], [3.0, 4.0], [8.0, 16.0]])
    out = MeanAndSum(2)(states, torch.tensor([0, 0, 2]), 3)
    assert out.tolist() == [[2.0, 3.0, 0.125, 0.1875], [0.0] * 4, [8.0, 16.0, 0.25, 0.5]]


@torch.no_grad()
def test_the_vector_is_that_of_the_formula() -> None:
    found = encoder()
    torch.testing.assert_close(build_reader(found)(batch()).double(), by_hand(found), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("jk", ["last", "sum", "concat", "max"])
@torch.no_grad()
def test_folded_and_edgewise_reading_give_the_same(jk: str) -> None:
    network = build_network(encoder(jk=jk), NetworkConfig(3, "summary")).eval()
    graphs = prepare(SMILES, Recipe(scheme="ogb", standardize=False)).graphs
    plain, read = network(batch()), torch.from_numpy(predict(network, graphs))
    torch.testing.assert_close(read, plain, atol=1e-5, rtol=1e-5)
    made = batch()
    edgewise = EdgewiseNetwork(network)(made.atoms, made.bonds, made.edge_index, made.graph)
    torch.testing.assert_close(edgewise, plain, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_in_16_bits_the_vector_is_off_by_rounding() -> None:
    found = encoder()
    network, expected = build_reader(found), by_hand(found)
    out = run_batch(network, fold(found, half=True), batch(), {})
    assert out.dtype == torch.float32
    assert 0 < (out - expected).norm() / expected.norm() < 0.02


def test_two_ethanols_are_not_one() -> None:
    one, two = MoleculeEncoder(encoder(), Recipe(scheme="ogb", standardize=False), {}).embed(
        ["CCO", "CCO.CCO"]
    )
    assert not np.allclose(one, two, atol=1e-3)


def test_the_suited_readout_and_width() -> None:
    assert (suited_readout(EncoderConfig()), vector_width(EncoderConfig())) == ("mean", 300)
    config = EncoderConfig(layers=2, jk="concat", width=8)
    assert vector_width(config) == 24
    assert (suited_readout(encoder().config), vector_width(encoder().config)) == ("summary", 20)
    assert MoleculeEncoder(encoder(), Recipe(scheme="ogb"), {}).embed(["CCO"]).shape == (1, 20)


def test_a_summary_that_is_not_there_is_refused() -> None:
    plain = new_encoder("ogb", layers=2, width=12)
    with pytest.raises(MolftError, match="without a summary; take another readout"):
        build_network(plain, NetworkConfig(1, "summary"))
    with pytest.raises(MolftError, match="no summary of molecules"):
        plain.summarize(torch.zeros(1, 24))
    with pytest.raises(MolftError, match="summary is -1"):
        EncoderConfig(summary=-1)


def test_an_encoder_keeps_its_weights_when_it_is_given_a_summary() -> None:
    plain = new_encoder("ogb", layers=2, width=12)
    made = add_summary(plain, 20)
    assert made.config.summary == 20
    assert all(torch.equal(made.state_dict()[name], tensor) for name, tensor in plain.state_dict().items())
    assert add_summary(made, 30) is made


def test_it_is_saved_with_the_encoder(tmp_path: Path) -> None:
    made = encoder()
    save_encoder(made, tmp_path, {})
    again, _ = load_encoder_files(tmp_path)
    assert again.config == made.config
    assert torch.equal(build_reader(again)(batch()), build_reader(made)(batch()))


@pytest.mark.parametrize(("frozen", "trained"), [(3, False), (2, True), (0, True)])
def test_it_is_fixed_with_the_last_layer(frozen: int, trained: bool) -> None:
    network = build_network(encoder(), NetworkConfig(1, "summary"))
    network.encoder.freeze(frozen)
    network.train()
    summary = network.encoder.summary
    assert summary is not None
    assert {p.requires_grad for p in summary.parameters()} == {trained}
    assert summary.norm.training == trained


@torch.no_grad()
def test_with_all_fixed_its_vectors_are_kept() -> None:
    network: Network = build_network(encoder(), NetworkConfig(1, "summary"))
    network.encoder.dropout = 0.5
    network.encoder.freeze(3)
    network.train()
    kept = freeze_states(network, prepare(SMILES, Recipe(scheme="ogb", standardize=False)).graphs)
    assert kept is not None
    assert kept.summary is not None
    torch.testing.assert_close(kept.summary.double(), by_hand(network.encoder), atol=1e-5, rtol=1e-5)


def test_a_single_molecule_can_be_trained_on() -> None:
    network = build_network(encoder(), NetworkConfig(1, "summary")).train()
    one = make_batch(prepare(["CCO"], Recipe(scheme="ogb")).graphs)
    network(one).sum().backward()
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in network.parameters())
