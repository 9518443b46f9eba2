"""What a fine-tuning on one network will need of memory, and how it is made to fit a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import scipy.sparse as sp
import torch

from molft.data.network import Network
from molft.errors import MolftError
from molft.model.node_network import NodeConfig
from molft.train.resident import format_memory, used

_LINK_BYTES = 24  # of one pair in a hop, its arrays and those of a step on the way to it
_MOST_ROWS = 8192


@dataclass(frozen=True)
class MemoryPlan:
    """Neighbours drawn in each hop, nodes at a time in inference, and the expected peak in bytes."""

    fanouts: tuple[int, ...]
    rows: int
    expected: int


def fit_memory(
    network: Network, config: NodeConfig, fanouts: Sequence[int], batch_size: int, budget: int | None
) -> MemoryPlan:
    """The memory plan of a run; under a ``budget`` in bytes fewer nodes at a time, then fewer neighbours.

    What inference does at a time changes no result; how many neighbours are drawn does, and is told. A
    budget too small even so is a :class:`MolftError` that says what is needed.
    """
    present, rows, drawn = used(torch.device("cpu")), _MOST_ROWS, list(fanouts)
    while True:
        expected = present + max(
            _inference_bytes(network, config, rows), _step_bytes(network, config, drawn, batch_size)
        )
        if budget is None or expected <= budget:
            return MemoryPlan(tuple(drawn), rows, expected)
        if _inference_bytes(network, config, rows) > budget - present and rows > 256:
            rows //= 2
        elif _step_bytes(network, config, drawn, batch_size) > budget - present and max(drawn) > 1:
            drawn = [max(1, fanout // 2) for fanout in drawn]
        else:
            raise MolftError(
                f"--memory {format_memory(budget)}: about {format_memory(expected)} are needed, "
                f"{format_memory(present)} of them for the network as it was read; give more, or a smaller "
                "--width"
            )


def _inference_bytes(network: Network, config: NodeConfig, rows: int) -> int:
    """Two states of all nodes, a chunk on the way, and the answers being smoothed."""
    states = 2 * config.paths * network.nodes * config.width * 4
    links = rows * (len(network.neighbours) / max(network.nodes, 1) + 1)
    chunk = links * _LINK_BYTES + rows * config.width * 4 * 8
    smoothing = len(network.neighbours) * 12 + network.nodes * (16 + config.classes * 4 * 6)
    return int(max(states + chunk, smoothing))


def _step_bytes(network: Network, config: NodeConfig, fanouts: Sequence[int], batch_size: int) -> int:
    """Parameters with gradient and two moments, and a block of the largest size with what it keeps."""
    senders, total = batch_size, 0.0
    kept = 10 if config.encoder == "gin" else 3
    for fanout in fanouts:
        pairs = senders * (fanout + 1)
        senders = min(pairs, network.nodes)
        total += min(pairs, len(network.neighbours) + network.nodes) * _LINK_BYTES
        total += senders * config.width * 4 * kept
    words = network.attributes.nnz if sp.issparse(network.attributes) else 0
    total += senders * (words / max(network.nodes, 1)) * 24
    return int(total + 4 * 4 * config.attributes * config.width)
