"""Network files: the same network from each kind, and what is said of a bad one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from node_graphs import adjacency, small_network
from scipy import io

from molft.data.network import Network
from molft.data.network_files import read_network
from molft.errors import MolftError

LABELS = np.array([[1, 0], [1, 0], [0, 1], [0, 0], [0, 1], [0, 1], [1, 0], [0, 1]], np.int32)


def matrices() -> dict[str, Any]:
    return {"network": adjacency().tocsc(), "attrb": small_network().attributes.tocsc(), "group": LABELS}


def sparse_parts(key: str, matrix: sp.csc_matrix) -> dict[str, Any]:
    rows = sp.csr_matrix(matrix)
    parts = {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr, "shape": rows.shape}
    return {f"{key}_{part}": value for part, value in parts.items()}


def same(found: Network, wanted: Network) -> bool:
    return (
        found.starts.tolist() == wanted.starts.tolist()
        and found.neighbours.tolist() == wanted.neighbours.tolist()
        and (found.attributes != wanted.attributes).nnz == 0
        and found.labels.tolist() == wanted.labels.tolist()
    )


def write_hdf5(path: Path) -> Path:
    """The layout of MATLAB 7.3: 512 bytes of text first, arrays transposed, sparse ones by column."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        for key, matrix in matrices().items():
            if not sp.issparse(matrix):
                file[key] = matrix.T
                continue
            group = file.create_group(key)
            group.attrs["MATLAB_sparse"] = np.uint64(matrix.shape[0])
            group["data"], group["ir"], group["jc"] = (
                matrix.data.astype(float),
                matrix.indices.astype(np.uint64),
                matrix.indptr.astype(np.uint64),
            )
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(128))
    return path


def test_each_kind_of_file_gives_the_same_network(tmp_path: Path) -> None:
    io.savemat(tmp_path / "old.mat", matrices(), do_compression=True)
    given = matrices()
    np.savez(
        tmp_path / "parts.npz",
        labels=given["group"],
        **sparse_parts("adj", given["network"]),
        **sparse_parts("attr", given["attrb"]),
    )
    files = [tmp_path / "old.mat", tmp_path / "parts.npz", write_hdf5(tmp_path / "new.mat")]
    assert [same(read_network(file), small_network()) for file in files] == [True, True, True]


def test_keys_by_option_and_dense_arrays(tmp_path: Path) -> None:
    given = matrices()
    path = tmp_path / "dense.npz"
    np.savez(path, A=given["network"].toarray(), X=given["attrb"].toarray(), y=[0, 0, 1, -1, 1, 1, 0, 1])
    found = read_network(path, "A", "X", "y")
    assert found.attributes.tolist() == small_network().attributes.toarray().tolist()
    assert found.labels.tolist() == LABELS.tolist()
    assert read_network(path, "A", "X", classes=("0", "1"), need_labels=False).labels.tolist() == [[0, 0]] * 8


def test_without_h5py_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_hdf5(tmp_path / "new.mat")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(MolftError, match=r"needs h5py: pip install 'molft\[hdf5\]'"):
        read_network(path)


def test_a_missing_key_names_those_there(tmp_path: Path) -> None:
    io.savemat(tmp_path / "a.mat", {"network": adjacency(), "words": np.ones((8, 2))})
    with pytest.raises(
        MolftError, match="no key attrb or attr or attributes or features; it holds network, words"
    ):
        read_network(tmp_path / "a.mat")
    with pytest.raises(
        MolftError, match="no key labels; it holds network, words; name the keys by --network-key"
    ):
        read_network(tmp_path / "a.mat", attributes="words", labels="labels")
    with pytest.raises(MolftError, match="no key group or labels"):
        read_network(tmp_path / "a.mat", attributes="words")


def test_sizes_that_differ_are_named_with_the_file(tmp_path: Path) -> None:
    io.savemat(tmp_path / "a.mat", {"network": adjacency(), "attrb": np.ones((7, 2)), "group": LABELS})
    says = r"a.mat \(network, attrb, group\): attributes have shape \(7, 2\), but the network has 8 nodes"
    with pytest.raises(MolftError, match=says):
        read_network(tmp_path / "a.mat")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.mat", None, "no such file"),
        ("a.csv", b"x", "a network is read from .mat or .npz, not from '.csv'"),
        ("text.mat", b"hello", "can't be read"),
        ("empty.mat", b"", "can't be read"),
        ("cut.mat", b"MATLAB 7.3 MAT-file", "can't be read"),
        ("text.npz", b"hello", "can't be read"),
        ("empty.npz", b"", "can't be read"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MolftError, match=says):
        read_network(tmp_path / name)


def test_a_cut_matlab_file_is_refused(tmp_path: Path) -> None:
    io.savemat(tmp_path / "a.mat", matrices())
    whole = (tmp_path / "a.mat").read_bytes()
    for size in (len(whole) // 3, len(whole) // 2, len(whole) - 5):
        (tmp_path / "cut.mat").write_bytes(whole[:size])
        with pytest.raises(MolftError, match=r"cut\.mat"):
            read_network(tmp_path / "cut.mat")


def test_objects_in_an_archive_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", network=np.array([{"a": 1}], object), attr=np.ones((1, 1)), labels=[0])
    with pytest.raises(MolftError, match="allow_pickle"):
        read_network(tmp_path / "a.npz")


def test_the_citation_networks(real_data: Path) -> None:
    found = [
        read_network(real_data / "citation" / f"{name}.mat") for name in ("acmv9", "citationv1", "dblpv7")
    ]
    assert [
        (n.nodes, len(n.neighbours), n.attributes.shape[1], len(n.classes), n.several) for n in found
    ] == [
        (9360, 31112, 6775, 5, 581),
        (8935, 30196, 6775, 5, 166),
        (5484, 16234, 6775, 5, 15),
    ]
