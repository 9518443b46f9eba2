"""Fine-tuned models small enough to make in a test: two layers of width 16, a forest of ten trees."""

from pathlib import Path

import numpy as np
import torch
from rdkit import Chem

from molft.chem.descriptors import describe, fingerprint_counts
from molft.chem.prepare import Recipe
from molft.train.encoders import new_encoder
from molft.use.forest import fit_forest, join_features
from molft.use.model import About, Model, build_network

# A homologous series, an aromatic one, and a few with rings, charges and stereo.
MOLECULES = tuple(
    ["C" * n for n in range(1, 11)]
    + ["c1ccccc1" + "C" * n for n in range(10)]
    + ["OC(=O)" + "C" * n + "N" for n in range(1, 6)]
    + ["C1CC1", "C[N+](C)(C)C", "C[C@H](N)C(=O)O", "F/C=C/C", "Clc1ccncc1"]
)


def make_model(
    answer: str = "blend",
    tasks: tuple[str, ...] = ("active",),
    task_type: str = "classification",
    seed: int = 0,
    conv: str = "gin",
) -> Model:
    """A model with random weights; its forest has learned the parity of the number of heavy atoms."""
    torch.manual_seed(seed)
    encoder = new_encoder("ogb", layers=2, width=16, conv=conv)
    about = About(
        tasks=tasks,
        task_type=task_type,
        answer=answer,
        recipe=Recipe(),
        encoder=encoder.config,
        readout="mean",
        head="linear",
        members=1,
        centre=(0.0,) * len(tasks),
        scale=(1.0,) * len(tasks),
        thresholds=(0.5,) * len(tasks),
        facts={"data": {"file": "made by hand"}},
    )
    forest = None
    if answer != "network":
        mols = [Chem.MolFromSmiles(smiles) for smiles in MOLECULES]
        features = join_features(fingerprint_counts(mols), describe(mols))
        labels = np.array([[mol.GetNumHeavyAtoms() % 2] * len(tasks) for mol in mols], np.float64)
        forest = fit_forest(features, labels, task_type, tasks, trees=10, jobs=1)  # type: ignore[arg-type]
    return Model(about, [build_network(about, encoder).eval()], forest)


def save_model(directory: Path, answer: str = "blend", **options: object) -> Path:
    """The folder of :func:`make_model`."""
    make_model(answer, **options).save(directory)  # type: ignore[arg-type]
    return directory
