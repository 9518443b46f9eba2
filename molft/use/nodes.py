"""Fine-tuning on one large network: split, train, choose, refit, score beside simple answers, write.

Nothing is chosen by test nodes: how far answers are smoothed is chosen on a validation part of the labelled
nodes, and the network is then trained anew, by the same plan, on all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray

from molft.data.network import Network
from molft.errors import MolftError
from molft.model.node_network import NodeConfig, NodeNetwork
from molft.train.nodes import NodePlan, fit_columns, infer, train_nodes
from molft.train.resident import format_memory, keep_within, peak, used
from molft.use.encoders import find_encoder
from molft.use.node_memory import MemoryPlan, fit_memory
from molft.use.node_model import NodeModel, probabilities, smooth
from molft.use.node_scores import BASELINES, choose_labels, fit_baseline, score_nodes
from molft.use.options import Reporter, Silent

SMOOTHING = (0.0, 0.5, 0.8, 0.9)
FANOUTS = (10, 5, 5, 5, 5)


@dataclass(frozen=True)
class NodeOptions:
    """What a user may choose.

    ``encoder``: ``propagation``; ``default`` or a folder, for the layers of a molecular encoder; ``none``,
    for the same layers from scratch. ``labels``: ``single`` (a node's first label counts), ``multi``, or
    ``auto``. ``smoothing`` None is chosen by validation. ``memory`` is in bytes.
    """

    encoder: str = "propagation"
    frozen: bool = False
    skip: bool = True
    layers: int | None = None
    width: int = 128
    labels: str = "auto"
    train_fraction: float = 0.1
    valid_fraction: float = 0.2
    epochs: int = 3
    batch_size: int = 32
    rate: float = 0.01
    smoothing: float | None = None
    normalise: str = "auto"
    baselines: bool = True
    seed: int = 0
    device: str = "cpu"
    memory: int | None = None


@dataclass(frozen=True, eq=False)
class NodeResult:
    """A trained model, its answers for every node of the scored network, and the record of the run.

    ``part`` says for what a node was used: ``train``, ``valid`` or ``test``, or nothing.

    Shapes: probabilities [N, C], part [N].
    """

    model: NodeModel
    probabilities: NDArray[np.float32]
    part: NDArray[np.str_]
    record: dict[str, Any]


def finetune_nodes(
    source: Network,
    options: NodeOptions | None = None,
    target: Network | None = None,
    reporter: Reporter | None = None,
) -> NodeResult:
    """Train on a share of a network's labels; score on its other labelled nodes, or on all of ``target``'s.

    A network without labels, with labels of one class, or too few of them, options that contradict each
    other and a ``target`` with other attributes are a :class:`MolftError`.
    """
    chosen, told = options or NodeOptions(), reporter or Silent()
    several = is_several(source, chosen.labels)
    train, valid, test = split_nodes(source, chosen.train_fraction, chosen.valid_fraction, chosen.seed)
    labelled, graph = np.concatenate([train, valid]), target or source
    check_same_columns(source, graph)
    if target is not None:
        test = target.labelled
    config = make_config(source, chosen)
    if chosen.memory is not None:
        keep_within(torch.device(chosen.device), chosen.memory)
    memory = fit_memory(graph, config, fanouts_of(config), chosen.batch_size, chosen.memory)
    plan = make_plan(chosen, memory)
    for note in (*source.notes, *_memory_notes(memory, config, chosen)):
        told.line(note)

    first, _ = fit_network(source, train, config, several, chosen, plan, told)
    raw = probabilities(infer(first, source, told.progress, memory.rows), several)
    share, valid_scores = choose_smoothing(source, raw, train, valid, several, chosen.smoothing)
    told.line(f"validation: weighted F1 {valid_scores['weighted_f1']:.3f} with smoothing {share:g}; now all "
              f"{len(labelled):,} labelled nodes are trained on")  # fmt: skip
    network, seconds = fit_network(source, labelled, config, several, chosen, plan, told)

    model = NodeModel(network, source.classes, several, share, {"options": asdict(chosen)})
    known = labelled if target is None else None
    answers = model.predict(graph, known, told.progress, memory.rows)
    scores = {"network": _score(graph, answers, test, several)}
    if chosen.baselines and len(test):
        for name in BASELINES:
            room = None if chosen.memory is None else chosen.memory - used(torch.device("cpu"))
            found = fit_baseline(name, source, labelled, graph, several, room)
            if found is None:
                told.line(f"logistic regression on {name}: left out, it would need too much memory")
            else:
                scores[f"logistic regression on {name}"] = _score(graph, found, test, several)
    record = {
        "nodes": graph.nodes,
        "links": len(graph.neighbours),
        "attributes": graph.attributes.shape[1],
        "classes": list(source.classes),
        "several_labels": several,
        "trained_on": len(labelled),
        "tested_on": len(test),
        "network": config.to_json(),
        "plan": asdict(plan),
        "smoothing": share,
        "validation": valid_scores,
        "test": scores,
        "seconds_per_epoch": seconds[0] / plan.epochs,
        "processor_seconds_per_epoch": seconds[1] / plan.epochs,
        "expected_bytes": memory.expected,
        "peak_bytes": peak(torch.device("cpu")),
        "options": asdict(chosen),
    }
    part = np.full(graph.nodes, "", "<U5")
    for name, nodes in (("train", train), ("valid", valid), ("test", test)):
        if target is None or name == "test":
            part[nodes] = name
    return NodeResult(model, answers, part, record)


def is_several(network: Network, labels: str) -> bool:
    """Whether nodes may have more than one label, by the option ``labels`` or by the labels themselves."""
    if labels not in ("auto", "single", "multi"):
        raise MolftError(f"labels is {labels!r}; expected auto, single or multi")
    return network.several > 0 if labels == "auto" else labels == "multi"


def split_nodes(
    network: Network, train_fraction: float, valid_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Nodes of the train, validation and test part, drawn by seed among those with a label.

    ``train_fraction`` of them are labelled for the run; of these, ``valid_fraction`` are for choosing.
    """
    if not (0 < train_fraction <= 1 and 0 < valid_fraction < 1):
        raise MolftError(
            f"the training part is {train_fraction:g} and its validation part {valid_fraction:g}; expected "
            "fractions of 1 such as 0.1 and 0.2"
        )
    nodes = network.labelled
    if not len(nodes):
        raise MolftError("no node has a label; name the labels by --labels-key")
    order = np.random.default_rng(seed).permutation(nodes)
    labelled = order[: int(len(nodes) * train_fraction)]
    valid, train = np.split(labelled, [int(len(labelled) * valid_fraction)])
    there = network.labels[train].any(axis=0)
    if len(train) < 4 or len(valid) < 1 or there.sum() < 2:
        names = ", ".join(name for name, has in zip(network.classes, there, strict=True) if has)
        raise MolftError(
            f"of {len(nodes):,} labelled nodes {len(train)} are for training, {len(valid)} for validation, "
            f"with classes {names or 'none'}; at least 4, 1 and two classes are needed: "
            "raise --train-fraction, or give more labels"
        )
    return train, valid, order[len(labelled) :]


def check_same_columns(source: Network, target: Network) -> None:
    """Refuse a target whose attributes or classes can't be those of the source."""
    for what, ours, theirs in (
        ("attributes", source.attributes.shape[1], target.attributes.shape[1]),
        ("classes", source.labels.shape[1], target.labels.shape[1] or source.labels.shape[1]),
    ):
        if ours != theirs:
            raise MolftError(
                f"the source has {ours:,} {what} and the target {theirs:,}; transfer needs the same columns, "
                "in the same order, in both"
            )


def make_config(network: Network, options: NodeOptions) -> NodeConfig:
    """The network that the options ask for."""
    normalise = options.normalise
    if normalise == "auto":
        counts = sp.issparse(network.attributes) or network.attributes.dtype.kind in "bui"
        normalise = "rows" if counts else "columns"
    base = {
        "attributes": network.attributes.shape[1],
        "classes": network.labels.shape[1],
        "normalise": normalise,
    }
    if options.encoder == "propagation":
        if options.frozen:
            raise MolftError("--frozen needs an encoder with weights: --encoder default, or a folder")
        return NodeConfig(**base, layers=options.layers or 4, width=options.width)
    theirs = find_encoder("default" if options.encoder == "none" else options.encoder)[0].config
    if options.encoder == "none" and options.frozen:
        raise MolftError("--frozen with --encoder none would keep random weights; give --encoder default")
    return NodeConfig(
        **base,
        encoder="gin",
        layers=options.layers or 2,
        width=theirs.width,
        skip=options.skip,
        bond_sizes=theirs.bond_sizes,
        loop_bond=theirs.loop_bond,
    )


def fanouts_of(config: NodeConfig) -> tuple[int, ...]:
    """Neighbours to draw in each hop, from the seeds outwards."""
    return tuple(FANOUTS[min(layer, len(FANOUTS) - 1)] for layer in range(config.layers))


def make_plan(options: NodeOptions, memory: MemoryPlan) -> NodePlan:
    """The training plan of the options."""
    return NodePlan(
        memory.fanouts,
        options.epochs,
        options.batch_size,
        options.rate,
        encoder_rate=options.rate if options.encoder == "none" else options.rate / 10,
        seed=options.seed,
    )


def fit_network(
    source: Network,
    nodes: NDArray[np.int64],
    config: NodeConfig,
    several: bool,
    options: NodeOptions,
    plan: NodePlan,
    reporter: Reporter,
) -> tuple[NodeNetwork, tuple[float, float]]:
    """A new network trained on the labels of ``nodes``, and the seconds and processor seconds it took."""
    torch.manual_seed(options.seed)
    network = NodeNetwork(config)
    if config.normalise == "columns":
        fit_columns(network, source)
    if options.encoder not in ("propagation", "none"):
        network.take_layers(find_encoder(options.encoder)[0], options.frozen)
    started, worked = time.perf_counter(), time.process_time()
    train_nodes(network.to(options.device), source, nodes, several, plan, reporter.progress)
    return network, (time.perf_counter() - started, time.process_time() - worked)


def choose_smoothing(
    graph: Network,
    raw: NDArray[np.float32],
    known: NDArray[np.int64],
    valid: NDArray[np.int64],
    several: bool,
    asked: float | None,
) -> tuple[float, dict[str, float]]:
    """The smoothing with the best weighted F1 on ``valid``, or the one asked for; and its scores there."""
    if asked is not None and not 0 <= asked < 1:
        raise MolftError(f"smoothing is {asked:g}; expected 0 (none) or a share below 1 such as 0.8")
    scores = {
        share: _score(graph, smooth(graph, raw, known, share), valid, several)
        for share in (SMOOTHING if asked is None else (asked,))
    }
    best = max(scores, key=lambda share: scores[share]["weighted_f1"])
    return best, scores[best]


def _score(
    graph: Network, answers: NDArray[np.floating], nodes: NDArray[np.int64], several: bool
) -> dict[str, float]:
    return score_nodes(graph.labels[nodes], choose_labels(answers[nodes], several), several)


def _memory_notes(memory: MemoryPlan, config: NodeConfig, options: NodeOptions) -> Iterator[str]:
    if options.memory is None:
        return
    drawn = ", ".join(map(str, memory.fanouts))
    fewer = " (fewer than without a budget)" if memory.fanouts != fanouts_of(config) else ""
    yield (
        f"memory: about {format_memory(memory.expected)} of {format_memory(options.memory)}; neighbours "
        f"drawn in each hop: {drawn}{fewer}; inference {memory.rows:,} nodes at a time"
    )
