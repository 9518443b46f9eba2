"""Labels of the papers in three citation networks: within each, and from one to another.

    MOLFT_DATA=... python -m tests.benchmarks.networks [--seeds 3] [--parts single multi transfer]
        [--networks acmv9 citationv1 dblpv7] [--models propagation ...]

ACMv9, Citationv1 and DBLPv7 as distributed with AdaGCN (Dai et al., TKDE 2022). Three epochs, 10 % of a
network's papers labelled, drawn by seed; a fifth of these chooses the smoothing, then all are trained on.

``single``: a paper's first label counts; tested on the other 90 %. ``multi``: all its labels count, answered
is every label of at least one half. ``transfer``: 10 % of the source's papers labelled, tested on all papers
of the target, of which no label is seen; a paper gets as many labels as it has, which is how AdaGCN's
published code counts.

Beside the network stand logistic regressions on the raw attributes and on attributes averaged over two hops,
trained on the same papers. Rows go to data/results/networks.csv; those that stand there are not measured
again. Prints means and standard deviations over seeds.
"""

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molft.data.network import Network
from molft.data.network_files import read_network
from molft.train.resident import forget_peak, peak
from molft.use.node_scores import BASELINES, SCORES, choose_labels, fit_baseline, score_nodes
from molft.use.nodes import NodeOptions, finetune_nodes, is_several, split_nodes
from tests.benchmarks.rows import RESULTS, append_row, is_known, read_rows

TABLE = RESULTS / "networks.csv"
NETWORKS = ("acmv9", "citationv1", "dblpv7")
PARTS = ("single", "multi", "transfer")
CPU = torch.device("cpu")

# Name in the table, and the options behind it. "+ attributes" means propagated attributes beside the layers.
MODELS: dict[str, dict[str, Any]] = {
    "propagation": {},
    "GIN pre-trained + attributes": {"encoder": "default"},
    "GIN pre-trained, frozen + attributes": {"encoder": "default", "frozen": True},
    "GIN from scratch + attributes": {"encoder": "none"},
    "GIN pre-trained": {"encoder": "default", "skip": False},
    "GIN pre-trained, frozen": {"encoder": "default", "frozen": True, "skip": False},
    "GIN from scratch": {"encoder": "none", "skip": False},
}
FIELDS = (
    "part", "source", "target", "model", "seed", "valid_weighted_f1", *SCORES, "smoothing", "seconds",
    "peak_mb",
)  # fmt: skip


def answers_of(
    model: str, source: Network, target: Network, options: NodeOptions
) -> tuple[np.ndarray, dict[str, object]]:
    """Probabilities for the target's nodes, and what was measured on the way."""
    if model in BASELINES:
        several = is_several(source, options.labels)
        train, valid, _ = split_nodes(source, options.train_fraction, options.valid_fraction, options.seed)
        found = fit_baseline(model, source, np.concatenate([train, valid]), target, several)
        assert found is not None
        return found, {}
    result = finetune_nodes(source, replace(options, **MODELS[model]), None if target is source else target)
    valid_f1 = result.record["validation"]["weighted_f1"]
    return result.probabilities, {
        "valid_weighted_f1": f"{valid_f1:.4f}",
        "smoothing": result.record["smoothing"],
    }


def measure(part: str, model: str, source: Network, target: Network, seed: int) -> dict[str, object]:
    """Scores of one model and seed."""
    labels = "single" if part == "single" else "multi"
    options = NodeOptions(labels=labels, seed=seed, baselines=False)
    forget_peak(CPU)
    started = time.perf_counter()
    answers, facts = answers_of(model, source, target, options)
    seconds = time.perf_counter() - started
    test = target.labelled if part == "transfer" else split_nodes(source, 0.1, 0.2, seed)[2]
    truth, several = target.labels[test], labels == "multi"
    counts = truth.sum(axis=1, dtype=np.int64) if part == "transfer" else None
    scores = score_nodes(truth, choose_labels(answers[test], several, counts), several)
    return {
        **facts,
        **{name: f"{value:.4f}" for name, value in scores.items()},
        "seconds": f"{seconds:.1f}",
        "peak_mb": f"{peak(CPU) / 1e6:.0f}",
    }


def settings(parts: list[str], names: list[str]) -> Iterator[tuple[str, str, str, str]]:
    """Part, source, target and model of each row of a seed; the plainest first."""
    for part in parts:
        pairs = permutations(names, 2) if part == "transfer" else zip(names, names, strict=True)
        among = list(MODELS) if part == "single" else list(MODELS)[:3]
        for source, target in pairs:
            for model in (*BASELINES, *among):
                yield part, source, target, model


def print_means() -> None:
    """Mean and standard deviation over seeds of each setting in the table."""
    found = defaultdict(list)
    for row in read_rows(TABLE):
        found[row["part"], row["source"], row["target"], row["model"]].append(row)
    for (part, source, target, model), rows in found.items():
        told = " ".join(
            f"{name} {np.mean(values):.3f}±{np.std(values):.3f}"
            for name in SCORES
            for values in [[float(row[name]) for row in rows]]
        )
        print(f"{part} {source} -> {target} | {model} | {len(rows)} seeds: {told}")


def main() -> None:
    """Measure what is missing, then print the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--models", nargs="*", help="Only these of the table.")
    chosen = parser.parse_args()
    folder = Path(os.environ["MOLFT_DATA"]) / "citation"
    graphs = {name: read_network(folder / f"{name}.mat") for name in NETWORKS}
    for seed in range(chosen.seeds):
        for part, source, target, model in settings(chosen.parts, chosen.networks):
            key = {"part": part, "source": source, "target": target, "model": model, "seed": seed}
            if is_known(TABLE, key) or (chosen.models and model not in chosen.models):
                continue
            append_row(TABLE, FIELDS, {**key, **measure(part, model, graphs[source], graphs[target], seed)})
    print_means()


if __name__ == "__main__":
    main()
