"""A model or encoder folder in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from molft.files import read_json
from molft.use.encoders import find_encoder
from molft.use.model import CONFIG, FORMATS, load
from molft.use.node_files import describe_nodes
from molft.use.node_model import FORMAT as NODES_FORMAT


def describe(name: str) -> str:
    """What the model folder (or encoder folder, or shipped encoder) ``name`` holds, in lines."""
    config = Path(name) / CONFIG
    record = read_json(config) if config.is_file() else None
    if isinstance(record, dict) and record.get("format") in FORMATS:
        return "\n".join(_describe_model(Path(name)))
    if isinstance(record, dict) and record.get("format") == NODES_FORMAT:
        return describe_nodes(Path(name))
    encoder, card = find_encoder(name)
    config_lines = [f"  {key}: {value}" for key, value in encoder.config.to_json().items()]
    return "\n".join([f"encoder {name}", *config_lines, "card", *_lines(card)])


def _describe_model(directory: Path) -> Iterator[str]:
    about = load(directory).about
    data, plan = about.facts["data"], about.facts["plan"]
    # A model that was fitted and saved from Python has neither a table nor a file of scores.
    metrics: dict[str, Any] = {"verdict": about.answer, "scores": {}}
    if (directory / "metrics.json").is_file():
        metrics = read_json(directory / "metrics.json")
    source = f"{data['rows']} rows"
    if "file" in data:
        source = f"{data['file']} ({source}, sha256 {data['sha256'][:12]})"
    yield f"{about.task_type} of {', '.join(about.tasks)}"
    yield f"answer: {metrics['verdict']}"
    yield f"networks: {about.members} x {about.encoder.conv} {about.encoder.layers} x {about.encoder.width}"
    yield f"trained on: {source}"
    yield f"split: {about.facts['split']}"
    yield f"plan: {plan['strategy']}; {plan['reason']}"
    for part, answers in metrics["scores"].items():
        for answer, scores in answers.items():
            told = ", ".join(
                f"{metric} {found['value']:.3f}" if found["value"] is not None else f"{metric} undefined"
                for metric, found in scores["mean"].items()
            )
            yield f"{part}, {answer}: {told}"


def _lines(values: dict[str, Any], indent: str = "  ") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        else:
            yield f"{indent}{key}: {value}"
