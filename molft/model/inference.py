"""Molecule vectors of a finished GIN, each surrounding computed once and nothing that could be folded.

The function of ``readout(encoder(batch))`` in eval mode, exactly but for rounding, in another order of work:

* an atom's state after k layers depends on its k-bond surroundings alone, so each distinct one of a block is
  computed once (:mod:`molft.model.environments`, which says how improbable a collision is);
* batch normalisation is part of the second matrix of a layer;
* the last layer ends in a matrix without a ReLU, so its mean (or sum) over atoms is taken before the product:
  one row a molecule in place of one an atom;
* the perceptron goes over rows in pieces that stay in the cache.

What is shared depends on molecules and layer count alone: an ensemble finds it once and runs each member
over it. Encoders and readouts for which this doesn't hold are told by :func:`folds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molft.errors import MolftError
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder
from molft.model.environments import colour_rows, group_atoms, reduce_topology, refine
from molft.model.readout import Mean, MeanAndSum, Sum, join_sum
from molft.model.tables import stack_tables, stacked_rows
from molft.model.topology import GraphBatch, Topology, aggregate, aggregate_padded, build_topology

_PIECE = 1024  # rows of the perceptron at a time: a piece of the hidden layer takes 2.4 MB at width 300
_FOLDING_JK = ("last", "sum", "concat")


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The distinct surroundings in a block of molecules, layer by layer.

    Shapes: rows int64 [U0, Fa], table rows of each distinct atom; layers, neighbour lists from the
    surroundings of one depth to those of the next; members int64 [N] for depths 0 to L, the surrounding of
    each atom; starts int64 [B] first atom of each molecule; atoms float [B] number of its atoms.
    """

    rows: Tensor
    layers: tuple[Topology, ...]
    members: tuple[Tensor, ...]
    starts: Tensor
    atoms: Tensor


@torch.no_grad()
def find_surroundings(batch: GraphBatch, config: EncoderConfig) -> Surroundings:
    """Group the atoms of a block by their surroundings of 0 to ``config.layers`` bonds.

    The atoms must be sorted by molecule. A code outside its table is a :class:`MolftError`.
    """
    topology = build_topology(batch, config.bond_sizes, config.loop_bond)
    rows = stacked_rows(batch.atoms, config.atom_sizes, "atom")
    colours, bonds = colour_rows(rows), colour_rows(topology.rows)
    before = group_atoms(colours)
    layers, members, first = [], [before.members], rows[before.atoms]
    for _ in range(config.layers):
        colours = refine(colours, bonds, topology)
        after = group_atoms(colours)
        layers.append(reduce_topology(topology, before, after))
        members.append(after.members)
        before = after
    counts = torch.bincount(batch.graph, minlength=batch.size)
    return Surroundings(first, tuple(layers), tuple(members), counts.cumsum(0) - counts, counts.float())


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
class FoldedEncoder:
    """A GIN encoder for :func:`read_molecules`; later changes of the encoder don't reach it."""

    config: EncoderConfig
    atoms: Tensor
    layers: tuple[FoldedLayer, ...]
    half: bool = False


def folds(encoder: Encoder, readout: nn.Module) -> bool:
    """Whether :func:`read_molecules` can stand for ``readout(encoder(batch))``, by their types.

    The convolution must depend on surroundings alone and be a perceptron; the readout must be linear in the
    atoms' states, and so must be the way in which layers are combined.
    """
    linear = type(readout) in (Mean, Sum, MeanAndSum)
    return encoder.config.conv == "gin" and encoder.config.jk in _FOLDING_JK and linear


@torch.no_grad()
def fold(encoder: Encoder, half: bool = False) -> FoldedEncoder:
    """The weights in eval mode, normalisation folded in; another kind than GIN is a :class:`MolftError`.

    With ``half`` layers are computed in 16 bits (:mod:`molft.model.half`): vectors are off by about 1 %.
    """
    if encoder.config.conv != "gin":
        raise MolftError(f"an encoder of {encoder.config.conv!r} layers can't be folded; only 'gin' can")
    return FoldedEncoder(
        encoder.config,
        encoder.atom_table().detach().clone(),
        tuple(
            _fold_layer(conv, cast(nn.BatchNorm1d, norm), encoder.config.bond_sizes, half)
            for conv, norm in zip(encoder.gnns, encoder.batch_norms, strict=True)
        ),
        half,
    )


def _fold_layer(conv: nn.Module, norm: nn.BatchNorm1d, bond_sizes: Sequence[int], half: bool) -> FoldedLayer:
    mlp = cast(nn.Sequential, conv.mlp)
    first, second = cast(nn.Linear, mlp[0]), cast(nn.Linear, mlp[2])
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    # In 64 bits: scale and shift would otherwise be rounded twice.
    scale = norm.weight.double() / (variance.double() + norm.eps).sqrt()
    parts = (
        stack_tables(conv, "edge_embedding", bond_sizes),
        first.weight.t(),
        first.bias,
        (second.weight.double() * scale.unsqueeze(1)).t(),
        (second.bias.double() - mean.double()) * scale + norm.bias.double(),
    )
    dtype = torch.bfloat16 if half else second.weight.dtype
    return FoldedLayer(*(part.detach().to(dtype, copy=True).contiguous() for part in parts))


@torch.no_grad()
def read_molecules(encoder: FoldedEncoder, found: Surroundings, readout: Sum) -> Tensor:
    """What the readout makes of each molecule's atoms, by mean, sum or both; zeros for one without atoms.

    ``found`` must come from :func:`find_surroundings` with the encoder's config.

    Shapes: out [B, D], wider for ``jk="concat"`` and for both.
    """
    if isinstance(readout, MeanAndSum):
        return join_sum(read_molecules(encoder, found, Mean(readout.width // 2)), found.atoms)
    last = len(encoder.layers) - 1
    states = F.embedding_bag(found.rows, encoder.atoms, mode="sum")
    states = states.bfloat16() if encoder.half else states
    pooled = [_pool(states, found, 0, readout)] if encoder.config.jk != "last" else []
    for number, (layer, topology) in enumerate(zip(encoder.layers, found.layers, strict=True)):
        total = (aggregate_padded if encoder.half else aggregate)(states, layer.bonds, topology)
        if number == last:
            hidden = torch.addmm(layer.shift, total, layer.first).relu_()
            weight = found.atoms.clamp(max=1) if isinstance(readout, Mean) else found.atoms
            summary = _pool(hidden, found, number + 1, readout)
            second = layer.second.to(summary.dtype)
            pooled.append(summary @ second + layer.bias.to(second.dtype) * weight.unsqueeze(1))
        else:
            states = _run_pieces(layer, total)
            if encoder.config.jk != "last":
                pooled.append(_pool(states, found, number + 1, readout))
    if encoder.config.jk == "concat":
        return torch.cat(pooled, dim=1)
    return torch.stack(pooled).sum(dim=0) if len(pooled) > 1 else pooled[0]


def _run_pieces(layer: FoldedLayer, total: Tensor) -> Tensor:
    """The perceptron and the ReLU after it, in place of its input.

    Shapes: total [U, D], out [U, D].
    """
    # In 16 bits the rows are padded to a number that kernels exist for; pieces would undo that.
    size = len(total) if total.dtype == torch.bfloat16 else _PIECE
    for start in range(0, len(total), max(1, size)):
        piece = total[start : start + size]
        hidden = torch.addmm(layer.shift, piece, layer.first).relu_()
        torch.addmm(layer.bias, hidden, layer.second, out=piece).relu_()
    return total


def _pool(states: Tensor, found: Surroundings, depth: int, readout: Sum) -> Tensor:
    """Mean or sum over the atoms of each molecule, in 32 bits or more.

    Shapes: states [U, X], out [B, X].
    """
    mode = "mean" if isinstance(readout, Mean) else "sum"
    out = F.embedding_bag(found.members[depth], states, found.starts, mode=mode)
    return out.float() if out.dtype == torch.bfloat16 else out
