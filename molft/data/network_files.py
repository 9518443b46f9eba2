"""Networks from MATLAB (.mat, old and HDF5) and NumPy (.npz) files; nothing in a file is run as code."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy import io

from molft.data.network import Network, make_network
from molft.errors import MolftError

LINK_KEYS = ("network", "adj", "adjacency")
ATTRIBUTE_KEYS = ("attrb", "attr", "attributes", "features")
LABEL_KEYS = ("group", "labels", "label")

Reader = Callable[[str], Any]


def read_network(
    path: str | Path,
    links: str | None = None,
    attributes: str | None = None,
    labels: str | None = None,
    classes: Sequence[str] = (),
    need_labels: bool = True,
) -> Network:
    """The network of a ``.mat`` or ``.npz`` file.

    The keys of its three matrices are found by usual names (``network``, ``attrb``, ``group`` and a few
    more) if they are not given. A sparse matrix in an ``.npz`` is stored as ``KEY_data``, ``KEY_indices``,
    ``KEY_indptr`` and ``KEY_shape`` (CSR; Shchur et al. 2018). A file that can't be read, a key that
    isn't there and matrices that don't fit each other are a :class:`MolftError`.
    """
    path = Path(path)
    readers = {".mat": _open_mat, ".npz": _open_npz}
    if path.suffix not in readers:
        raise MolftError(f"{path}: a network is read from .mat or .npz, not from {path.suffix or 'this'!r}")
    if not path.is_file():
        raise MolftError(f"{path}: no such file")
    try:
        keys, read = readers[path.suffix](path)
        found = [
            _find_key(path, keys, wanted, usual, needed)
            for wanted, usual, needed in (
                (links, LINK_KEYS, True),
                (attributes, ATTRIBUTE_KEYS, True),
                (labels, LABEL_KEYS, need_labels),
            )
        ]
        parts = [None if key is None else read(key) for key in found]
    except (OSError, ValueError, KeyError, TypeError, EOFError, struct.error, zlib.error,
            zipfile.BadZipFile, io.matlab.MatReadError) as error:  # fmt: skip
        raise MolftError(f"{path}: can't be read: {error}") from error
    try:
        return make_network(parts[0], parts[1], parts[2], classes)
    except MolftError as error:
        named = ", ".join(key for key in found if key)
        raise MolftError(f"{path} ({named}): {error}") from error


def _find_key(
    path: Path, keys: Iterable[str], wanted: str | None, usual: Sequence[str], needed: bool
) -> str | None:
    """The key that is asked for, or the first usual one; None where none is there nor needed."""
    there = sorted(keys)
    for key in [wanted] if wanted else usual:
        if key in there:
            return key
    if not (wanted or needed):
        return None
    raise MolftError(
        f"{path}: no key {wanted or ' or '.join(usual)}; it holds {', '.join(there) or 'nothing'}; name the "
        "keys by --network-key, --attributes-key and --labels-key"
    )


def _open_mat(path: Path) -> tuple[list[str], Reader]:
    """Keys of a MATLAB file and a function that reads one; version 7.3 is HDF5 and needs h5py."""
    with path.open("rb") as file:
        start = file.read(128)
    if start[:19] == b"MATLAB 7.3 MAT-file" or start[:8] == b"\x89HDF\r\n\x1a\n":
        return _open_hdf5(path)
    keys = [name for name, _, _ in io.whosmat(path)]
    return keys, lambda key: io.loadmat(path, variable_names=[key])[key]


def _open_hdf5(path: Path) -> tuple[list[str], Reader]:
    """The same for version 7.3: arrays lie transposed, sparse matrices as columns in three datasets."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MolftError(
            f"{path}: a MATLAB 7.3 (HDF5) file needs h5py: pip install 'molft[hdf5]', or save it by "
            "save(..., '-v7') in MATLAB"
        ) from error

    def read(key: str) -> Any:  # noqa: ANN401
        with h5py.File(path, "r") as file:
            item = file[key]
            if isinstance(item, h5py.Dataset):
                return item[()].T
            starts, rows = item["jc"][()], item["ir"][()] if "ir" in item else np.empty(0, np.int64)
            values = item["data"][()] if "data" in item else np.empty(0)
            shape = (int(item.attrs["MATLAB_sparse"]), len(starts) - 1)
            return sp.csc_matrix((values, rows.astype(np.int64), starts.astype(np.int64)), shape)

    with h5py.File(path, "r") as file:
        return [key for key in file if not key.startswith("#")], read


def _open_npz(path: Path) -> tuple[list[str], Reader]:
    """Keys of a NumPy archive, the parts of a sparse matrix counting as one, and a reader of one."""

    def read(key: str) -> Any:  # noqa: ANN401
        with np.load(path, allow_pickle=False) as file:
            if key in file.files:
                return file[key]
            values, columns, starts, shape = (file[f"{key}_{part}"] for part in parts)
            return sp.csr_matrix((values, columns, starts), tuple(int(size) for size in shape))

    parts = ("data", "indices", "indptr", "shape")
    with np.load(path, allow_pickle=False) as file:
        names = set(file.files)
    sparse = {name.removesuffix("_data") for name in names if name.endswith("_data")}
    sparse = {key for key in sparse if all(f"{key}_{part}" in names for part in parts)}
    return sorted(sparse | {name for name in names if name.rpartition("_")[0] not in sparse}), read
