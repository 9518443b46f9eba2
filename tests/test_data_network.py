"""Networks from matrices and from PyG: what is kept, what is mended, what is refused."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from node_graphs import adjacency, small_network
from torch_geometric.data import Data

from molft.data.network import from_pyg, make_network
from molft.errors import MolftError

ONES = np.ones((3, 1))
PATH = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])


def test_rows_and_labels_as_they_are() -> None:
    network = small_network()
    assert network.starts.tolist() == [0, 1, 3, 5, 6, 8, 10, 12, 12]
    assert network.neighbours.tolist() == [1, 0, 2, 1, 3, 2, 5, 6, 4, 6, 4, 5]
    assert network.classes == ("0", "1")
    assert network.labels[[0, 3, 4]].tolist() == [[1, 0], [0, 0], [0, 1]]
    assert network.labelled.tolist() == [0, 1, 2, 4, 5, 6, 7]
    assert network.attributes.dtype == np.uint8 and network.attributes.nnz == 13
    assert network.notes == () and network.several == 0


def test_one_way_links_loops_and_weights_are_mended_and_told() -> None:
    network = make_network(np.array([[5, 2, 0], [0, 0, 1], [0, 1, 0]]), ONES, [[1, 1], [0, 1], [0, 0]])
    assert (network.starts.tolist(), network.neighbours.tolist()) == ([0, 1, 3, 4], [1, 0, 2, 1])
    assert network.notes == (
        "the weights of links are not used",
        "1 links of a node to itself are dropped; every node hears itself anyway",
        "1 links were given in one direction only; both are used",
    )
    assert network.several == 1 and network.labelled.tolist() == [0, 1]


def test_links_given_twice_and_zeros_count_once_or_not() -> None:
    twice = sp.csr_matrix((np.array([1.0, 1.0, 1.0, 0.0]), ([0, 0, 1, 1], [1, 1, 0, 2])), shape=(3, 3))
    assert make_network(twice, ONES).neighbours.tolist() == [1, 0]
    parts = sp.coo_matrix((np.ones(3), ([0, 0, 1], [1, 1, 0])), shape=(3, 3))
    assert make_network(parts, ONES).neighbours.tolist() == [1, 0]


def test_numbers_of_classes_keep_their_meaning_in_another_network() -> None:
    first = make_network(PATH, ONES, [3, 1, 7])
    assert first.classes == ("1", "3", "7")
    assert make_network(PATH, ONES, [7, 7, -1], first.classes).labels.tolist() == [
        [0, 0, 1],
        [0, 0, 1],
        [0, 0, 0],
    ]
    assert make_network(PATH, ONES, [1, 0, 1], ("b", "a")).labels.tolist() == [[0, 1], [1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ((np.ones((3, 2)), ONES), r"matrix has shape \(3, 2\); expected \(N, N\)"),
        ((PATH, np.ones((4, 2))), r"attributes have shape \(4, 2\), but the network has 3 nodes"),
        ((PATH, np.ones(3)), r"attributes have shape \(3,\)"),
        ((PATH, np.array([["a"], ["b"], ["c"]])), "attributes are of type <U1; expected numbers"),
        ((PATH, np.full((3, 2), np.nan)), "attributes hold NaN"),
        ((PATH, np.ones((3, 0))), "attributes have no columns"),
        ((PATH * np.nan, ONES), "matrix holds NaN"),
        ((np.full((3, 3), "x"), ONES), "matrix is of type <U1"),
        ((PATH, ONES, [0, 1]), r"labels have shape \(2,\), but the network has 3 nodes"),
        ((PATH, ONES, [0, 1, 0.5]), "labels hold fractions"),
        ((PATH, ONES, [[0, 2], [1, 0], [0, 1]]), "a table of labels holds 2; expected zeros and ones"),
        ((PATH, ONES, ["a", "b", "a"]), "labels are of type <U1"),
        ((PATH, ONES, [0, 1, 2], ("x", "y")), "a label is 2, but the classes are x, y"),
        ((PATH, ONES, np.eye(3), ("x", "y")), "2 names of classes were given for 3 columns"),
    ],
)
def test_what_does_not_fit_is_refused(given: tuple[Any, ...], says: str) -> None:
    with pytest.raises(MolftError, match=says):
        make_network(*given)


def test_pyg_gives_the_same_network() -> None:
    wanted = small_network()
    matrix = adjacency().tocoo()
    ends = torch.from_numpy(np.stack([matrix.row, matrix.col]).astype(np.int64))
    dense = torch.from_numpy(wanted.attributes.toarray()).float()
    y = torch.tensor([0, 0, 1, -1, 1, 1, 0, 1])
    for x in (dense, dense.to_sparse()):
        got = from_pyg(Data(x=x, edge_index=ends, y=y))
        assert got.starts.tolist() == wanted.starts.tolist()
        assert got.neighbours.tolist() == wanted.neighbours.tolist()
        assert got.labels.tolist() == wanted.labels.tolist()
        table = got.attributes.toarray() if x.is_sparse else got.attributes
        assert table.tolist() == wanted.attributes.toarray().tolist()


def test_codes_of_links_follow_their_links() -> None:
    data = Data(
        x=torch.ones(3, 1),
        edge_index=torch.tensor([[2, 1, 0], [1, 1, 1]]),
        edge_attr=torch.tensor([[3, 1], [9, 9], [2, 0]]),
    )
    network = from_pyg(data)
    assert network.neighbours.tolist() == [1, 0, 2, 1]
    assert network.link_codes is not None
    assert network.link_codes.tolist() == [[2, 0], [2, 0], [3, 1], [3, 1]]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"x": None}, "no edge_index or no x"),
        ({"edge_index": torch.tensor([[0, 5], [1, 0]])}, "names nodes 0 to 5, but x has 3 rows"),
        ({"edge_index": torch.tensor([[0.0], [1.0]])}, r"edge_index is float32 \(2, 1\)"),
        ({"edge_attr": torch.ones(5, 2)}, r"edge_attr has shape \(5, 2\), but edge_index has 2 links"),
        ({"edge_attr": torch.tensor([0.5, 1.0])}, "edge_attr is float32 with fractions"),
        ({"edge_attr": torch.tensor([0, 300])}, "codes 0 to 300; expected 0 to 255"),
    ],
)
def test_a_wrong_graph_of_pyg_is_refused(fields: dict[str, Any], says: str) -> None:
    right = {"x": torch.ones(3, 1), "edge_index": torch.tensor([[0, 1], [1, 0]])}
    with pytest.raises(MolftError, match=says):
        from_pyg(Data(**{**right, **fields}))
