"""MoleculeNet sets on the published scaffold split, as the benchmarks of training read them.

Files are looked for where MOLFT_DATA says (see :func:`molft.data.moleculenet.find`).
"""

import sys
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from molft.chem.prepare import Block, Recipe, prepare
from molft.chem.scaffold import snap_scaffold
from molft.data.moleculenet import SETS, Benchmark, load, published_split
from molft.data.split import balanced_scaffold_split
from molft.files import sha256
from molft.model.config import NetworkConfig
from molft.model.encoder import Encoder
from molft.model.network import Network, build_network, suited_readout
from molft.model.weights import WEIGHTS
from molft.train.finetune import Examples, Task, finetune
from molft.train.plan import make_plan
from molft.train.precision import choose_half
from molft.use.encoders import encoder_folder, find_encoder
from molft.use.evaluate import PRIMARY, validation_score
from molft.use.fitting import forest_features
from molft.use.forest import Forest, fit_forest
from molft.use.model import squash


def read_parts(name: str, scheme: str = "ogb", inner: int | None = None) -> tuple[list[Examples], str]:
    """Train, validation and test part of a set, and its task type.

    ``inner`` is the seed of a split within the published train and validation parts, by scaffolds in random
    order: what is chosen by its test part hasn't seen the published one.

    The split is made before features are, so it is the same for every scheme; a molecule that ``scheme`` has
    no code for is then left out of its part, and said so. Values are standardised by the training part.
    """
    data = load(name)
    block = prepare(data.smiles, Recipe(scheme=scheme, standardize=False))
    for bad in block.rejected:
        print(f"{name}: {data.smiles[bad.row]} is left out, {bad.status}", file=sys.stderr)
    place = _place(data, block)
    split = _split(data, place, inner)
    labels = data.labels
    if data.task_type == "regression":
        train = labels[split[0]]
        labels = ((labels - np.nanmean(train, axis=0)) / np.nanstd(train, axis=0)).astype(np.float32)
    parts = [
        Examples(block.graphs.take(place[rows]), labels[rows], np.zeros(labels[rows].shape, np.int8))
        for rows in split
    ]
    return parts, data.task_type


def read_fragments(name: str, inner: int | None = None) -> list[NDArray[np.float32]]:
    """Fragment counts and descriptors of the molecules of each part, as :func:`read_parts` splits them."""
    data = load(name)
    block = prepare(data.smiles, Recipe(standardize=False, forest=True))
    features, place = forest_features(block), _place(data, block)
    return [features[place[rows]] for rows in _split(data, place, inner)]


def _place(data: Benchmark, block: Block) -> NDArray[np.int64]:
    """Place in the block of each molecule of the set, -1 for a refused one."""
    place = np.full(len(data.smiles), -1)
    place[block.index] = np.arange(len(block.index))
    return place


def _split(data: Benchmark, place: NDArray[np.int64], inner: int | None) -> list[NDArray[np.int64]]:
    """Rows of the set in each part, without the refused ones, by :func:`_place`."""
    split = [rows[place[rows] >= 0] for rows in published_split(data)]
    if inner is None:
        return split
    known = np.concatenate(split[:2])
    scaffolds = [snap_scaffold(data.smiles[row], SETS[data.name].canonical) for row in known]
    return [known[rows] for rows in balanced_scaffold_split(scaffolds, seed=inner)]


def network_on(start: Encoder, tasks: int) -> Network:
    """A network with a fresh head on a copy of the encoder, with the readout that suits it."""
    encoder = Encoder(start.config)
    encoder.load_state_dict(start.state_dict())
    return build_network(encoder, NetworkConfig(tasks, suited_readout(encoder.config)))


def open_start(name: str) -> tuple[Encoder, str]:
    """An encoder to start from, and the digest of its weights for a table."""
    return find_encoder(name)[0], sha256(encoder_folder(name) / WEIGHTS)[:12]


def train_network(start: Encoder, parts: list[Examples], task_type: str, seed: int) -> Network:
    """A network fine-tuned by molft's plan on the train part; the validation part picks the epoch."""
    plan = make_plan(len(parts[0]), task_type, pretrained=True, layers=start.config.layers)
    torch.manual_seed(seed)
    network = network_on(start, parts[0].labels.shape[1])
    half = choose_half("auto", torch.device("cpu"), start.config.conv)
    score = partial(validation_score, select=PRIMARY[task_type])
    finetune(Task(network, parts[0], parts[1], plan, score, seed, half))
    return network


def grow_forest(
    features: NDArray[np.float32], labels: NDArray[np.float32], task_type: str, seed: int = 0
) -> Forest:
    """molft's forest on any features, its tasks numbered."""
    tasks = tuple(str(task) for task in range(labels.shape[1]))
    return fit_forest(features, labels, task_type, tasks, seed=seed, jobs=1)  # type: ignore[arg-type]


def finish(outputs: NDArray[np.float32], task_type: str) -> NDArray[np.float64]:
    """Raw outputs as probabilities, or as standardised values."""
    return squash(outputs) if task_type == "classification" else outputs.astype(np.float64)


def subset(examples: Examples, rows: NDArray[np.int64]) -> Examples:
    """Some of the molecules, in the order of ``rows``."""
    return Examples(examples.graphs.take(rows), examples.labels[rows], examples.bounds[rows])
