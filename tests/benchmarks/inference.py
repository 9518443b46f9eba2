"""Molecule vectors of a library: folded inference against the plain forward pass and RDKit's parser.

    MOLFT_DATA=... python -m tests.benchmarks.inference [--encoder default] [--threads 2] [--molecules 10000]

Packed molecules to vectors, parsing and featurising left out; the plain pass is the same encoder in eval
mode, every atom by itself, in batches of 256. The sides take turns in one run; ratios are of the fastest
rounds. The largest difference of a vector from the plain one is printed, as a share of its length. "kept"
keeps states from block to block, as a screen does, and is the quicker the more molecules there are; "16 bits"
pays on CPUs with units for it. Compounds: RDKit's own diverse screening set (wehi_mols.csv), a vendor's list,
and molecules drawn from ChEMBL.
"""

import argparse
import gzip
import lzma
import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import RDConfig

from molft.chem.graphs import Graphs
from molft.chem.prepare import Recipe, prepare
from molft.chem.smiles import parse
from molft.data.batch import make_batch
from molft.model.encoder import Encoder
from molft.model.inference import find_surroundings, fold, read_molecules
from molft.model.readout import Mean
from molft.train.loop import RECALLED, keep_recurring
from molft.use.encoders import find_encoder

BLOCKS = (256, 512, 1024, 2048)


def read_library(name: str, count: int) -> list[str]:
    """The first compounds of a library; of ChEMBL a random draw, the same in every run."""
    data = Path(os.environ["MOLFT_DATA"])
    if name == "diverse":
        path = Path(RDConfig.RDDataDir) / "Pains" / "test_data" / "wehi_mols.csv"
        lines = path.read_text().splitlines()[1:]
        return [line.split(",")[0].strip('"') for line in lines[:count]]
    if name == "vendor":
        with gzip.open(data / "library" / "Enamine50k.csv.gz", "rt") as file:
            return [line.strip() for line in file][1 : count + 1]
    with lzma.open(data / "corpora" / "chembl.smi.xz", "rt") as file:
        return random.Random(0).sample([line.split()[0] for line in file], count)


@torch.no_grad()
def run_plain(encoder: Encoder, graphs: Graphs) -> NDArray[np.float32]:
    """Every atom by itself, in batches of 256."""
    encoder.sharing, readout, parts = False, Mean(encoder.width), []
    for start in range(0, len(graphs), 256):
        batch = make_batch(graphs.take(np.arange(start, min(start + 256, len(graphs)))))
        parts.append(readout(encoder(batch), batch.graph, batch.size).numpy())
    encoder.sharing = True
    return np.concatenate(parts)


@torch.no_grad()
def run_folded(
    encoder: Encoder, graphs: Graphs, block: int, half: bool = False, keep: bool = False
) -> NDArray[np.float32]:
    """Surroundings once in each block; or, kept as a screen does, once in all."""
    folded, readout, parts = fold(encoder, half), Mean(encoder.width), []
    recurring = keep_recurring([folded]) if keep else None
    kept = recurring.states_of(folded) if recurring else None
    for start in range(0, len(graphs), block):
        batch = make_batch(graphs.take(np.arange(start, min(start + block, len(graphs)))))
        found = find_surroundings(batch, encoder.config, recurring)
        parts.append(read_molecules(folded, found, readout, kept).numpy())
        if recurring:
            recurring.publish(found.recalled)
    return np.concatenate(parts)


def measure(task: Callable[[], NDArray[np.float32]]) -> tuple[float, NDArray[np.float32]]:
    """Seconds (of the processor, with one thread) and result."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    found = task()
    return clock() - start, found


def main() -> None:
    """Print a table for each library."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", default="default")
    parser.add_argument("--libraries", nargs="+", default=["diverse", "vendor", "chembl"])
    parser.add_argument("--molecules", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    encoder = find_encoder(chosen.encoder)[0].eval()
    for name in chosen.libraries:
        smiles = read_library(name, chosen.molecules)
        graphs = prepare(smiles, Recipe(scheme=encoder.config.scheme)).graphs
        start = time.process_time()
        for text in smiles:
            parse(text)
        parsing = (time.process_time() - start) / len(smiles)
        sides = {"plain": partial(run_plain, encoder, graphs)}
        for half in (False, True):
            for block in BLOCKS:
                side = f"folded, blocks of {block}{', 16 bits' if half else ''}"
                sides[side] = partial(run_folded, encoder, graphs, block, half)
        sides[f"folded, blocks of {RECALLED}, kept"] = partial(
            run_folded, encoder, graphs, RECALLED, keep=True
        )
        fastest = dict.fromkeys(sides, float("inf"))
        results = {}
        for _ in range(chosen.rounds):
            for side, task in sides.items():
                seconds, results[side] = measure(task)
                fastest[side] = min(fastest[side], seconds)
        print(f"{name}: {len(graphs)} molecules, RDKit parses one in {1e3 * parsing:.3f} ms on one core")
        for side, seconds in fastest.items():
            plain = results["plain"]
            off = (np.linalg.norm(results[side] - plain, axis=1) / np.linalg.norm(plain, axis=1)).max()
            each = 1e3 * seconds / len(graphs)
            print(f"  {side:32s} {each:.3f} ms each, {fastest['plain'] / seconds:.2f} x, off by {off:.1e}")


if __name__ == "__main__":
    main()
