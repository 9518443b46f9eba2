"""Score a MoleculeNet set on the scaffold split of the SNAP papers, from raw file to ROC-AUC.

    python examples/3_moleculenet.py bbbp --data-dir FOLDER

The set is taken from the folder (or $MOLFT_DATA/moleculenet), or downloaded and checked. Molecules are
read as they are: no salts are stripped, and the split is checked against the published one.
"""

import argparse

import numpy as np
import torch

from molft.chem.prepare import Recipe, prepare
from molft.data.moleculenet import load, published_split
from molft.model.config import NetworkConfig
from molft.model.network import build_network
from molft.train.finetune import Examples, Task, finetune
from molft.train.loop import predict
from molft.train.plan import make_plan
from molft.use.encoders import find_encoder
from molft.use.evaluate import validation_score


def main() -> None:
    """Train one network per seed and print the test score at the best validation epoch."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("name", help="bbbp, bace, clintox, sider, tox21, ...")
    options.add_argument("--data-dir")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--epochs", type=int)
    options.add_argument("--rows", type=int, help="only the first rows, to try it out")
    chosen = options.parse_args()

    data = load(chosen.name, chosen.data_dir)
    split = published_split(data)
    if chosen.rows:
        split = type(split)(*(part[: chosen.rows] for part in split))
    encoder, _ = find_encoder("default")
    block = prepare(data.smiles, Recipe(scheme=encoder.config.scheme, standardize=False))
    labels = np.full((len(data.smiles), len(data.tasks)), np.nan, np.float32)
    labels[block.index] = data.labels[block.index]
    place = {row: number for number, row in enumerate(block.index.tolist())}
    parts = []
    for rows in split:
        kept = np.array([row for row in rows.tolist() if row in place])
        graphs = block.graphs.take([place[row] for row in kept.tolist()])
        parts.append(Examples(graphs, labels[kept], np.zeros((len(kept), len(data.tasks)), np.int8)))
    train, valid, test = parts

    plan = make_plan(
        len(train), "classification", pretrained=True, layers=encoder.config.layers, epochs=chosen.epochs
    )
    scores = []
    for seed in range(chosen.seeds):
        torch.manual_seed(seed)
        start, _ = find_encoder("default")
        network = build_network(start, NetworkConfig(tasks=len(data.tasks)))
        progress = finetune(
            Task(network, train, valid, plan, lambda e, out: validation_score(e, out, "roc_auc"), seed)
        )
        score = validation_score(test, predict(network, test.graphs), "roc_auc")
        scores.append(score)
        print(
            f"seed {seed}: best epoch {progress.best_epoch}, test ROC-AUC {100 * (score or float('nan')):.1f}"
        )
    known = [score for score in scores if score is not None]
    if known:
        print(
            f"{chosen.name}: {100 * np.mean(known):.1f} +- {100 * np.std(known):.1f} over {len(known)} seeds"
        )


if __name__ == "__main__":
    main()
