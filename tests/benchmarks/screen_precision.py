"""Does a screen in 16 bits, or by the small encoder, choose the same compounds as by the default one in 32?

    MOLFT_DATA=... python -m tests.benchmarks.screen_precision [--sets bace esol lipophilicity] [--rows 10000]
                                                               [--models molft-demo/model]

A network fine-tuned on each set by molft's plan (published scaffold split, seed 0) answers for Enamine's
compounds, shuffled, in both precisions. Printed are the largest difference (in probability, or in standard
deviations of the training labels), Spearman's correlation of the two rankings, and how many of the best 1 %
by the one are among those by the other. A network from the small encoder, in 16 bits, is compared in the
same way, and so is one from the default encoder with another seed, to read the small one's figures by.
Of a finished model (``--models``) its answer is compared, in 16 bits and in 32, whatever stands behind it.
"""

import argparse
import tempfile
from dataclasses import replace
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
from molft.use.model import load
from tests.benchmarks.parts import finish, read_parts, train_network
from tests.benchmarks.screen_inputs import ENAMINE, write_library


def train(name: str, encoder: str, seed: int) -> tuple[Network, str]:
    """A network for the first task of a set, and the task type."""
    start, _ = find_encoder(encoder)
    parts, task_type = read_parts(name, start.config.scheme)
    return train_network(start, parts, task_type, seed), task_type


def answer(network: Network, task_type: str, graphs: Graphs, half: bool) -> NDArray[np.float64]:
    """What a screen writes for the first task."""
    outputs = predict_each([network], graphs, PREDICTED, fold_each([network], half))[0][:, 0]
    return finish(outputs, task_type)


def answer_by_model(folder: Path, smiles: list[str], half: bool) -> NDArray[np.float64]:
    """What a screen writes for the first task; values in standard deviations of the training labels."""
    model = replace(load(folder), half=half)
    answers = model.answer(prepare(smiles, model.recipe))[:, 0]
    return answers / model.about.scale[0]


def overlap(one: NDArray[np.float64], other: NDArray[np.float64], share: float = 0.01) -> float:
    """Share of the highest of one ranking that are among the highest of the other."""
    count = max(1, round(share * len(one)))
    best = [set(np.argsort(-values, kind="stable")[:count].tolist()) for values in (one, other)]
    return len(best[0] & best[1]) / count


def tell(what: str, fine: NDArray[np.float64], other: NDArray[np.float64]) -> None:
    """How far other answers are from those of the default encoder in 32 bits."""
    print(
        f"{what:24} {len(fine)} compounds: largest difference {np.abs(fine - other).max():.4f}, "
        f"Spearman {spearmanr(fine, other).statistic:.5f}, best 1 % in common {overlap(fine, other):.3f}",
        flush=True,
    )


def main() -> None:
    """Print a line for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", nargs="*", default=["bace", "bbbp", "esol", "lipophilicity"])
    parser.add_argument("--models", nargs="*", type=Path, default=[], help="Folders made by molft finetune.")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory() as name:
        library = pd.read_csv(write_library(Path(name) / "library.csv", chosen.rows, ENAMINE))
    smiles = library["smiles"].tolist()
    for folder in chosen.models:
        fine, coarse = (answer_by_model(folder, smiles, half) for half in (False, True))
        tell(f"{folder}, 16 bits", fine, coarse)
    graphs = prepare(smiles, Recipe()).graphs
    for name in chosen.sets:
        network, task_type = train(name, "default", 0)
        fine = answer(network, task_type, graphs, False)
        tell(f"{name}, 16 bits", fine, answer(network, task_type, graphs, True))
        tell(f"{name}, small", fine, answer(*train(name, "small", 0), graphs, True))
        tell(f"{name}, seed 1", fine, answer(*train(name, "default", 1), graphs, False))


if __name__ == "__main__":
    main()
