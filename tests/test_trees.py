"""Run with: pytest tests/test_trees.py"""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

from molft.errors import MolftError
from molft.use.trees import Nodes, make_leaf, pack_tree, sum_trees


def by_hand() -> Nodes:
    """One tree: x0 <= 0.5 ? 10 : (x1 <= 2 ? 20 : 30)."""
    return Nodes(
        np.array([0, -1, 1, -1, -1], np.int16),
        np.array([0.5, 10, 2, 20, 30], np.float32),
        np.array([2, 0, 2, 0, 0], np.int32),
    )


@pytest.mark.parametrize(
    ("row", "expected"), [([0, 9], 10), ([0.5, 9], 10), ([1, 2], 20), ([1, 2.001], 30), ([9, 9], 30)]
)
def test_a_tree_by_hand(row: list[float], expected: float) -> None:
    assert sum_trees(by_hand(), np.array([0]), np.array([row], np.float32)).tolist() == [expected]


def test_trees_add_up() -> None:
    rows = np.array([[0, 0], [1, 0], [1, 9]], np.float32)
    assert sum_trees(by_hand(), np.array([0, 0, 1]), rows).tolist() == [30, 50, 70]


def test_a_leaf_answers_everything() -> None:
    assert sum_trees(make_leaf(0.25), np.array([0]), np.zeros((3, 2), np.float32)).tolist() == [0.25] * 3


def test_no_rows() -> None:
    assert sum_trees(by_hand(), np.array([0]), np.zeros((0, 2), np.float32)).shape == (0,)


def test_packing_keeps_a_tree_by_eye() -> None:
    tree = DecisionTreeRegressor().fit([[0.0], [1.0], [2.0], [3.0]], [5, 5, 7, 7]).tree_
    nodes = pack_tree(tree, classes=False)
    assert nodes.feature.tolist() == [0, -1, -1]
    assert nodes.number.tolist() == [1.5, 5, 7]
    assert nodes.skip.tolist() == [2, 0, 0]


def test_thresholds_between_neighbouring_floats_send_rows_the_same_way() -> None:
    rng = np.random.default_rng(0)
    steps = np.float32(1) + np.arange(400, dtype=np.float32) * np.finfo(np.float32).eps
    rows = rng.permutation(steps)[:, None]
    model = DecisionTreeRegressor().fit(rows, rng.normal(size=400))
    found = sum_trees(pack_tree(model.tree_, classes=False), np.array([0]), rows)
    np.testing.assert_allclose(found, model.predict(rows), rtol=1e-6)


def test_another_numbering_is_refused() -> None:
    rng = np.random.default_rng(0)
    best_first = DecisionTreeRegressor(max_leaf_nodes=20).fit(rng.normal(size=(90, 3)), rng.normal(size=90))
    with pytest.raises(MolftError, match="numbers the nodes of a tree in an order"):
        pack_tree(best_first.tree_, classes=False)
