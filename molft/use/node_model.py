"""A trained node network with what belongs to its answers, on disk and at work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax

import molft
from molft.data.network import Network
from molft.errors import MolftError
from molft.files import read_json, write_json
from molft.model.node_network import NodeConfig, NodeNetwork
from molft.model.weights import check_fit, read_tensors, write_tensors
from molft.train.nodes import Progress, infer
from molft.use.node_scores import link_matrix

FORMAT = "molft-nodes-1"
WEIGHTS, CONFIG = "model.safetensors", "config.json"

_SMOOTHING_STEPS = 20


@dataclass(frozen=True, eq=False)
class NodeModel:
    """A node network, the names of its classes, and how its answers are smoothed.

    ``several`` says whether a node may have more than one label.
    """

    network: NodeNetwork
    classes: tuple[str, ...]
    several: bool
    smoothing: float
    facts: dict[str, Any]

    def predict(
        self,
        graph: Network,
        known: NDArray[np.int64] | None = None,
        progress: Progress | None = None,
        rows: int = 8192,
    ) -> NDArray[np.float32]:
        """Probability of each class for every node, float32 [N, C].

        ``known`` are nodes whose labels may be looked at, for smoothing. A network with other attributes
        than the model was made for is a :class:`MolftError`.
        """
        if graph.attributes.shape[1] != self.network.config.attributes:
            raise MolftError(
                f"the network has {graph.attributes.shape[1]:,} attributes, but the model was made for "
                f"{self.network.config.attributes:,}; both must have the same columns"
            )
        raw = probabilities(infer(self.network, graph, progress, rows), self.several)
        return smooth(graph, raw, known, self.smoothing)

    def save(self, directory: Path) -> None:
        """Write weights and configuration; the configuration comes last."""
        directory.mkdir(parents=True, exist_ok=True)
        digest = write_tensors(directory / WEIGHTS, self.network.state_dict(), {"format": FORMAT})
        about = {"classes": list(self.classes), "several": self.several, "smoothing": self.smoothing}
        write_json(
            directory / CONFIG,
            {
                "format": FORMAT,
                "versions": {"molft": molft.__version__, "torch": torch.__version__},
                "sha256": digest,
                "network": self.network.config.to_json(),
                **about,
                "facts": self.facts,
            },
        )


def load_node_model(directory: str | Path) -> NodeModel:
    """Open a folder made by ``molft node-finetune``; what is none, or damaged, is a :class:`MolftError`."""
    folder = Path(directory)
    record = read_json(folder / CONFIG)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise MolftError(f"{folder / CONFIG}: no model of molft node-finetune (format {FORMAT})")
    try:
        classes = tuple(str(name) for name in record["classes"])
        config, digest = NodeConfig.from_json(record["network"]), str(record["sha256"])
        several, smoothing, facts = bool(record["several"]), float(record["smoothing"]), record["facts"]
    except (KeyError, TypeError, ValueError) as error:
        raise MolftError(
            f"{folder / CONFIG}: damaged: {error!r}; copy it again from where it came"
        ) from error
    tensors, _ = read_tensors(folder / WEIGHTS, digest)
    with torch.device("meta"):
        network = NodeNetwork(config)
    check_fit(network, tensors, folder / WEIGHTS)
    network.to_empty(device="cpu").load_state_dict(tensors)
    return NodeModel(network.eval(), classes, several, smoothing, facts)


def probabilities(logits: NDArray[np.float32], several: bool) -> NDArray[np.float32]:
    """Logits [N, C] as probabilities: of each class by itself where there may be ``several``."""
    out: NDArray[np.float32] = expit(logits) if several else softmax(logits, axis=1)
    return out


def smooth(
    graph: Network, answers: NDArray[np.float32], known: NDArray[np.int64] | None, share: float
) -> NDArray[np.float32]:
    """Probabilities drawn towards those of linked nodes, float32 [N, C].

    ``known`` nodes start from their labels. Repeated ``z = share * mean(z) + (1 - share) * z_0`` over a node
    and its neighbours (Zhou et al., NIPS 2003; the last step of Huang et al., ICLR 2021). 0 changes nothing.
    """
    if not share:
        return answers
    first = answers.copy()
    if known is not None and len(known):
        rows = graph.labels[known].astype(np.float32)
        first[known] = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1) if _add_up(answers) else rows
    links, out = link_matrix(graph), first
    shares = (share / (np.diff(graph.starts) + 1)).astype(np.float32)[:, None]
    for _ in range(_SMOOTHING_STEPS):
        out = shares * (links @ out + out) + (1 - share) * first
    return out


def _add_up(answers: NDArray[np.float32]) -> bool:
    """Whether each row is a distribution over the classes."""
    return bool(len(answers)) and bool(np.allclose(answers.sum(axis=1), 1, atol=1e-4))
