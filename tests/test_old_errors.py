"""Four errors that citation networks gave with the SNAP code, each by the input that caused it.

Words as atoms asked for 70 GiB; ``edge_attr`` had a wrong size; ``forward()`` missed it; renumbering sampled
nodes raised KeyError. Now the input works, or the message names what was got and what was expected.
"""

import numpy as np
import pytest
import torch
from node_graphs import communities, small_network
from torch_geometric.data import Data

from molft.data.batch import Batch
from molft.data.blocks import Sampler
from molft.data.network import Network, from_pyg, make_network
from molft.errors import MolftError
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder
from molft.model.node_network import NodeConfig, NodeNetwork
from molft.train.nodes import infer, run_block

SNAP = {"encoder": "gin", "layers": 2, "width": 8, "bond_sizes": (6, 3), "loop_bond": (4, 0)}
ENDS = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])


def node_logits(network: Network) -> np.ndarray:
    return infer(NodeNetwork(NodeConfig(network.attributes.shape[1], 2, **SNAP)), network)  # type: ignore[arg-type]


def test_counts_of_words_are_numbers_and_no_codes() -> None:
    """Embedded, 9,360 papers x 6,775 words x 300 numbers are 70.87 GiB; projected they are 9,360 x width."""
    counts = torch.randint(0, 4, (3, 40))
    assert node_logits(from_pyg(Data(x=counts, edge_index=ENDS))).shape == (3, 2)


def test_counts_of_words_as_atoms_are_refused_before_anything_is_made() -> None:
    words = torch.zeros(9360, 6775, dtype=torch.int64)
    none = torch.empty(0, 2, dtype=torch.int64)
    batch = Batch(words, none, none.T, torch.zeros(9360, dtype=torch.int64), 1)
    with pytest.raises(MolftError, match=r"atom features have shape \(9360, 6775\).*expects 2 columns"):
        Encoder(EncoderConfig(layers=2, width=300))(batch)


def test_edge_attr_of_a_wrong_size_is_named() -> None:
    with pytest.raises(
        MolftError, match=r"edge_attr has shape \(3, 2\), but edge_index has 4 links; expected \(4, k\)"
    ):
        from_pyg(Data(x=torch.ones(3, 5), edge_index=ENDS, edge_attr=torch.zeros(3, 2)))
    one_column = from_pyg(Data(x=torch.ones(3, 5), edge_index=ENDS, edge_attr=torch.zeros(4)))
    with pytest.raises(
        MolftError, match=r"link features have shape \(4, 1\), but the encoder expects 2 columns"
    ):
        node_logits(one_column)
    unknown = from_pyg(Data(x=torch.ones(3, 5), edge_index=ENDS, edge_attr=torch.full((4, 2), 7)))
    with pytest.raises(
        MolftError, match="link feature 0 has codes 7 to 7, but the encoder's table has rows 0 to 5"
    ):
        node_logits(unknown)


def test_without_edge_attr_every_link_is_of_the_first_kind() -> None:
    torch.manual_seed(0)
    without = from_pyg(Data(x=torch.eye(3), edge_index=ENDS))
    zeros = from_pyg(Data(x=torch.eye(3), edge_index=ENDS, edge_attr=torch.zeros(4, 2)))
    model = NodeNetwork(NodeConfig(3, 2, **SNAP))  # type: ignore[arg-type]
    np.testing.assert_allclose(infer(model, without), infer(model, zeros), atol=1e-6)


def test_sampled_nodes_are_renumbered_whatever_their_numbers() -> None:
    """Seeds out of order, without links, and neighbours met for the first time in the last hop."""
    network = communities()
    model = NodeNetwork(NodeConfig(60, 3, **SNAP)).eval()  # type: ignore[arg-type]
    sampler, rng = Sampler(network), np.random.default_rng(0)
    for _ in range(20):
        seeds = rng.permutation(600)[:30]
        assert run_block(model, network, sampler.draw(seeds, [2, 2], rng)).shape == (30, 3)
    alone = Sampler(small_network()).draw(np.array([7]), [2, 2], rng)
    assert alone.nodes.tolist() == [7]


def test_a_number_beyond_the_nodes_is_named() -> None:
    with pytest.raises(MolftError, match="edge_index names nodes 0 to 2, but x has 2 rows"):
        from_pyg(Data(x=torch.ones(2, 5), edge_index=ENDS))
    with pytest.raises(MolftError, match=r"the network's matrix has shape \(3, 2\)"):
        make_network(np.ones((3, 2)), np.ones((3, 1)))
