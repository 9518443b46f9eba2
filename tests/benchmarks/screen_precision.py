"""Does a screen in 16 bits choose the same compounds as one in 32?

    MOLFT_DATA=... python -m tests.benchmarks.screen_precision [--sets bace esol lipophilicity] [--rows 10000]

A network fine-tuned on each set by molft's plan (published scaffold split, seed 0) answers for Enamine's
compounds, shuffled, in both precisions. Printed are the largest difference (in probability, or in standard
deviations of the training labels), Spearman's correlation of the two rankings, and how many of the best 1 %
by the one are among those by the other.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from molft.chem.graphs import Graphs
from molft.chem.prepare import Recipe, prepare
from molft.model.network import Network
from molft.train.loop import PREDICTED, fold_each, predict_each
from molft.use.encoders import find_encoder
from tests.benchmarks.parts import finish, read_parts, train_network
from tests.benchmarks.screen_inputs import ENAMINE, write_library


def train(name: str) -> tuple[Network, str]:
    """A network for the first task of a set, and the task type."""
    start, _ = find_encoder("default")
    parts, task_type = read_parts(name, start.config.scheme)
    return train_network(start, parts, task_type, 0), task_type


def answer(network: Network, task_type: str, graphs: Graphs, half: bool) -> NDArray[np.float64]:
    """What a screen writes for the first task."""
    outputs = predict_each([network], graphs, PREDICTED, fold_each([network], half))[0][:, 0]
    return finish(outputs, task_type)


def overlap(one: NDArray[np.float64], other: NDArray[np.float64], share: float = 0.01) -> float:
    """Share of the highest of one ranking that are among the highest of the other."""
    count = max(1, round(share * len(one)))
    best = [set(np.argsort(-values, kind="stable")[:count].tolist()) for values in (one, other)]
    return len(best[0] & best[1]) / count


def main() -> None:
    """Print a line for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["bace", "bbbp", "esol", "lipophilicity"])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory() as folder:
        library = pd.read_csv(write_library(Path(folder) / "library.csv", chosen.rows, ENAMINE))
    graphs = prepare(library["smiles"].tolist(), Recipe()).graphs
    for name in chosen.sets:
        network, task_type = train(name)
        fine, coarse = (answer(network, task_type, graphs, half) for half in (False, True))
        print(
            f"{name:14} {len(graphs)} compounds: largest difference {np.abs(fine - coarse).max():.4f}, "
            f"Spearman {spearmanr(fine, coarse).statistic:.5f}, "
            f"best 1 % in common {overlap(fine, coarse):.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
