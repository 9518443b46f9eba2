"""Training on sampled blocks of a network, and exact inference layer by layer over all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from molft.data.blocks import Block, Hop, Sampler, full_hops
from molft.data.network import Network
from molft.errors import MolftError
from molft.model.attributes import SparseRows
from molft.model.node_network import Neighbourhood, NodeConfig, NodeNetwork
from molft.model.tables import stacked_rows
from molft.train.schedule import epoch_order, split_evenly, warmup_cosine

Progress = Callable[[str, int, int, str], None]


@dataclass(frozen=True)
class NodePlan:
    """How a node network is trained.

    ``fanouts`` from the seeds outwards, None for all neighbours; ``encoder_rate`` is the learning rate of
    pre-trained convolutions, ``rate`` that of all else.
    """

    fanouts: tuple[int | None, ...]
    epochs: int = 3
    batch_size: int = 32
    rate: float = 0.01
    encoder_rate: float = 0.001
    weight_decay: float = 0.01
    seed: int = 0


def train_nodes(
    model: NodeNetwork,
    network: Network,
    nodes: NDArray[np.int64],
    several: bool,
    plan: NodePlan,
    progress: Progress,
) -> list[float]:
    """Train on the labels of ``nodes``; gives the mean loss of each epoch.

    Cross-entropy with the node's label, or of each class by itself where nodes may have ``several``. Only a
    block at a time goes to the model's device. A loss that is not finite is a :class:`MolftError`.
    """
    rng, sampler, device = np.random.default_rng(plan.seed), Sampler(network), model.head.weight.device
    torch.manual_seed(plan.seed)
    slow = [p for p in model.gnns.parameters() if p.requires_grad]
    fast = [p for name, p in model.named_parameters() if p.requires_grad and not name.startswith("gnns.")]
    groups = [{"params": fast, "lr": plan.rate}, {"params": slow, "lr": plan.encoder_rate}]
    optimiser = torch.optim.AdamW(groups, weight_decay=plan.weight_decay)
    batches = len(split_evenly(nodes, plan.batch_size))
    steps = plan.epochs * batches
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: warmup_cosine(step, steps, max(1, steps // 5))
    )
    losses = []
    for epoch in range(plan.epochs):
        model.train()
        total, order = 0.0, nodes[epoch_order(len(nodes), plan.seed, epoch)]
        for number, seeds in enumerate(split_evenly(order, plan.batch_size), start=1):
            block = sampler.draw(seeds, plan.fanouts, rng)
            set_momentum(model, epoch * batches + number)
            logits = run_block(model, network, block)
            loss = node_loss(logits, torch.from_numpy(network.labels[seeds]).to(device), several)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            scheduler.step()
            total += float(loss.detach()) * len(seeds)
            if not np.isfinite(total):
                raise MolftError("the loss is not finite; lower --learning-rate, or look for huge attributes")
            progress(f"epoch {epoch + 1} of {plan.epochs}", number, batches, f"loss {total / len(order):.3f}"
                     if number == batches else "")  # fmt: skip
        losses.append(total / len(order))
    return losses


def set_momentum(model: NodeNetwork, step: int) -> None:
    """Let running statistics be the mean over the steps so far (from 1), from the tenth on the usual 0.1.

    A run may have twenty steps, after which a running variance that began at 1 would still be mostly that.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.momentum = max(0.1, 1 / step)


def node_loss(logits: Tensor, labels: Tensor, several: bool) -> Tensor:
    """Mean loss; without ``several``, a node's first label counts.

    Shapes: logits [M, C], labels uint8 [M, C].
    """
    if several:
        return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
    return F.cross_entropy(logits, labels.argmax(dim=1))


def run_block(model: NodeNetwork, network: Network, block: Block) -> Tensor:
    """Logits of a block's seeds.

    Shapes: out [seeds, C].
    """
    device = model.head.weight.device
    hops = [neighbourhood(hop, network, model.config, device) for hop in block.hops]
    logits: Tensor = model(attribute_rows(network, block.nodes, model.config, device), hops)
    return logits


@torch.no_grad()
def infer(
    model: NodeNetwork, network: Network, progress: Progress | None = None, rows: int = 8192
) -> NDArray[np.float32]:
    """Logits of all nodes with all neighbours, float32 [N, C]: the states of one layer after another.

    Exact, and in memory two states a node: no neighbourhood is computed twice, and ``rows`` nodes at a time
    are on the way.
    """
    model.eval()
    config, device, size = model.config, model.head.weight.device, network.nodes
    states = [torch.empty(size, config.width, device=device) for _ in range(model.paths)]
    for first in range(0, size, rows):
        part = np.arange(first, min(first + rows, size))
        for state, out in zip(
            states, model.start(attribute_rows(network, part, config, device)), strict=True
        ):
            state[first : first + len(part)] = out
    after = [torch.empty_like(state) for state in states]
    for layer in range(config.layers):
        for place, hop in full_hops(network, rows):
            outs = model.step(layer, states, neighbourhood(hop, network, config, device))
            for state, out in zip(after, outs, strict=True):
                state[place] = out
            if progress:
                done = layer * size + place.stop
                progress("inference", done // config.layers, size, "")
        states, after = after, states
    parts = [
        model.finish([state[first : first + rows] for state in states]).cpu()
        for first in range(0, size, rows)
    ]
    return torch.cat(parts).numpy() if parts else np.empty((0, config.classes), np.float32)


def attribute_rows(
    network: Network, nodes: NDArray[np.int64], config: NodeConfig, device: torch.device
) -> SparseRows | Tensor:
    """Attributes of some nodes as tensors, scaled row by row if the configuration says so.

    Shapes: nodes [M], out [M, F].
    """
    rows: Any = network.attributes[nodes]
    if not sp.issparse(rows):
        dense = torch.from_numpy(np.ascontiguousarray(rows, np.float32)).to(device)
        return F.normalize(dense) if config.normalise == "rows" else dense
    values = torch.from_numpy(rows.data.astype(np.float32))
    if config.normalise == "rows":
        squares = np.add.reduceat(np.append(rows.data.astype(np.float64) ** 2, 0.0), rows.indptr[:-1])
        # reduceat gives a row without entries the next row's first; such a row has nothing to scale.
        norms = np.sqrt(np.where(np.diff(rows.indptr) > 0, np.maximum(squares, 1e-24), 1.0))
        values /= torch.from_numpy(np.repeat(norms, np.diff(rows.indptr)).astype(np.float32))
    columns, starts = rows.indices.astype(np.int32), rows.indptr[:-1].astype(np.int32)
    out = SparseRows(torch.from_numpy(columns), values, torch.from_numpy(starts), rows.shape[1])
    return out.to(device)


def fit_columns(model: NodeNetwork, network: Network) -> None:
    """Set the projection's centre and scale to the mean and spread of a network's dense columns."""
    if sp.issparse(network.attributes):
        raise MolftError("sparse attributes can't be scaled by columns; scale rows, or give a dense array")
    values = np.asarray(network.attributes, np.float64)
    spread = values.std(axis=0)
    model.project.centre.copy_(torch.from_numpy(values.mean(axis=0)))
    model.project.scale.copy_(torch.from_numpy(1.0 / np.where(spread > 0, spread, 1.0)))


def neighbourhood(hop: Hop, network: Network, config: NodeConfig, device: torch.device) -> Neighbourhood:
    """A hop as tensors on a device, with the weights of its links' codes where the encoder reads them."""
    codes = link_weights(hop, network, config) if config.encoder == "gin" else None
    return Neighbourhood(
        torch.from_numpy(hop.senders).to(device),
        torch.from_numpy(hop.starts).to(device),
        torch.from_numpy(hop.weights).to(device),
        None if codes is None else codes.to(device),
    )


def link_weights(hop: Hop, network: Network, config: NodeConfig) -> Tensor:
    """Weight of each row of the stacked bond tables among a receiver's pairs.

    A node with itself has the loop's code; links without codes have code 0 in every column. Codes that the
    tables don't have are a :class:`MolftError`.

    Shapes: out float32 [M, K].
    """
    sizes, total = config.bond_sizes, sum(config.bond_sizes)
    loop = stacked_rows(torch.tensor([config.loop_bond]), sizes, "link")
    out = torch.zeros(len(hop.starts), total)
    own = torch.from_numpy(hop.weights[hop.starts])
    if network.link_codes is None:
        plain = stacked_rows(torch.zeros_like(loop), sizes, "link")
        out[:, plain[0]] = (1 - own).unsqueeze(1)
        out[:, loop[0]] += own.unsqueeze(1)
        return out
    out[:, loop[0]] = own.unsqueeze(1)
    linked = hop.links >= 0
    codes = torch.from_numpy(network.link_codes[hop.links[linked]].astype(np.int64))
    rows = stacked_rows(codes, sizes, "link")
    counts = np.diff(np.append(hop.starts, len(hop.senders)))
    receivers = torch.from_numpy(np.repeat(np.arange(len(counts)), counts)[linked])
    cells = receivers.unsqueeze(1) * total + rows
    weights = torch.from_numpy(hop.weights[linked]).unsqueeze(1).expand_as(cells)
    out.view(-1).index_add_(0, cells.flatten(), weights.flatten())
    return out
