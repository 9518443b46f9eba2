"""A finished network in plain tensor operations: one message for each directed bond, and nothing else.

:class:`molft.model.network.Network` answers faster, but by lists, hashes and checks that depend on the values
in a batch; other runtimes (ONNX) know gather, scatter and matrix products. This is the same function in eval
mode, of the layers as Hu et al. (ICLR 2020) wrote them, with the network's own weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from molft.errors import MolftError
from molft.model.gat import HEADS, SLOPE
from molft.model.network import Network
from molft.model.readout import Mean, MeanAndSum, Sum, join_sum


class EdgewiseNetwork(nn.Module):
    """The function of a network in eval mode; another readout than sum or mean is a :class:`MolftError`."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        if type(network.pool) not in (Sum, Mean, MeanAndSum):
            name = type(network.pool).__name__.lower()
            raise MolftError(f"a network with readout {name} can't be written edge by edge; sum and mean can")
        self.network = network
        config = network.encoder.config
        self.conv = CONVS[config.conv]
        self.register_buffer("loop", torch.tensor([config.loop_bond]))

    def forward(self, atoms: Tensor, bonds: Tensor, edge_index: Tensor, graph: Tensor) -> Tensor:
        """Raw outputs: logits for classes, values for regression.

        Shapes: int64 atoms [N, Fa], N at least 1; bonds [E, Fb]; edge_index [2, E], row 0 receives; graph [N]
        molecule of each atom. Out [B, T], B the highest molecule + 1; in one without atoms the mean is 0.
        """
        encoder, size = self.network.encoder, atoms.shape[0]
        itself = torch.arange(size)
        pairs = torch.cat([edge_index, torch.stack([itself, itself])], dim=1)
        bonds = torch.cat([bonds, cast(Tensor, self.loop).expand(size, -1)])
        states = [add_rows(encoder, "x_embedding", atoms)]
        for number, (layer, norm) in enumerate(zip(encoder.gnns, encoder.batch_norms, strict=True)):
            vectors = add_rows(layer, "edge_embedding", bonds)
            out = norm(self.conv(layer, states[-1], vectors, pairs))
            states.append(out if number == encoder.config.layers - 1 else F.relu(out))
        molecules = cast(int, graph.max().item()) + 1
        torch._check(molecules >= 1)
        values = encoder.combine(states)
        pooled = scatter_sum(values, graph, molecules)
        if type(self.network.pool) is not Sum:
            count = scatter_sum(torch.ones_like(values[:, :1]), graph, molecules)
            pooled = pooled / count.clamp(min=1)
            if isinstance(self.network.pool, MeanAndSum):
                pooled = join_sum(pooled, count.squeeze(1))
        answer: Tensor = self.network.head(self.network.describe(pooled))
        return answer


def add_rows(module: nn.Module, prefix: str, codes: Tensor) -> Tensor:
    """Sum of the rows of tables ``<prefix>1..k`` that the codes name.

    Shapes: codes int64 [X, k], out [X, D].
    """
    columns = range(codes.shape[1])
    rows = [F.embedding(codes[:, k], module.get_parameter(f"{prefix}{k + 1}.weight")) for k in columns]
    return torch.stack(rows).sum(dim=0)


def scatter_sum(values: Tensor, group: Tensor, size: int) -> Tensor:
    """Sum of the rows of each group; a group without rows gives zeros.

    Shapes: values [X, D], group int64 [X], out [size, D].
    """
    # Not index_add, which ONNX has no operator for but one that may add in any order.
    index = group.unsqueeze(1).expand(-1, values.shape[1])
    return values.new_zeros(size, values.shape[1]).scatter_add(0, index, values)


def _gin(layer: nn.Module, states: Tensor, vectors: Tensor, pairs: Tensor) -> Tensor:
    total = scatter_sum(states[pairs[1]] + vectors, pairs[0], states.shape[0])
    return cast(Tensor, cast(nn.Module, layer.mlp)(total))


def _gcn(layer: nn.Module, states: Tensor, vectors: Tensor, pairs: Tensor) -> Tensor:
    values = cast(nn.Module, layer.linear)(states)
    scale = scatter_sum(torch.ones_like(vectors[:, :1]), pairs[0], states.shape[0]).rsqrt()
    messages = scale[pairs[0]] * scale[pairs[1]] * (values[pairs[1]] + vectors)
    return scatter_sum(messages, pairs[0], states.shape[0])


def _sage(layer: nn.Module, states: Tensor, vectors: Tensor, pairs: Tensor) -> Tensor:
    values = cast(nn.Module, layer.linear)(states)
    return F.normalize(scatter_sum(values[pairs[1]] + vectors, pairs[0], states.shape[0]))


def _gat(layer: nn.Module, states: Tensor, vectors: Tensor, pairs: Tensor) -> Tensor:
    size, width = states.shape
    values = cast(nn.Module, layer.weight_linear)(states).view(-1, HEADS, width)
    sent = values[pairs[1]] + vectors.view(-1, HEADS, width)
    logits = (torch.cat([values[pairs[0]], sent], dim=2) * cast(Tensor, layer.att)).sum(dim=2)
    logits = F.leaky_relu(logits, SLOPE)
    index = pairs[0].unsqueeze(1).expand(-1, HEADS)
    highest = logits.new_full((size, HEADS), -1e30).scatter_reduce(0, index, logits, "amax")
    weights = (logits - highest[pairs[0]]).exp()
    share = weights / scatter_sum(weights, pairs[0], size)[pairs[0]]
    heads = scatter_sum((sent * share.unsqueeze(2)).flatten(1), pairs[0], size).view(-1, HEADS, width)
    return heads.mean(dim=1) + cast(Tensor, layer.bias)


CONVS: dict[str, Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]] = {
    "gin": _gin,
    "gcn": _gcn,
    "graphsage": _sage,
    "gat": _gat,
}
