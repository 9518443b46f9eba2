"""What message passing needs to know of a batch, computed once and shared by all layers.

With sum aggregation and no non-linearity on the message, one message-passing step of Hu et al. is
``(A + I) h + C T``: neighbour states plus self, and per-atom counts ``C`` of bond codes (the self-loop's
among them) times the stacked bond tables ``T``. No tensor with one row per bond is ever made, and since
``A`` is symmetric the backward pass is the same product again.

Of the forms of the product on a CPU, neighbour lists summed by ``embedding_bag`` with 32-bit indices are the
fastest, forward and backward; ``tests/benchmarks/train_step.py`` gives the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from molft.errors import MolftError
from molft.model.half import padded_rows
from molft.model.tables import stacked_rows


class GraphBatch(Protocol):
    """Molecules as one disconnected graph; what :class:`molft.data.batch.Batch` provides."""

    @property
    def atoms(self) -> Tensor:
        """Atom codes, int64 [N, Fa]."""

    @property
    def bonds(self) -> Tensor:
        """Codes of directed bonds, int64 [E, Fb]; rows 2b and 2b+1 are equal."""

    @property
    def edge_index(self) -> Tensor:
        """Ends of directed bonds, int64 [2, E]; columns 2b and 2b+1 are the two directions of bond b."""

    @property
    def graph(self) -> Tensor:
        """Molecule of each atom, int64 [N]."""

    @property
    def size(self) -> int:
        """Number of molecules B, those without atoms included."""


@dataclass(frozen=True, eq=False)
class Topology:
    """Neighbour lists and bond-code counts of a batch.

    A pair is a directed bond or an atom with itself (P = E + N pairs), sorted by the receiving atom.

    Shapes: neighbours int32 [P] sending atom of each pair; starts int32 [N] first pair of each atom;
    receivers int64 [P]; rows int64 [P, k] rows of the stacked bond table; counts float [N, K] how often
    each of these K rows occurs among an atom's pairs. ``senders`` is the number of rows that are sent, where
    these are not the atoms themselves and the matrix isn't symmetric.
    """

    neighbours: Tensor
    starts: Tensor
    receivers: Tensor
    rows: Tensor
    counts: Tensor
    senders: int | None = None

    @property
    def atoms(self) -> int:
        """Number of atoms N."""
        return self.starts.shape[0]

    @cached_property
    def degrees(self) -> Tensor:
        """Pairs of each atom (its degree + 1), float [N]."""
        return torch.bincount(self.receivers, minlength=self.atoms).to(self.counts.dtype)

    @cached_property
    def transposed(self) -> tuple[Tensor, Tensor]:
        """Neighbours int32 [P] and starts int32 of the transposed product, which is the backward pass."""
        if self.senders is None:
            return self.neighbours, self.starts
        ordered, order = self.neighbours.sort(stable=True)
        rows = torch.arange(self.senders, dtype=torch.int32, device=ordered.device)
        return self.receivers[order].int(), torch.searchsorted(ordered, rows, out_int32=True)

    @cached_property
    def padded(self) -> tuple[Tensor, Tensor]:
        """Starts int32 [R] and counts bfloat16 [R, K] with rows added that nothing belongs to.

        R is one of few numbers (:func:`molft.model.half.padded_rows`).
        """
        more = padded_rows(self.atoms) - self.atoms
        starts = F.pad(self.starts, (0, more), value=len(self.neighbours))
        return starts, F.pad(self.counts.bfloat16(), (0, 0, 0, more))

    @cached_property
    def norms(self) -> Tensor:
        """``(d_i d_j)^(-1/2)`` of each pair, float [P] (Kipf & Welling, ICLR 2017)."""
        scale = self.degrees.rsqrt()
        return scale[self.receivers] * scale[self.neighbours]

    @cached_property
    def normed_counts(self) -> Tensor:
        """Bond-code counts weighted by :attr:`norms`, float [N, K]."""
        return count_rows(self.receivers, self.rows, self.counts.shape, self.norms)


def count_rows(receivers: Tensor, rows: Tensor, shape: Sequence[int], weights: Tensor) -> Tensor:
    """Weighted count of each table row among the pairs of each atom.

    Shapes: receivers [P], rows [P, k], weights [P], out [N, K] where ``shape`` is (N, K).
    """
    cells = receivers.unsqueeze(1) * shape[1] + rows
    out = weights.new_zeros(shape[0] * shape[1])
    out.index_add_(0, cells.flatten(), weights.unsqueeze(1).expand_as(cells).flatten())
    return out.view(shape[0], shape[1])


def build_topology(
    batch: GraphBatch, bond_sizes: Sequence[int], loop_bond: Sequence[int], dtype: torch.dtype = torch.float32
) -> Topology:
    """Neighbour lists and counts of a batch, self-loops with code ``loop_bond`` included.

    A batch whose directed bonds don't come in pairs of opposite directions with equal codes is a
    :class:`MolftError`: the backward pass relies on it.
    """
    first, second = batch.edge_index[:, 0::2], batch.edge_index[:, 1::2].flip(0)
    if not (first.shape == second.shape and torch.equal(first, second)) or not torch.equal(
        batch.bonds[0::2], batch.bonds[1::2]
    ):
        raise MolftError(
            "columns 2b and 2b+1 of edge_index must be the two directions of bond b, with equal bond codes"
        )
    size, device = batch.atoms.shape[0], batch.atoms.device
    loops = torch.arange(size, device=device)
    receivers = torch.cat([batch.edge_index[0], loops])
    order = stable_order(receivers)
    receivers = receivers.index_select(0, order)
    lengths = torch.bincount(receivers, minlength=size)
    neighbours = torch.cat([batch.edge_index[1], loops]).index_select(0, order)
    loop_rows = torch.tensor([list(loop_bond)], device=device).expand(size, -1)
    rows = stacked_rows(torch.cat([batch.bonds, loop_rows]).index_select(0, order), bond_sizes, "bond")
    ones = torch.ones(len(receivers), dtype=dtype, device=device)
    return Topology(
        neighbours=neighbours.int(),
        starts=(lengths.cumsum(0) - lengths).int(),
        receivers=receivers,
        rows=rows,
        counts=count_rows(receivers, rows, (size, sum(bond_sizes)), ones),
    )


def stable_order(numbers: Tensor) -> Tensor:
    """Places of numbers below 2^31 by rising number, equal ones as they stand.

    Shapes: int64 in and out, [X].
    """
    narrow = numbers.int()  # those of 64 bits take twice as long
    if narrow.device.type != "cpu":
        return narrow.argsort(stable=True)
    # In less than half of torch's time.
    return torch.from_numpy(np.argsort(narrow.numpy(), kind="stable"))


class _Aggregate(torch.autograd.Function):
    """``S h + C T`` for a sparse ``S`` given as neighbour lists, and those of its transpose."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        states: Tensor,
        table: Tensor,
        lists: tuple[Tensor, Tensor],
        transposed: tuple[Tensor, Tensor],
        counts: Tensor,
        weights: Tensor | None,
    ) -> Tensor:
        """Shapes: states [N, D], table [K, D], counts [N, K], weights [P] or None, out [N, D]."""
        ctx.save_for_backward(*transposed, counts, weights)  # type: ignore[arg-type]
        return sum_lists(states, lists, weights).addmm_(counts, table)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the states is the product with the transpose."""
        neighbours, starts, counts, weights = ctx.saved_tensors  # type: ignore[attr-defined]
        needs_states, needs_table = ctx.needs_input_grad[:2]  # type: ignore[attr-defined]
        states = sum_lists(grad.contiguous(), (neighbours, starts), weights) if needs_states else None
        table = counts.t() @ grad if needs_table else None
        return states, table, None, None, None, None


def sum_lists(states: Tensor, lists: tuple[Tensor, Tensor], weights: Tensor | None) -> Tensor:
    """Sum of the states named by each list, weighted if asked.

    Shapes: states [N, D], lists int32 ([P], [M]), weights [P], out [M, D].
    """
    return F.embedding_bag(lists[0], states, lists[1], mode="sum", per_sample_weights=weights)


def aggregate(states: Tensor, table: Tensor, topology: Topology, normed: bool = False) -> Tensor:
    """Sum over each atom's neighbours and itself of neighbour state + bond vector: ``(A + I) h + C T``.

    With ``normed``, each term is weighted by ``(d_i d_j)^(-1/2)``; that needs the symmetric matrix.

    Shapes: states [N, D], table [K, D] (stacked bond tables), out [N, D].
    """
    counts = topology.normed_counts if normed else topology.counts
    weights = topology.norms.to(states.dtype) if normed else None
    lists = (topology.neighbours, topology.starts)
    out: Tensor = _Aggregate.apply(
        states,
        table.to(states.dtype),
        lists,
        topology.transposed if torch.is_grad_enabled() else lists,
        counts.to(states.dtype),
        weights,
    )
    return out


def aggregate_padded(states: Tensor, table: Tensor, topology: Topology) -> Tensor:
    """:func:`aggregate` in 16 bits, followed by rows of zeros.

    Shapes: states bfloat16 [N, D], table [K, D], out bfloat16 [R, D], R as in :attr:`Topology.padded`.
    """
    starts, counts = topology.padded
    lists = (topology.neighbours, starts)
    transposed = topology.transposed if torch.is_grad_enabled() else lists
    out: Tensor = _Aggregate.apply(states, table.bfloat16(), lists, transposed, counts, None)
    return out
