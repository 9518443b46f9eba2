"""Which strategy suits how many labels: frozen, gradual and full on subsets of MoleculeNet training parts.

    MOLFT_DATA=... python -m tests.benchmarks.strategies [--sets bace esol] [--labels 80 400] [--seeds 2]

Published SNAP scaffold split, shipped encoder, molft's plan with only the strategy changed. The epoch
is chosen on validation; both scores are printed and written to data/results/strategies.csv.
"""

import argparse
import csv
import os
from functools import partial
from pathlib import Path

import numpy as np
import torch

from molft.chem.prepare import Recipe, prepare
from molft.data.moleculenet import load, published_split
from molft.model.heads import build_head
from molft.model.network import Network
from molft.model.readout import build_readout
from molft.train.finetune import Examples, Task, finetune
from molft.train.loop import predict
from molft.train.plan import STRATEGIES, make_plan
from molft.use.encoders import find_encoder
from molft.use.evaluate import turn, validation_score

RESULTS = Path(__file__).resolve().parents[2] / "data" / "results" / "strategies.csv"
FIELDS = ("set", "labels", "strategy", "seed", "metric", "valid", "test", "best_epoch")


def read_parts(name: str) -> tuple[list[Examples], str]:
    """Train, validation and test part with standardised labels, and the task type."""
    data = load(name, Path(os.environ["MOLFT_DATA"]) / "moleculenet")
    block = prepare(data.smiles, Recipe(standardize=False))
    if len(block.graphs) != len(data.smiles):
        raise SystemExit(f"{name}: {len(block.rejected)} molecules can't be read; choose another set")
    split = published_split(data)
    labels = data.labels
    if data.task_type == "regression":
        train = labels[split.train]
        labels = ((labels - np.nanmean(train, axis=0)) / np.nanstd(train, axis=0)).astype(np.float32)
    parts = [
        Examples(block.graphs.take(rows), labels[rows], np.zeros(labels[rows].shape, np.int8))
        for rows in split
    ]
    return parts, data.task_type


def measure(parts: list[Examples], task_type: str, strategy: str, count: int, seed: int) -> dict[str, object]:
    """Train on ``count`` molecules drawn by seed and score the best validation epoch."""
    train, valid, test = parts
    chosen = np.random.default_rng(seed).permutation(len(train))[:count]
    few = Examples(train.graphs.take(chosen), train.labels[chosen], train.bounds[chosen])
    encoder, _ = find_encoder("default")
    plan = make_plan(
        len(few), task_type, pretrained=True, layers=encoder.config.layers, strategy=strategy, loss="auto"
    )
    torch.manual_seed(seed)
    head = build_head("linear", encoder.width, train.labels.shape[1])
    network = Network(encoder, build_readout("mean", encoder.width), head)
    score = partial(validation_score, select=plan.select)
    progress = finetune(Task(network, few, valid, plan, score, seed))
    found = {
        "valid": turn(plan.select, progress.best_score),
        "test": turn(plan.select, score(test, predict(network, test.graphs))),
    }
    shown = {name: "undefined" if value is None else f"{value:.4f}" for name, value in found.items()}
    return {"metric": plan.select, **shown, "best_epoch": progress.best_epoch}


def main() -> None:
    """Run the grid and write each row as it comes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["bace", "esol"])
    parser.add_argument("--labels", nargs="+", type=int, default=[80, 400])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for name in chosen.sets:
            parts, task_type = read_parts(name)
            for count in chosen.labels:
                for strategy in STRATEGIES:
                    for seed in range(chosen.seeds):
                        row = measure(parts, task_type, strategy, count, seed)
                        row = {"set": name, "labels": count, "strategy": strategy, "seed": seed, **row}
                        writer.writerow(row)
                        file.flush()
                        print(row, flush=True)


if __name__ == "__main__":
    main()
