"""The node network against dense matrices, sampled and layer by layer; and what it takes from molecules."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from node_graphs import communities, small_network
from torch import Tensor

from molft.data.blocks import Sampler
from molft.data.network import Network
from molft.errors import MolftError
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder
from molft.model.node_network import MOLECULAR_PAIRS, NodeConfig, NodeNetwork
from molft.train.nodes import infer, run_block

BONDS = {"bond_sizes": (6, 3), "loop_bond": (4, 0)}


def config_for(network: Network, encoder: str, **more: object) -> NodeConfig:
    bonds = BONDS if encoder == "gin" else {}
    return NodeConfig(network.attributes.shape[1], 2, encoder, 2, 8, **{**bonds, **more})  # type: ignore[arg-type]


def used(model: NodeNetwork) -> NodeNetwork:
    """The model with statistics and biases that are not 0 and 1."""
    torch.manual_seed(1)
    for name, value in model.state_dict().items():
        if value.is_floating_point() and "weight" not in name:
            value.copy_(torch.rand_like(value) + 0.1)
    return model.eval()


def adjacency(network: Network) -> Tensor:
    size = network.nodes
    links = (np.ones(len(network.neighbours)), network.neighbours, network.starts)
    return torch.from_numpy(sp.csr_matrix(links, (size, size)).toarray())


def dense_logits(model: NodeNetwork, network: Network) -> Tensor:
    """The same function on dense matrices in float64, from its definition."""
    model = model.double()
    rows = torch.from_numpy(network.attributes.toarray().astype(float))
    rows = rows / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)
    first = rows @ model.project.weight + model.project.bias
    links = adjacency(network)
    degrees = links.sum(dim=1, keepdim=True)
    mean = (links + torch.eye(len(links))) / (degrees + 1)
    attributes, states = first, model.first_norm(first)
    for layer in range(model.config.layers):
        attributes = mean @ attributes
        if model.config.encoder == "gin":
            conv = model.gnns[layer]
            tables = [conv.edge_embedding1.weight, conv.edge_embedding2.weight]
            loop = tables[0][4] + tables[1][0]
            codes = links @ torch.zeros(len(links), 8, dtype=torch.float64) + degrees * (
                tables[0][0] + tables[1][0]
            )
            if network.link_codes is not None:
                codes = torch.zeros(len(links), 8, dtype=torch.float64)
                for node in range(network.nodes):
                    for place in range(int(network.starts[node]), int(network.starts[node + 1])):
                        kind, way = network.link_codes[place].tolist()
                        codes[node] += tables[0][kind] + tables[1][way]
            total = (links @ states + states + codes + loop) / (degrees + 1) * MOLECULAR_PAIRS
            states = model.batch_norms[layer](conv.mlp(total))
            states = states.relu() if layer == 0 else states
    paths = {"propagation": [attributes], "gin": [states, attributes][: model.paths]}[model.config.encoder]
    return model.head(model.norm(torch.cat(paths, dim=1)).relu())


def with_codes(network: Network) -> Network:
    """Each link with a code by the sum of its ends, so that both directions agree."""
    rows = np.repeat(np.arange(network.nodes), np.diff(network.starts))
    total = rows + network.neighbours
    return replace(network, link_codes=np.stack([total % 4, total % 3], axis=1).astype(np.uint8))


@pytest.mark.parametrize(
    ("encoder", "skip", "coded"),
    [("propagation", True, False), ("gin", True, False), ("gin", False, False), ("gin", True, True)],
)
@pytest.mark.parametrize("make", [small_network, communities])
def test_layer_by_layer_and_all_neighbours_are_the_dense_function(
    make: type[Network], encoder: str, skip: bool, coded: bool
) -> None:
    network = make()
    network = with_codes(network) if coded else network
    torch.manual_seed(0)
    model = used(NodeNetwork(config_for(network, encoder, skip=skip)))
    layered = infer(model, network, rows=7)
    seeds = np.random.default_rng(0).permutation(network.nodes)[:6]
    with torch.no_grad():
        block = Sampler(network).draw(seeds, [None, None], np.random.default_rng(0))
        sampled = run_block(model, network, block).numpy()
        wanted = dense_logits(model, network).numpy()
    np.testing.assert_allclose(layered, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sampled, wanted[seeds], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", ["propagation", "gin"])
def test_every_weight_gets_its_gradient(encoder: str) -> None:
    network = communities()
    model = NodeNetwork(config_for(network, encoder)).train()
    block = Sampler(network).draw(np.arange(20), [3, 3], np.random.default_rng(0))
    run_block(model, network, block).square().sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # Batch normalisation takes a constant away: what only adds one has no effect.
    assert set(without) <= {"project.bias", "first_norm.bias", "gnns.1.mlp.2.bias"}


def molecular(**more: object) -> Encoder:
    torch.manual_seed(5)
    return Encoder(EncoderConfig(layers=3, width=8, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("frozen", [False, True])
def test_layers_of_a_molecular_encoder_are_taken(frozen: bool) -> None:
    theirs, model = molecular(), NodeNetwork(config_for(small_network(), "gin"))
    model.take_layers(theirs, frozen)
    for name, value in theirs.gnns[1].state_dict().items():
        torch.testing.assert_close(model.gnns[1].state_dict()[name], value)
    assert all(p.requires_grad is not frozen for p in model.gnns.parameters())
    assert model.project.weight.requires_grad


@pytest.mark.parametrize(
    "theirs",
    [molecular(conv="gcn"), Encoder(EncoderConfig(layers=1, width=8)), Encoder(EncoderConfig(width=16))],
)
def test_an_encoder_of_another_shape_is_refused(theirs: Encoder) -> None:
    model = NodeNetwork(config_for(small_network(), "gin"))
    with pytest.raises(MolftError, match=r"expected at least 2 of 'gin' of width 8"):
        model.take_layers(theirs, False)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ({"encoder": "gat"}, "encoder is 'gat'; expected one of propagation, gin"),
        ({"normalise": "l1"}, "normalise is 'l1'"),
        ({"width": 0}, "must be at least 1"),
        ({"dropout": 1.0}, "dropout rate is 1"),
    ],
)
def test_an_impossible_network_is_refused(field: dict[str, object], says: str) -> None:
    with pytest.raises(MolftError, match=says):
        NodeConfig(**field)  # type: ignore[arg-type]


def test_configuration_there_and_back() -> None:
    config = NodeConfig(12, 3, "gin", skip=False, **BONDS)  # type: ignore[arg-type]
    assert NodeConfig.from_json(config.to_json()) == config
    with pytest.raises(MolftError, match="unknown node network option depth"):
        NodeConfig.from_json({"depth": 3})
