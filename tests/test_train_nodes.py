"""Training on blocks: it learns, a seed repeats it, and scaling is what it says."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from node_graphs import communities, small_network

from molft.data.blocks import Sampler
from molft.data.network import Network, make_network
from molft.errors import MolftError
from molft.model.attributes import SparseRows
from molft.model.node_network import NodeConfig, NodeNetwork
from molft.train.nodes import (
    NodePlan,
    attribute_rows,
    fit_columns,
    infer,
    neighbourhood,
    node_loss,
    run_block,
    set_momentum,
    train_nodes,
)

CPU = torch.device("cpu")


def trained(network: Network, several: bool = False, **more: object) -> tuple[NodeNetwork, list[float]]:
    torch.manual_seed(0)
    model = NodeNetwork(NodeConfig(network.attributes.shape[1], network.labels.shape[1], layers=2, width=16))
    plan = NodePlan((5, 5), **more)  # type: ignore[arg-type]
    losses = train_nodes(model, network, np.arange(100), several, plan, lambda *told: None)
    return model, losses


def test_labels_of_communities_are_learned() -> None:
    network = communities()
    model, losses = trained(network, epochs=5)
    assert losses[-1] < 0.5 * losses[0]
    right = infer(model, network)[100:].argmax(axis=1) == network.labels[100:].argmax(axis=1)
    assert right.mean() > 0.9


def test_the_same_seed_gives_the_same_weights() -> None:
    network = communities()
    first, again, other = (trained(network, epochs=1, seed=seed)[0].head.weight for seed in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_progress_is_told_batch_by_batch() -> None:
    told: list[tuple[str, int, int]] = []
    network = communities()
    model = NodeNetwork(NodeConfig(60, 3, layers=1, width=4))
    plan = NodePlan((3,), epochs=2, batch_size=50)
    train_nodes(model, network, np.arange(100), False, plan, lambda *now: told.append(now[:3]))
    assert told == [
        ("epoch 1 of 2", 1, 2),
        ("epoch 1 of 2", 2, 2),
        ("epoch 2 of 2", 1, 2),
        ("epoch 2 of 2", 2, 2),
    ]


def test_a_loss_that_is_not_finite_stops_the_run() -> None:
    network = communities()
    model = NodeNetwork(NodeConfig(60, 3, layers=1, width=4))
    with torch.no_grad():
        model.head.bias.fill_(torch.nan)
    with pytest.raises(MolftError, match="the loss is not finite; lower --learning-rate"):
        train_nodes(model, network, np.arange(50), False, NodePlan((3,)), lambda *told: None)


def test_loss_of_one_and_of_several_labels() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    labels = torch.tensor([[1, 1], [0, 1]], dtype=torch.uint8)
    one = (np.log(1 + np.exp(-2.0)) + np.log(2)) / 2
    assert float(node_loss(logits, labels, several=False)) == pytest.approx(one)
    each = (np.log(1 + np.exp(-2.0)) + 3 * np.log(2)) / 4
    assert float(node_loss(logits, labels, several=True)) == pytest.approx(each)


def test_rows_are_scaled_to_unit_length_and_empty_ones_stay_empty() -> None:
    network = small_network()
    rows = attribute_rows(network, np.array([0, 7, 1]), NodeConfig(6), CPU)
    assert isinstance(rows, SparseRows) and rows.shape == (3, 6)
    assert rows.columns.tolist() == [0, 1, 1, 3] and rows.starts.tolist() == [0, 2, 2]
    assert rows.values.tolist() == pytest.approx([1 / 5**0.5, 2 / 5**0.5, 1 / 10**0.5, 3 / 10**0.5])
    plain = attribute_rows(network, np.array([0, 7, 1]), NodeConfig(6, normalise="none"), CPU)
    assert isinstance(plain, SparseRows) and plain.values.tolist() == [1, 2, 1, 3]


def test_dense_columns_are_scaled_by_the_network_they_were_trained_on() -> None:
    values = np.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    network = make_network(sp.csr_matrix((3, 3)), values, [0, 1, 0])
    model = NodeNetwork(NodeConfig(2, 2, normalise="columns"))
    fit_columns(model, network)
    assert model.project.centre.tolist() == [2, 5]
    assert model.project.scale.tolist() == pytest.approx([(3 / 8) ** 0.5, 1])
    with pytest.raises(MolftError, match="sparse attributes can't be scaled by columns"):
        fit_columns(model, small_network())


def test_running_statistics_of_a_short_run_are_those_of_its_batches() -> None:
    """After one step they are the batch's; after two, the mean of both."""
    network = communities()
    model = NodeNetwork(NodeConfig(60, 3, layers=1, width=4)).train()
    norm, seen = model.norm, []
    for step, first in enumerate((0, 40), start=1):
        block = Sampler(network).draw(np.arange(first, first + 40), (3,), np.random.default_rng(0))
        set_momentum(model, step)
        with torch.no_grad():
            run_block(model, network, block)
            hop = neighbourhood(block.hops[0], network, model.config, CPU)
            states = hop.mean(model.project(attribute_rows(network, block.nodes, model.config, CPU)))
        seen.append(states.var(dim=0))
        torch.testing.assert_close(norm.running_var, torch.stack(seen).mean(dim=0))
