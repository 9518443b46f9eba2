"""Packed graphs on disk: written once, memory-mapped, sliced.

A store is a folder of plain ``.npy`` arrays and a ``store.json`` with the scheme, the counts and the
sha256 of each array. Opening one touches no data; a slice reads only its own pages.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from molft.chem.graphs import Graphs
from molft.errors import MolftError
from molft.files import read_json, sha256, write_json

VERSION = 1
_Block = tuple[Graphs, Mapping[str, NDArray[np.generic]]]
_GRAPH_ARRAYS = ("atoms", "bonds", "ends", "atom_ptr", "bond_ptr")


class _Column:
    """One growing ``.npy`` file; the header is written last, when the length is known."""

    _HEADER = 128

    def __init__(self, path: Path, like: NDArray[np.generic]) -> None:
        self.path, self.rows, self.like = path, 0, like[:0]
        self.file: BinaryIO = path.open("wb")
        self.file.write(bytes(self._HEADER))

    def append(self, values: NDArray[np.generic]) -> None:
        got, known = (values.dtype, *values.shape[1:]), (self.like.dtype, *self.like.shape[1:])
        if got != known:
            raise MolftError(f"{self.path.stem} has rows of {got} in one block and of {known} in another")
        self.rows += len(values)
        self.file.write(np.ascontiguousarray(values).tobytes())

    def close(self) -> None:
        header = {
            "descr": npy.dtype_to_descr(self.like.dtype),
            "fortran_order": False,
            "shape": (self.rows, *self.like.shape[1:]),
        }
        text = repr(header).encode("latin1")
        # The .npy format 1.0: magic, version, length of the header, header padded with blanks.
        room = self._HEADER - 10
        self.file.seek(0)
        self.file.write(b"\x93NUMPY\x01\x00" + room.to_bytes(2, "little") + text.ljust(room - 1) + b"\n")
        self.file.close()


def write_store(directory: Path, scheme: str, blocks: Iterable[_Block]) -> int:
    """Write blocks of graphs, each with the same named per-molecule arrays, and return the molecule count.

    The folder appears whole or not at all; memory holds one block at a time. An existing store is refused,
    and so are blocks whose arrays don't fit together.
    """
    if directory.exists():
        raise MolftError(f"{directory} exists already; remove it or choose another place")
    partial = directory.with_name(directory.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        columns = _write_columns(partial, blocks)
        if not columns:
            raise MolftError(f"no molecule to write to {directory}")
        count = columns["atom_ptr"].rows - 1
        hashes = {name: sha256(column.path) for name, column in columns.items()}
        manifest = {"version": VERSION, "scheme": scheme, "molecules": count, "sha256": hashes}
        write_json(partial / "store.json", manifest)
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # after the last step there is none
    return count


def _write_columns(partial: Path, blocks: Iterable[_Block]) -> dict[str, _Column]:
    columns: dict[str, _Column] = {}
    last = {"atom_ptr": 0, "bond_ptr": 0}
    with ExitStack() as files:
        for graphs, extras in blocks:
            arrays = {name: getattr(graphs, name) for name in _GRAPH_ARRAYS} | dict(extras)
            _check_block(len(graphs), extras, arrays, columns)
            for name in last:
                ends = arrays[name] + last[name]
                # The first block keeps its leading 0; every later one continues where the last ended.
                arrays[name] = ends if not columns else ends[1:]
                last[name] = int(ends[-1])
            if not columns:
                columns = {name: _Column(partial / f"{name}.npy", like) for name, like in arrays.items()}
                for column in columns.values():
                    files.callback(column.close)
            for name, column in columns.items():
                column.append(arrays[name])
    return columns


def _check_block(
    count: int, extras: Mapping[str, NDArray[np.generic]], names: Collection[str], known: Collection[str]
) -> None:
    if known and set(names) != set(known):
        raise MolftError(f"one block has the arrays {sorted(names)}, another {sorted(known)}")
    for name, values in extras.items():
        if len(values) != count or name in _GRAPH_ARRAYS:
            raise MolftError(f"{name} has {len(values)} rows; one for each of {count} molecules is needed")


def open_store(directory: Path, verify: bool = False) -> tuple[Graphs, dict[str, NDArray[np.generic]], str]:
    """Memory-map a store: its graphs, its per-molecule arrays by name, and its scheme.

    ``verify`` reads everything once and compares the sha256 of each array.
    """
    manifest_path = directory / "store.json"
    if not manifest_path.exists():
        raise MolftError(f"{directory} is no packed store: it has no store.json")
    manifest = read_json(manifest_path)
    if manifest.get("version") != VERSION:
        found = manifest.get("version")
        raise MolftError(f"{directory} has store version {found}; this molft reads version {VERSION}")
    arrays: dict[str, NDArray[Any]] = {}
    for name, known in manifest["sha256"].items():
        path = directory / f"{name}.npy"
        if verify and sha256(path) != known:
            raise MolftError(
                f"{path} is not the file that was written (sha256 differs); make the store again"
            )
        arrays[name] = _map(path)
    # Offsets are read all the time; the bulk stays on disk.
    graphs = Graphs(
        *(np.asarray(arrays.pop(n)) if n.endswith("ptr") else arrays.pop(n) for n in _GRAPH_ARRAYS)
    )
    return graphs, arrays, str(manifest["scheme"])


def _map(path: Path) -> NDArray[Any]:
    try:
        mapped: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MolftError(f"{path} can't be read ({error}); make the store again") from error
    return mapped
