"""Decision trees as flat arrays: packed from scikit-learn's, walked by many rows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from molft.errors import MolftError

if TYPE_CHECKING:
    from sklearn.tree._tree import Tree

# How many trees walk together: few enough that the nodes they meet stay in the cache.
_TREES_AT_ONCE = 25


class Nodes(NamedTuple):
    """Nodes of trees, each tree in depth-first order: the left child of a node is the next node.

    A walk can only go forward, so that it ends whatever a damaged file says.

    Shapes: K nodes.
    """

    feature: NDArray[np.int16]
    """[K] column that an inner node compares; -1 for a leaf."""
    number: NDArray[np.float32]
    """[K] threshold of an inner node (``x <= number`` goes left); answer of a leaf."""
    skip: NDArray[np.int32]
    """[K] how many nodes further the right child stands; 0 for a leaf."""


def pack_tree(tree: Tree, classes: bool) -> Nodes:
    """Turn a scikit-learn tree into nodes that send every float32 row to the same leaf.

    With ``classes`` the answer is the share of the second class, else the mean value. A scikit-learn that
    doesn't number its nodes depth first gives :class:`MolftError`.
    """
    here = np.arange(tree.node_count)
    leaf = tree.children_left < 0
    if (tree.children_left != here + 1)[~leaf].any():
        raise MolftError(
            "this scikit-learn numbers the nodes of a tree in an order that molft doesn't know; "
            "install the version in constraints.txt"
        )
    answer = tree.value[:, 0, :]  # [K, classes]: counts or shares of the classes, or one mean value
    if classes:
        answer = answer[:, 1:] / answer.sum(axis=1, keepdims=True)
    number = np.where(leaf, answer[:, 0], _round_down(tree.threshold))
    return Nodes(
        np.where(leaf, -1, tree.feature).astype(np.int16),
        number.astype(np.float32),
        np.where(leaf, 0, tree.children_right - here).astype(np.int32),
    )


def _round_down(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Largest float32 that is not above: for a float32 x, ``x <= threshold`` stays the same question."""
    nearest = threshold.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > threshold, below, nearest)


def make_leaf(answer: float) -> Nodes:
    """Make the tree that gives one answer to everything."""
    return Nodes(np.array([-1], np.int16), np.array([answer], np.float32), np.zeros(1, np.int32))


def sum_trees(nodes: Nodes, roots: NDArray[np.int64], rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Add up the answers of the trees that start at ``roots``, for each row.

    A row's sum is the same to the last bit whatever rows stand beside it: the order in which its trees
    are added depends on that row alone.

    Shapes: int64 [R], float32 [B, F] (C order) -> float64 [B].
    """
    total = np.zeros(len(rows))
    for start in range(0, len(roots), _TREES_AT_ONCE):
        total += _walk(nodes, roots[start : start + _TREES_AT_ONCE], rows)
    return total


def _walk(nodes: Nodes, roots: NDArray[np.int64], rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Send every row down every tree, all (tree, row) pairs one level at a time; those at a leaf drop out."""
    count, width = rows.shape
    values = rows.ravel()
    total = np.zeros(count)
    node = np.repeat(roots, count)
    row = np.tile(np.arange(count), len(roots))
    while len(node):
        feature = nodes.feature.take(node)
        inner = feature >= 0
        if not inner.all():
            total += np.bincount(row[~inner], nodes.number.take(node[~inner]), count)
            node, row, feature = node[inner], row[inner], feature[inner]
        right = values.take(row * width + feature) > nodes.number.take(node)
        node = node + np.where(right, nodes.skip.take(node), 1)
    return total
