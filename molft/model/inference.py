"""Molecule vectors of a finished GIN, each surrounding computed once and nothing that could be folded.

The function of ``readout(encoder(batch))`` in eval mode, exactly but for rounding, in another order of work:

* an atom's state after k layers depends on its k-bond surroundings alone, so each distinct one of a block is
  computed once (:mod:`molft.model.environments`, which says how improbable a collision is);
* batch normalisation is part of the second matrix of a layer;
* the last layer ends in a matrix without a ReLU, so its mean (or sum) over atoms is taken before the product:
  one row a molecule in place of one an atom;
* what recurs from block to block of a library can be kept (:mod:`molft.model.recurring`);
* the perceptron goes over rows in pieces that stay in the cache; in 16 bits, where products are quick enough
  for everything around them to count, bias and ReLU are part of the product, and so are the bonds, as columns
  beside the neighbours' sum that would be padded with zeros anyway.

What is shared depends on molecules and layer count alone: an ensemble finds it once and runs each member
over it. Encoders and readouts for which this doesn't hold are told by :func:`folds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molft.errors import MolftError
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder
from molft.model.environments import colour_rows, group_atoms, reduce_topology, refine
from molft.model.half import linear, padded_rows
from molft.model.readout import Mean, MeanAndSum, Sum, join_sum
from molft.model.recurring import Recalled, Recurring, recall_layers
from molft.model.summary import Summary
from molft.model.tables import stack_tables, stacked_rows
from molft.model.topology import GraphBatch, Topology, aggregate, build_topology, sum_lists

_TILE = 32  # numbers of a row that the units for 16 bits take at a time
_PIECE = 1024  # rows of the perceptron at a time: a piece of the hidden layer takes 2.4 MB at width 300
_SAME_PIECE = 512  # the same where states are kept, whose rounding mustn't depend on the number of rows
_FOLDING_JK = ("last", "sum", "concat")


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The distinct surroundings in a block of molecules, layer by layer.

    Shapes: rows int64 [U0, Fa], table rows of each distinct atom; layers, neighbour lists from the
    surroundings of one depth to those of the next; members int64 [N] for depths 0 to L, the surrounding of
    each atom; starts int64 [B] first atom of each molecule; atoms float [B] number of its atoms. Where states
    are kept from block to block, ``recalled`` says of each layer but the last which are, and ``layers`` have
    the others only.
    """

    rows: Tensor
    layers: tuple[Topology, ...]
    members: tuple[Tensor, ...]
    starts: Tensor
    atoms: Tensor
    recalled: tuple[Recalled, ...] = ()


@torch.no_grad()
def find_surroundings(
    batch: GraphBatch, config: EncoderConfig, recurring: Recurring | None = None
) -> Surroundings:
    """Group the atoms of a block by their surroundings of 0 to ``config.layers`` bonds.

    The atoms must be sorted by molecule. A code outside its table is a :class:`MolftError`. ``recurring`` has
    the states of networks for which :func:`recurs` holds.
    """
    topology = build_topology(batch, config.bond_sizes, config.loop_bond)
    rows = stacked_rows(batch.atoms, config.atom_sizes, "atom")
    colours, bonds = colour_rows(rows), colour_rows(topology.rows)
    names, groups = [colours], [group_atoms(colours)]
    for _ in range(config.layers):
        names.append(refine(names[-1], bonds, topology))
        groups.append(group_atoms(names[-1]))
    if recurring is None:
        layers = [reduce_topology(topology, before, after) for before, after in pairwise(groups)]
        recalled: list[Recalled] = []
    else:
        layers, recalled = recall_layers(topology, groups, names, recurring)
    first, members = rows.index_select(0, groups[0].atoms), tuple(group.members for group in groups)
    counts = torch.bincount(batch.graph, minlength=batch.size)
    starts = counts.cumsum(0) - counts
    return Surroundings(first, tuple(layers), members, starts, counts.float(), tuple(recalled))


@dataclass(frozen=True, eq=False)
class FoldedLayer:
    """One convolution with its normalisation.

    Shapes: bonds [K, D], first [D, H], shift [H], second [H, D], bias [D].
    """

    bonds: Tensor
    first: Tensor
    shift: Tensor
    second: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class HalfLayer:
    """The same in 16 bits, for rows of W >= D + K numbers: the neighbours' sum, zeros, and the bond counts.

    W and H are multiples of what the units take at a time; a number that is only there for that is zero.

    Shapes: first [H, W], shift [H], second [W, H], bias [W]; the rows of ``second`` beyond D are zeros.
    """

    first: Tensor
    shift: Tensor
    second: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class FoldedEncoder:
    """A GIN encoder for :func:`read_molecules`; later changes of the encoder don't reach it.

    ``summary`` is the summary of molecules with its normalisation, of an encoder in 16 bits that has one.

    Shapes: atoms [A, D], of :class:`HalfLayer` [A, W] with zeros beyond D; summary [S, P] and [S].
    """

    config: EncoderConfig
    atoms: Tensor
    layers: tuple[FoldedLayer | HalfLayer, ...]
    summary: tuple[Tensor, Tensor] | None = None


def folds(encoder: Encoder, readout: nn.Module) -> bool:
    """Whether :func:`read_molecules` can stand for ``readout(encoder(batch))``, by their types.

    The convolution must depend on surroundings alone and be a perceptron; the readout must be linear in the
    atoms' states, and so must be the way in which layers are combined.
    """
    adds_up = type(readout) in (Mean, Sum, MeanAndSum)
    return encoder.config.conv == "gin" and encoder.config.jk in _FOLDING_JK and adds_up


def recurs(encoder: FoldedEncoder) -> bool:
    """Whether states can be kept from block to block: in 32 bits, where the last layer's alone are read.

    In 16 bits they are computed sooner than looked up.
    """
    return encoder.config.jk == "last" and not isinstance(encoder.layers[0], HalfLayer)


@torch.no_grad()
def fold(encoder: Encoder, half: bool = False) -> FoldedEncoder:
    """The weights in eval mode, normalisation folded in; another kind than GIN is a :class:`MolftError`.

    With ``half`` layers are computed in 16 bits (:mod:`molft.model.half`): vectors are off by about 1 %.
    """
    if encoder.config.conv != "gin":
        raise MolftError(f"an encoder of {encoder.config.conv!r} layers can't be folded; only 'gin' can")
    sizes, atoms = encoder.config.bond_sizes, encoder.atom_table().detach().clone()
    layers = tuple(
        _fold_layer(conv, cast(nn.BatchNorm1d, norm), sizes)
        for conv, norm in zip(encoder.gnns, encoder.batch_norms, strict=True)
    )
    if not half:
        float32 = tuple(
            FoldedLayer(*(part.detach().to(atoms.dtype, copy=True).contiguous() for part in parts))
            for parts in layers
        )
        return FoldedEncoder(encoder.config, atoms, float32)
    width = _whole_tiles(encoder.config.width + sum(sizes))
    atoms = F.pad(atoms, (0, width - atoms.shape[1]))
    halves = tuple(_halve_layer(width, *parts) for parts in layers)
    return FoldedEncoder(encoder.config, atoms, halves, _halve_summary(encoder.summary))


def _whole_tiles(width: int) -> int:
    return -(-width // _TILE) * _TILE


def _fold_layer(conv: nn.Module, norm: nn.BatchNorm1d, bond_sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """What :class:`FoldedLayer` holds."""
    mlp = cast(nn.Sequential, conv.mlp)
    first, second = cast(nn.Linear, mlp[0]), cast(nn.Linear, mlp[2])
    weight, bias = _fold_norm(second, norm)
    return (
        stack_tables(conv, "edge_embedding", bond_sizes),
        first.weight.detach().t(),
        first.bias.detach(),
        weight.t(),
        bias,
    )


def _fold_norm(linear: nn.Linear, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a linear map with the normalisation after it, in 64 bits, to be rounded once."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight.double() / (variance.double() + norm.eps).sqrt()
    bias = (linear.bias.double() - mean.double()) * scale + norm.bias.double()
    return linear.weight.double() * scale.unsqueeze(1), bias


def _halve_layer(
    width: int, bonds: Tensor, first: Tensor, shift: Tensor, second: Tensor, bias: Tensor
) -> HalfLayer:
    """The layer for rows of ``width`` numbers; what a bond adds goes through the first matrix beforehand."""
    first = first.double()
    between = first.new_zeros(width - len(first) - len(bonds), first.shape[1])
    more = _whole_tiles(len(shift)) - len(shift)
    parts = (
        F.pad(torch.cat([first, between, bonds.double() @ first]).t(), (0, 0, 0, more)),
        F.pad(shift, (0, more)),
        F.pad(second.t(), (0, more, 0, width - second.shape[1])),
        F.pad(bias, (0, width - len(bias))),
    )
    return HalfLayer(*(part.bfloat16().contiguous() for part in parts))


def _halve_summary(summary: Summary | None) -> tuple[Tensor, Tensor] | None:
    """What :class:`FoldedEncoder` holds of it."""
    if summary is None:
        return None
    weight, bias = _fold_norm(summary.linear, summary.norm)
    return weight.bfloat16().contiguous(), bias.bfloat16()


def summarize(encoder: FoldedEncoder, pooled: Tensor) -> Tensor | None:
    """The encoder's summary of molecules (:meth:`molft.model.encoder.Encoder.summarize`) if it has one here.

    Shapes: pooled [B, P], out [B, S].
    """
    if encoder.summary is None:
        return None
    weight, bias = encoder.summary
    return _multiply_few(pooled, weight, bias, relu=True)


def _multiply_few(x: Tensor, weight: Tensor, bias: Tensor, relu: bool = False) -> Tensor:
    """:func:`molft.model.half.linear` from 32 bits to 32, its rows padded to one of few numbers."""
    rows = len(x)
    narrow = F.pad(x.bfloat16(), (0, 0, 0, padded_rows(rows) - rows))
    return linear(narrow, weight, bias, relu)[:rows].float()


@torch.no_grad()
def read_molecules(
    encoder: FoldedEncoder, found: Surroundings, readout: Sum, kept: Tensor | None = None
) -> Tensor:
    """What the readout makes of each molecule's atoms, by mean, sum or both; zeros for one without atoms.

    ``found`` must come from :func:`find_surroundings` with the encoder's config; if that was given states to
    recall, ``kept`` are those of this encoder, to which new ones are added.

    Shapes: kept [rows, D], out [B, D], wider for ``jk="concat"`` and for both.
    """
    if isinstance(readout, MeanAndSum):
        return join_sum(read_molecules(encoder, found, Mean(readout.width // 2), kept), found.atoms)
    width, last = encoder.config.width, len(encoder.layers) - 1
    keep = encoder.config.jk != "last"
    states = F.embedding_bag(found.rows, encoder.atoms, mode="sum")
    if isinstance(encoder.layers[0], HalfLayer):
        states = states.bfloat16()
    pooled = [_pool(states, found, 0, readout)[:, :width]] if keep else []
    for number, (layer, topology) in enumerate(zip(encoder.layers, found.layers, strict=True)):
        if kept is not None and number < last:
            states = _recall(layer, states, topology, found.recalled[number], kept)
            continue
        total = _receive(layer, states, topology)
        if number < last:
            states = _run_layer(layer, total)
            if keep:
                pooled.append(_pool(states, found, number + 1, readout)[:, :width])
            continue
        summary = _pool(_widen(layer, total), found, number + 1, readout)
        weight = (found.atoms.clamp(max=1) if isinstance(readout, Mean) else found.atoms).unsqueeze(1)
        if isinstance(layer, HalfLayer):
            out = _multiply_few(summary, layer.second, torch.zeros_like(layer.bias))
            pooled.append((out + layer.bias * weight)[:, :width])
        else:
            pooled.append(summary @ layer.second + layer.bias * weight.to(layer.bias.dtype))
    if encoder.config.jk == "concat":
        return torch.cat(pooled, dim=1)
    return torch.stack(pooled).sum(dim=0) if len(pooled) > 1 else pooled[0]


def _receive(layer: FoldedLayer | HalfLayer, states: Tensor, topology: Topology) -> Tensor:
    """The perceptron's input.

    Shapes: states [U, D], out [U', D]; of :class:`HalfLayer` [U, W], out [R, W], R as in
    :attr:`Topology.padded`.
    """
    if isinstance(layer, FoldedLayer):
        return aggregate(states, layer.bonds, topology)
    starts, counts = topology.padded
    total = sum_lists(states, (topology.neighbours, starts), None)
    total[:, total.shape[1] - counts.shape[1] :] = counts
    return total


def _widen(layer: FoldedLayer | HalfLayer, total: Tensor) -> Tensor:
    """The hidden layer.

    Shapes: total [U, D], out [U, H].
    """
    if isinstance(layer, HalfLayer):
        return linear(total, layer.first, layer.shift, relu=True)
    return torch.addmm(layer.shift, total, layer.first).relu_()


def _run_layer(layer: FoldedLayer | HalfLayer, total: Tensor) -> Tensor:
    """The perceptron and the ReLU after it; in 32 bits in place of its input, piece by piece.

    Shapes: total [U, D], out [U, D].
    """
    if isinstance(layer, HalfLayer):
        return linear(_widen(layer, total), layer.second, layer.bias, relu=True)
    for start in range(0, len(total), _PIECE):
        piece = total[start : start + _PIECE]
        torch.addmm(layer.bias, _widen(layer, piece), layer.second, out=piece).relu_()
    return total


def _recall(
    layer: FoldedLayer | HalfLayer, states: Tensor, topology: Topology, recalled: Recalled, kept: Tensor
) -> Tensor:
    """The states that a layer computes, then those that it recalls; new ones are put with these.

    Shapes: states [U, D], kept [rows, D], out [U' + R, D].
    """
    assert isinstance(layer, FoldedLayer)  # noqa: S101  (see recurs)
    total, counts = sum_lists(states, (topology.neighbours, topology.starts), None), topology.counts
    rows = len(total)
    out = total.new_empty(rows + len(recalled.rows), total.shape[1])
    if rows < _SAME_PIECE:
        total, counts = (F.pad(part, (0, 0, 0, _SAME_PIECE - rows)) for part in (total, counts))
    for start in range(0, rows, _SAME_PIECE):
        # The last piece begins within the one before it: all have the same number of rows.
        begin = min(start, len(total) - _SAME_PIECE)
        end = begin + _SAME_PIECE
        piece = torch.addmm(total[begin:end], counts[begin:end], layer.bonds)
        piece = torch.addmm(layer.bias, _widen(layer, piece), layer.second).relu_()
        out[begin : min(end, rows)] = piece[: rows - begin]
    torch.index_select(kept, 0, recalled.rows, out=out[rows:])
    kept[recalled.first : recalled.first + len(recalled.places)] = out.index_select(0, recalled.places)
    return out


def _pool(states: Tensor, found: Surroundings, depth: int, readout: Sum) -> Tensor:
    """Mean or sum over the atoms of each molecule, in 32 bits or more.

    Shapes: states [U, X], out [B, X].
    """
    mode = "mean" if isinstance(readout, Mean) else "sum"
    out = F.embedding_bag(found.members[depth], states, found.starts, mode=mode)
    return out.float() if out.dtype == torch.bfloat16 else out
