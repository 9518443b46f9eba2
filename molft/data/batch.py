"""Packed graphs as tensors, and to and from the objects of torch-geometric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from molft.chem.graphs import Graphs, pointers
from molft.errors import MolftError

if TYPE_CHECKING:
    from torch_geometric.data import Batch as PygBatch
    from torch_geometric.data import Data


class Batch(NamedTuple):
    """B molecules as one disconnected graph.

    Shapes:
        atoms: int64 [N, Fa]; bonds: int64 [E, Fb].
        edge_index: int64 [2, E]; columns 2b and 2b + 1 are the two directions of bond b.
        graph: int64 [N], the molecule of each atom.
        size: B. A molecule without atoms counts, so it never shifts the others.
    """

    atoms: Tensor
    bonds: Tensor
    edge_index: Tensor
    graph: Tensor
    size: int

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device; from pinned memory (:meth:`pin`) without waiting for it."""
        return Batch(
            self.atoms.to(device, non_blocking=True),
            self.bonds.to(device, non_blocking=True),
            self.edge_index.to(device, non_blocking=True),
            self.graph.to(device, non_blocking=True),
            self.size,
        )

    def pin(self, on: bool = True) -> Batch:
        """The same batch in memory that a GPU can read by itself; as it is where not ``on``."""
        if not on:
            return self
        return Batch(
            self.atoms.pin_memory(),
            self.bonds.pin_memory(),
            self.edge_index.pin_memory(),
            self.graph.pin_memory(),
            self.size,
        )


def make_batch(graphs: Graphs) -> Batch:
    """All molecules of ``graphs`` as tensors."""
    size = len(graphs)
    n_atoms, n_bonds = np.diff(graphs.atom_ptr), np.diff(graphs.bond_ptr)
    ends = graphs.ends.astype(np.int64) + np.repeat(graphs.atom_ptr[:-1], n_bonds)[:, None]
    # [M, 2] to [2, 2M]: (i, j) then (j, i) for every bond, as in the SNAP code.
    edge_index = np.stack([ends, ends[:, ::-1]], axis=1).reshape(-1, 2).T
    return Batch(
        torch.from_numpy(graphs.atoms.astype(np.int64)),
        torch.from_numpy(np.repeat(graphs.bonds, 2, axis=0).astype(np.int64)),
        torch.from_numpy(np.ascontiguousarray(edge_index)),
        torch.from_numpy(np.repeat(np.arange(size), n_atoms)),
        size,
    )


def to_pyg(graphs: Graphs) -> list[Data]:
    """One torch-geometric ``Data`` per molecule: x, edge_index and edge_attr, all int64."""
    from torch_geometric.data import Data

    molecules = []
    for row in range(len(graphs)):
        one = make_batch(graphs.take([row]))
        molecules.append(
            Data(x=one.atoms, edge_index=one.edge_index, edge_attr=one.bonds, num_nodes=len(one.atoms))
        )
    return molecules


def to_pyg_batch(graphs: Graphs) -> PygBatch:
    """All molecules as one torch-geometric ``Batch``."""
    from torch_geometric.data import Batch as PygBatch

    return PygBatch.from_data_list(to_pyg(graphs))


def from_pyg(molecules: Sequence[Data]) -> Graphs:
    """Packed graphs of ``Data`` objects whose edges come in consecutive pairs (i, j), (j, i).

    Codes above 254, edges that are not paired so or that end outside the molecule are a
    :class:`MolftError` that names the molecule.
    """
    if not molecules:
        raise MolftError("no Data object given; at least one is needed to tell the number of features")
    for row, data in enumerate(molecules):
        _check_arrays(row, data, molecules[0])
        _check_pairs(row, data)
    n_atoms = np.array([len(data.x) for data in molecules])
    n_bonds = np.array([data.edge_index.shape[1] // 2 for data in molecules])
    return Graphs(
        np.concatenate([data.x.numpy() for data in molecules]).astype(np.uint8),
        np.concatenate([data.edge_attr[::2].numpy() for data in molecules]).astype(np.uint8),
        np.concatenate([data.edge_index[:, ::2].numpy().T for data in molecules]).astype(np.uint16),
        pointers(n_atoms),
        pointers(n_bonds),
    )


def _check_arrays(row: int, data: Data, first: Data) -> None:
    """The codes are small integers, as many for each atom and bond as in the first molecule."""
    for name in ("x", "edge_index", "edge_attr"):
        if getattr(data, name, None) is None:
            raise MolftError(f"Data {row} has no {name}; x, edge_index and edge_attr are needed")
    for name in ("x", "edge_attr"):
        codes, width = getattr(data, name), getattr(first, name).shape[1:]
        if codes.is_floating_point() or (codes.numel() and (int(codes.min()) < 0 or int(codes.max()) > 254)):
            raise MolftError(f"Data {row}: {name} must hold integer codes from 0 to 254, got {codes.dtype}")
        if codes.dim() != 2 or codes.shape[1:] != width:
            raise MolftError(f"Data {row}: {name} has shape {tuple(codes.shape)}, Data 0 has rows of {width}")


def _check_pairs(row: int, data: Data) -> None:
    even, odd = data.edge_index[:, ::2], data.edge_index[:, 1::2]
    paired = even.shape == odd.shape and torch.equal(even, odd.flip(0))
    paired = paired and len(data.edge_attr) == data.edge_index.shape[1]
    if not paired or not torch.equal(data.edge_attr[::2], data.edge_attr[1::2]):
        raise MolftError(
            f"Data {row}: edges must come in pairs (i, j), (j, i) with equal features; "
            "torch_geometric.utils.to_undirected sorts them otherwise, so build them bond by bond"
        )
    if even.numel() and not 0 <= int(even.min()) <= int(even.max()) < min(len(data.x), 1 << 16):
        raise MolftError(
            f"Data {row}: edges end at atoms {int(even.min())} to {int(even.max())} of {len(data.x)}"
        )
