"""Small networks for the tests of node fine-tuning."""

import numpy as np
import scipy.sparse as sp

from molft.data.network import Network, make_network

# A path 0-1-2-3, a triangle 4-5-6, and node 7 without a link.
PAIRS = [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (4, 6)]


def adjacency(pairs: list[tuple[int, int]] = PAIRS, size: int = 8) -> sp.csr_matrix:
    """A symmetric matrix of the given pairs."""
    rows, columns = np.array(pairs).T
    matrix = sp.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    return matrix + matrix.T


def small_network() -> Network:
    """Eight nodes, six words, two classes; node 7 has neither links nor words, node 3 no label."""
    uses = {(0, 0): 1, (0, 1): 2, (1, 1): 1, (1, 3): 3, (2, 0): 1, (2, 5): 1, (3, 4): 2, (4, 2): 1, (4, 3): 1,
            (4, 4): 1, (5, 4): 1, (5, 5): 1, (6, 0): 1}  # fmt: skip
    words = np.zeros((8, 6), np.uint8)
    words[tuple(np.array(list(uses)).T)] = list(uses.values())
    return make_network(adjacency(), sp.csr_matrix(words), [0, 0, 1, -1, 1, 1, 0, 1])


def communities(nodes: int = 600, classes: int = 3, words: int = 60, seed: int = 0) -> Network:
    """Nodes that mostly link to nodes of their class and use its words a little more often."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, nodes)
    ends = rng.integers(0, nodes, (2, nodes * 12))
    kept = ends[:, (label[ends[0]] == label[ends[1]]) | (rng.random(ends.shape[1]) < 0.1)]
    links = sp.csr_matrix((np.ones(kept.shape[1]), tuple(kept)), shape=(nodes, nodes))
    likely = np.arange(words)[None, :] % classes == label[:, None]
    uses = rng.random((nodes, words)) < np.where(likely, 0.12, 0.06)
    return make_network(links, sp.csr_matrix(uses.astype(np.uint8)), label)
