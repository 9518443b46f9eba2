"""One large graph: who is linked to whom, what every node carries, and its labels.

Shapes: N nodes, E directed links, F attributes, C classes, k columns of link codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from molft.errors import MolftError

if TYPE_CHECKING:
    from torch_geometric.data import Data


@dataclass(frozen=True, eq=False)
class Network:
    """An undirected graph in compressed rows, without links of a node to itself.

    ``attributes`` are a SciPy CSR matrix (words, sets; never made dense) or an array, one row a node.
    ``labels`` hold 1 where a node is of a class; a row of zeros is a node without label. ``link_codes`` are
    categories of links where the file has any. ``notes`` say what was changed when the graph was read.

    Shapes: starts int64 [N + 1], neighbours int32 [E] (sorted in each row), attributes [N, F], labels uint8
    [N, C], link_codes uint8 [E, k] or None.
    """

    starts: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    attributes: Any  # SciPy has no types
    labels: NDArray[np.uint8]
    classes: tuple[str, ...]
    link_codes: NDArray[np.uint8] | None = None
    notes: tuple[str, ...] = ()

    @property
    def nodes(self) -> int:
        """Number of nodes N."""
        return len(self.starts) - 1

    @property
    def labelled(self) -> NDArray[np.int64]:
        """Numbers of the nodes that have a label, rising."""
        return np.flatnonzero(self.labels.any(axis=1))

    @property
    def several(self) -> int:
        """Number of nodes with more than one label."""
        return int((self.labels.sum(axis=1, dtype=np.int64) > 1).sum())


def make_network(
    links: Any,  # noqa: ANN401  (a SciPy matrix or an array)
    attributes: Any,  # noqa: ANN401
    labels: Any = None,  # noqa: ANN401
    classes: Sequence[str] = (),
) -> Network:
    """A network from an adjacency matrix, attributes and labels; what doesn't fit is a :class:`MolftError`.

    Links count in both directions and once, whatever their weight. Labels are one class number a node
    (negative or NaN: none), or a matrix of zeros and ones; without any, C is the number of ``classes``.

    Shapes: links [N, N], attributes [N, F], labels [N] or [N, C], dense or SciPy sparse.
    """
    matrix, notes = _clean_links(links)
    size = matrix.shape[0]
    return Network(
        starts=matrix.indptr.astype(np.int64),
        neighbours=matrix.indices.astype(np.int32, copy=False),
        attributes=check_attributes(attributes, size),
        **_label_fields(labels, size, classes),
        notes=notes,
    )


def from_pyg(data: Data, classes: Sequence[str] = ()) -> Network:
    """The network of a PyG ``Data``: ``edge_index`` [2, E], ``x`` [N, F], ``y`` [N] or [N, C].

    ``edge_attr`` may be absent; if it is there it holds integer codes [E] or [E, k]. Anything else is a
    :class:`MolftError`.
    """
    if data.edge_index is None or data.x is None:
        raise MolftError("the graph has no edge_index or no x; a network needs both (and y to train on)")
    ends, x = data.edge_index.numpy(), data.x
    size = int(x.shape[0])
    if ends.ndim != 2 or ends.shape[0] != 2 or not np.issubdtype(ends.dtype, np.integer):
        raise MolftError(f"edge_index is {ends.dtype} {ends.shape}; expected int64 (2, E)")
    if ends.size and not (ends.min() >= 0 and ends.max() < size):
        raise MolftError(
            f"edge_index names nodes {ends.min()} to {ends.max()}, but x has {size} rows, for nodes 0 to "
            f"{size - 1}; renumber the nodes, or give x a row for each"
        )
    labels = None if data.y is None else data.y.numpy()
    attributes = _scipy_rows(x) if x.is_sparse or x.is_sparse_csr else x.numpy()
    links = sp.csr_matrix((np.ones(ends.shape[1], np.uint8), (ends[0], ends[1])), shape=(size, size))
    network = make_network(links, attributes, labels, classes)
    if data.edge_attr is None:
        return network
    codes = _check_codes(data.edge_attr.numpy(), ends.shape[1])
    return replace(network, link_codes=_order_codes(ends, codes, size))


def check_attributes(attributes: Any, size: int) -> Any:  # noqa: ANN401
    """Attributes as CSR rows or as an array of numbers; other shapes and kinds are a :class:`MolftError`."""
    if not sp.issparse(attributes):
        attributes = np.asarray(attributes)
    if attributes.ndim != 2 or attributes.shape[0] != size:
        raise MolftError(
            f"attributes have shape {attributes.shape}, but the network has {size} nodes; expected "
            f"({size}, F): one row for each node"
        )
    if attributes.dtype.kind not in "buif":
        raise MolftError(f"attributes are of type {attributes.dtype}; expected numbers")
    values = attributes.data if sp.issparse(attributes) else attributes
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise MolftError("attributes hold NaN or infinity; replace them by numbers (0 for absent words)")
    if attributes.shape[1] == 0:
        raise MolftError("attributes have no columns; give at least one (of ones, if nodes carry nothing)")
    return sp.csr_matrix(attributes) if sp.issparse(attributes) else attributes


def _clean_links(links: Any) -> tuple[Any, tuple[str, ...]]:  # noqa: ANN401
    """The adjacency as a symmetric CSR matrix without diagonal, and what was changed."""
    if not sp.issparse(links):
        links = np.asarray(links)
    if links.ndim != 2 or links.shape[0] != links.shape[1]:
        raise MolftError(f"the network's matrix has shape {links.shape}; expected (N, N): a row and a column "
                         "for each node")  # fmt: skip
    if links.dtype.kind not in "buif":
        raise MolftError(f"the network's matrix is of type {links.dtype}; expected numbers, 0 for no link")
    matrix, notes = sp.csr_matrix(links), []
    if matrix.dtype.kind == "f" and not np.isfinite(matrix.data).all():
        raise MolftError(
            "the network's matrix holds NaN or infinity; expected 0 for no link and 1 for a link"
        )
    if not matrix.data.all():
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    if matrix.nnz and matrix.data.min() != matrix.data.max():
        notes.append("the weights of links are not used")
    matrix = sp.csr_matrix((np.ones(matrix.nnz, np.int8), matrix.indices, matrix.indptr), matrix.shape)
    matrix.sum_duplicates()
    loops = int(np.count_nonzero(matrix.diagonal()))
    if loops:
        matrix.data[:] = 1
        matrix = (matrix - sp.diags_array(matrix.diagonal(), dtype=np.int8)).tocsr()
        matrix.eliminate_zeros()
        notes.append(f"{loops:,} links of a node to itself are dropped; every node hears itself anyway")
    turned = matrix.T.tocsr()
    matrix.sort_indices()
    turned.sort_indices()
    if not (np.array_equal(matrix.indptr, turned.indptr) and np.array_equal(matrix.indices, turned.indices)):
        both = sp.csr_matrix(matrix + turned)
        both.sort_indices()
        notes.append(f"{both.nnz - matrix.nnz:,} links were given in one direction only; both are used")
        matrix = both
    return matrix, tuple(notes)


def _label_fields(labels: Any, size: int, classes: Sequence[str]) -> dict[str, Any]:  # noqa: ANN401
    """The fields ``labels`` and ``classes`` of a network of ``size`` nodes."""
    if labels is None:
        return {"labels": np.zeros((size, len(classes)), np.uint8), "classes": tuple(classes)}
    table = labels.toarray() if sp.issparse(labels) else np.asarray(labels)
    if table.dtype.kind not in "buif":
        raise MolftError(f"labels are of type {table.dtype}; expected class numbers, or zeros and ones")
    if table.ndim == 2 and 1 in table.shape:
        table = table.reshape(-1)
    if table.ndim not in (1, 2) or len(table) != size:
        raise MolftError(
            f"labels have shape {table.shape}, but the network has {size} nodes; expected ({size},) class "
            f"numbers or ({size}, C) zeros and ones"
        )
    if table.ndim == 1:
        return _number_fields(table.astype(np.float64), classes)
    table = np.nan_to_num(table) if table.dtype.kind == "f" else table
    odd = table[(table != 0) & (table != 1)]
    if len(odd):
        raise MolftError(f"a table of labels holds {odd[0]}; expected zeros and ones, one column a class")
    names = tuple(classes) or tuple(str(c) for c in range(table.shape[1]))
    if len(names) != table.shape[1]:
        raise MolftError(f"{len(names)} names of classes were given for {table.shape[1]} columns of labels")
    return {"labels": table.astype(np.uint8), "classes": names}


def _number_fields(numbers: NDArray[np.float64], classes: Sequence[str]) -> dict[str, Any]:
    """:func:`_label_fields` of one class number a node."""
    known = np.isfinite(numbers) & (numbers >= 0)
    if (numbers[known] != np.round(numbers[known])).any():
        raise MolftError("labels hold fractions; expected class numbers (node-finetune does no regression)")
    values = _class_numbers(classes) if classes else np.unique(numbers[known])
    if not np.isin(numbers[known], values).all():
        odd = numbers[known][~np.isin(numbers[known], values)][0]
        raise MolftError(f"a label is {odd:.0f}, but the classes are {', '.join(classes)}")
    if len(values) > 10_000:
        raise MolftError(f"labels hold {len(values):,} different numbers; are these classes?")
    table = np.zeros((len(numbers), len(values)), np.uint8)
    order = np.argsort(values)
    table[np.flatnonzero(known), order[np.searchsorted(values[order], numbers[known])]] = 1
    return {"labels": table, "classes": tuple(classes) or tuple(f"{value:.0f}" for value in values)}


def _class_numbers(classes: Sequence[str]) -> NDArray[np.float64]:
    """The number that stands for each class: its name where all names are numbers, else its place."""
    try:
        return np.array([float(name) for name in classes])
    except ValueError:
        return np.arange(len(classes), dtype=np.float64)


def _check_codes(codes: NDArray[Any], edges: int) -> NDArray[np.uint8]:
    """Codes of links as uint8 [E, k]."""
    table = codes.reshape(len(codes), -1) if codes.ndim in (1, 2) else codes
    if table.ndim != 2 or len(table) != edges:
        raise MolftError(
            f"edge_attr has shape {codes.shape}, but edge_index has {edges} links; expected ({edges}, k) "
            "integer codes, or no edge_attr at all"
        )
    if table.dtype.kind not in "bui" and (table != np.round(table)).any():
        raise MolftError(
            f"edge_attr is {table.dtype} with fractions; expected integer codes of kinds of links; leave it "
            "out, and every link counts as the same kind"
        )
    if table.size and not (table.min() >= 0 and table.max() < 256):
        raise MolftError(f"edge_attr holds codes {table.min()} to {table.max()}; expected 0 to 255")
    return table.astype(np.uint8)


def _order_codes(ends: NDArray[np.int64], codes: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Codes in the order of a cleaned network's links; of a pair given twice, the first counts."""
    apart = ends[0] != ends[1]
    (rows, columns), codes = ends[:, apart], codes[apart]
    keys = np.concatenate([rows * size + columns, columns * size + rows])
    _, first = np.unique(keys, return_index=True)
    ordered: NDArray[np.uint8] = np.concatenate([codes, codes])[first]
    return ordered


def _scipy_rows(x: Any) -> Any:  # noqa: ANN401  (a sparse tensor, a SciPy matrix)
    """A sparse tensor as SciPy rows."""
    entries = x.to_sparse_coo().coalesce()
    rows, columns = entries.indices().numpy()
    return sp.csr_matrix((entries.values().numpy(), (rows, columns)), shape=tuple(x.shape))
