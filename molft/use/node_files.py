"""What a node fine-tuning leaves in its folder: model, scores, and the answer for every node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from molft.data.network import Network
from molft.errors import MolftError
from molft.files import read_json, write_json
from molft.use.node_model import CONFIG, load_node_model
from molft.use.node_scores import Answers, choose_labels
from molft.use.nodes import NodeResult
from molft.use.output import write_rows


def check_free(directory: Path) -> None:
    """Refuse a folder that holds a finished model."""
    if (directory / CONFIG).exists():
        raise MolftError(f"{directory} holds a finished model; give another folder, or remove it")


def write_result(result: NodeResult, graph: Network, directory: Path) -> None:
    """Write model, scores and one row of answers for every node; ``config.json`` comes last."""
    check_free(directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_rows(directory / "predictions.csv", _tables(result, graph))
    write_json(directory / "metrics.json", result.record)
    result.model.save(directory)


def describe_nodes(directory: Path) -> str:
    """What a folder of ``molft node-finetune`` holds, in lines."""
    model, record = load_node_model(directory), read_json(directory / "metrics.json")
    config = model.network.config
    told = [
        f"node labels: {', '.join(model.classes)}{', several a node' if model.several else ''}",
        f"network: {config.encoder}, {config.layers} hops of width {config.width}, for {config.attributes:,} "
        f"attributes; answers smoothed by {model.smoothing:g}",
        f"trained on: {record['trained_on']:,} nodes; tested on {record['tested_on']:,}",
    ]
    for answer, scores in record["test"].items():
        if scores:
            told.append(f"{answer}: " + ", ".join(f"{name} {value:.3f}" for name, value in scores.items()))
    return "\n".join(told)


def _tables(result: NodeResult, graph: Network, rows: int = 16384) -> Iterator[pa.Table]:
    """Node, what it was used for, its labels, the answer and the probability of each class."""
    classes = result.model.classes
    answers = choose_labels(result.probabilities, result.model.several)
    for first in range(0, graph.nodes, rows):
        part = slice(first, first + rows)
        columns: dict[str, Any] = {"node": [str(node) for node in range(graph.nodes)[part]]}
        columns["part"] = result.part[part]
        if graph.labels.shape[1]:
            columns["label"] = _names(graph.labels[part], classes)
        columns["predicted"] = _names(answers[part], classes)
        for number, name in enumerate(classes):
            columns[f"p_{name}"] = result.probabilities[part, number]
        yield pa.table(columns)


def _names(table: Answers, classes: tuple[str, ...]) -> list[str]:
    names = np.array(classes)
    return [" ".join(names[row]) for row in table.astype(bool)]
