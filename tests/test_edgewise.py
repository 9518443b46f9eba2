"""The network in plain operations against the one that answers, and by hand."""

import pytest
import torch
from torch import Tensor, nn

from molft.data.batch import Batch
from molft.errors import MolftError
from molft.model.config import CONV_NAMES, JK_NAMES, EncoderConfig, NetworkConfig
from molft.model.edgewise import EdgewiseNetwork
from molft.model.encoder import Encoder
from molft.model.network import Network, build_network
from tests.tiny import CYCLOPROPENE, ETHANOL, METHANE, NOTHING, batch_of, random_batch


def make(seed: int = 0, readout: str = "mean", head: str = "linear", **options: object) -> Network:
    """A network in eval mode whose normalisation has seen some molecules."""
    torch.manual_seed(seed)
    encoder = Encoder(EncoderConfig(layers=3, width=16, **options))  # type: ignore[arg-type]
    network = build_network(encoder, NetworkConfig(2, readout, head))
    for number in range(5):
        network(random_batch(number))
    return network.eval()


def ask(network: nn.Module, batch: Batch) -> Tensor:
    return network(batch.atoms, batch.bonds, batch.edge_index, batch.graph)


@pytest.mark.parametrize("jk", JK_NAMES)
@pytest.mark.parametrize("conv", CONV_NAMES)
@torch.no_grad()
def test_the_same_function(conv: str, jk: str) -> None:
    network = make(conv=conv, jk=jk)
    for batch in (random_batch(9), batch_of(ETHANOL, METHANE, CYCLOPROPENE), batch_of(METHANE)):
        torch.testing.assert_close(ask(EdgewiseNetwork(network), batch), network(batch), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("head", ["linear", "mlp"])
@pytest.mark.parametrize("readout", ["mean", "sum"])
@torch.no_grad()
def test_a_molecule_without_atoms_between_others_keeps_its_place(readout: str, head: str) -> None:
    network = make(readout=readout, head=head)
    batch = batch_of(ETHANOL, NOTHING, METHANE)
    torch.testing.assert_close(ask(EdgewiseNetwork(network), batch), network(batch), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_ethanol_by_hand() -> None:
    network = build_network(Encoder(EncoderConfig(layers=1, width=1)), NetworkConfig(1)).eval()
    for parameter in network.parameters():
        parameter.zero_()
    encoder = network.encoder
    encoder.x_embedding1.weight[[5, 7], 0] = torch.tensor([1.0, 10.0])  # carbon, oxygen
    encoder.gnns[0].edge_embedding1.weight[[0, 4], 0] = torch.tensor([100.0, 1000.0])  # single bond, itself
    encoder.gnns[0].mlp[0].weight[0] = encoder.gnns[0].mlp[2].weight[0, 0] = 1.0
    encoder.batch_norms[0].weight.fill_(1.0)
    network.head.weight.fill_(3.0)
    # CH3: 1 + 1 + 100 + 1000, CH2: 1 + 1 + 10 + 200 + 1000, OH: 10 + 1 + 100 + 1000; three times the mean.
    total = (1102 + 1212 + 1111) / (1 + 1e-5) ** 0.5
    assert ask(EdgewiseNetwork(network), batch_of(ETHANOL)).item() == pytest.approx(total, rel=1e-6)


def test_another_readout_is_refused() -> None:
    with pytest.raises(MolftError, match=r"readout set2set can't be written edge by edge; sum and mean can"):
        EdgewiseNetwork(make(readout="set2set2"))
