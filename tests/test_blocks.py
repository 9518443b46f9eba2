"""Sampled blocks: against a dense oracle, and each set of neighbours as likely as the next."""

from collections import Counter

import numpy as np
import pytest
import scipy.sparse as sp
from node_graphs import communities, small_network

from molft.data.blocks import Block, Sampler, draw_links, full_hops
from molft.data.network import Network, make_network
from molft.errors import MolftError


def dense_mean(network: Network) -> np.ndarray:
    """The matrix that averages over a node and its neighbours, made link by link."""
    out = np.eye(network.nodes)
    for node in range(network.nodes):
        for other in network.neighbours[network.starts[node] : network.starts[node + 1]]:
            out[node, other] += 1
    return out / out.sum(axis=1, keepdims=True)


def run(block: Block, states: np.ndarray) -> np.ndarray:
    """Means over all hops of a block, with NumPy alone."""
    states = states[block.nodes]
    for hop in block.hops:
        counts = np.diff(np.append(hop.starts, len(hop.senders)))
        receivers = np.repeat(np.arange(len(counts)), counts)
        out = np.zeros((len(counts), states.shape[1]))
        np.add.at(out, receivers, hop.weights[:, None].astype(float) * states[hop.senders])
        states = out
    return states


@pytest.mark.parametrize("network", [small_network(), communities()], ids=["small", "communities"])
def test_all_neighbours_give_the_dense_means(network: Network) -> None:
    states = np.random.default_rng(1).normal(size=(network.nodes, 3))
    mean = dense_mean(network)
    sampler, seeds = Sampler(network), np.array([5, 0, 7, 2])
    for hops in (1, 2, 3):
        block = sampler.draw(seeds, [None] * hops, np.random.default_rng(0))
        wanted = (np.linalg.matrix_power(mean, hops) @ states)[seeds]
        np.testing.assert_allclose(run(block, states), wanted, atol=1e-6)


def test_a_block_by_hand() -> None:
    """Node 0 of a path 0-1-2-3 over two hops: it hears 1, which hears 0 and 2; places are 0, 1, 2 again."""
    block = Sampler(small_network()).draw(np.array([0]), [None, None], np.random.default_rng(0))
    assert block.nodes.tolist() == [0, 1, 2]
    far, near = block.hops
    assert (near.senders.tolist(), near.starts.tolist(), near.links.tolist()) == ([0, 1], [0], [-1, 0])
    assert (far.senders.tolist(), far.starts.tolist()) == ([0, 1, 1, 0, 2], [0, 2])
    assert far.weights.tolist() == pytest.approx([1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3])


def test_hops_over_all_nodes_are_the_dense_matrix() -> None:
    network = communities(nodes=50)
    found = np.zeros((50, 50))
    for part, hop in full_hops(network, 7):
        counts = np.diff(np.append(hop.starts, len(hop.senders)))
        np.add.at(found[part], (np.repeat(np.arange(len(counts)), counts), hop.senders), hop.weights)
    np.testing.assert_allclose(found, dense_mean(network), atol=1e-6)


def test_drawn_neighbours_are_distinct_and_their_own() -> None:
    network = communities()
    links, counts = draw_links(network.starts, np.arange(600), 4, np.random.default_rng(0))
    degrees = np.diff(network.starts)
    assert counts.tolist() == np.minimum(degrees, 4).tolist()
    owner = np.searchsorted(network.starts, links, side="right") - 1
    assert owner.tolist() == np.repeat(np.arange(600), counts).tolist()
    assert len(set(links.tolist())) == len(links)


def test_every_set_of_neighbours_is_as_likely() -> None:
    """Two of five, 6,000 times: ten sets, 600 each; six standard deviations are 140."""
    starts = np.arange(0, 6000 * 5 + 1, 5)
    links, _ = draw_links(starts, np.arange(6000), 2, np.random.default_rng(3))
    sets = Counter(frozenset(pair) for pair in (links.reshape(-1, 2) % 5).tolist())
    assert len(sets) == 10 and all(abs(count - 600) < 140 for count in sets.values())


def test_the_drawn_mean_is_right_on_average() -> None:
    """A hub with 30 neighbours of values 0 to 29 and itself 100: mean (435 + 100) / 31."""
    star = np.zeros((31, 31))
    star[0, 1:] = 1
    network = make_network(star, np.ones((31, 1)), None)
    values = np.append(100.0, np.arange(30.0))[:, None]
    rng, sampler = np.random.default_rng(0), Sampler(network)
    means = [run(sampler.draw(np.array([0]), [5], rng), values)[0, 0] for _ in range(3000)]
    assert np.mean(means) == pytest.approx(535 / 31, abs=0.3)


def test_blocks_leave_nothing_behind() -> None:
    """The same draw after others, and after a refused one, is the same."""
    network = communities()
    fresh = Sampler(network).draw(np.arange(9), [3, 3], np.random.default_rng(5))
    sampler = Sampler(network)
    sampler.draw(np.arange(100, 200), [3, None], np.random.default_rng(1))
    with pytest.raises(MolftError, match="stands twice"):
        sampler.draw(np.array([4, 9, 4]), [3], np.random.default_rng(1))
    again = sampler.draw(np.arange(9), [3, 3], np.random.default_rng(5))
    assert again.nodes.tolist() == fresh.nodes.tolist()
    assert all(a.senders.tolist() == b.senders.tolist() for a, b in zip(again.hops, fresh.hops, strict=True))


def test_nodes_that_are_not_there_are_refused() -> None:
    with pytest.raises(MolftError, match="nodes 3 to 8 are asked for, but the network has nodes 0 to 7"):
        Sampler(small_network()).draw(np.array([3, 8]), [2], np.random.default_rng(0))


def test_no_seeds_and_no_links() -> None:
    network = make_network(sp.csr_matrix((3, 3)), np.ones((3, 1)))
    rng = np.random.default_rng(0)
    assert Sampler(network).draw(np.empty(0, np.int64), [2, None], rng).nodes.tolist() == []
    block = Sampler(network).draw(np.array([2, 0]), [2, None], rng)
    assert block.nodes.tolist() == [2, 0] and block.hops[0].weights.tolist() == [1, 1]
