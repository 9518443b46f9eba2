"""Models, encoders and assay tables small enough to train in a second."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from molft.chem.prepare import Recipe
from molft.model.weights import save_encoder
from molft.train.encoders import new_encoder
from molft.use.forest import fit_forest, join_features
from molft.use.model import About, Model, build_network
from molft.use.options import Options
from tests.series import block_of, has_halogen, pyridines

ENCODER = new_encoder("snap", layers=2, width=16).config


def save_small_encoder(folder: Path, seed: int = 0) -> Path:
    """An encoder of two layers and width 16, with random weights, in a folder."""
    torch.manual_seed(seed)
    save_encoder(new_encoder("snap", layers=2, width=16), folder, {"about": f"random weights, seed {seed}"})
    return folder


def small_options(encoder: Path | str = "none", **changes: object) -> Options:
    """Two epochs, one network, twenty trees, no processes; any of it can be changed."""
    chosen = {"ensemble_size": 1, "epochs": 2, "trees": 20, "workers": 0, "split": "random"} | changes
    return Options(encoder=str(encoder), **chosen)  # type: ignore[arg-type]


def small_model(
    task_type: str = "classification",
    answer: str = "blend",
    tasks: tuple[str, ...] = ("halogen",),
    members: int = 2,
    thresholds: tuple[float, ...] | None = None,
) -> Model:
    """Untrained networks and, unless only they answer, a forest of twenty trees on 30 pyridines."""
    torch.manual_seed(7)
    numbers = task_type == "regression"
    about = About(
        tasks=tasks,
        task_type=task_type,
        answer=answer,
        recipe=Recipe(scheme="snap"),
        encoder=ENCODER,
        readout="mean",
        head="linear",
        members=members,
        centre=(6.5 if numbers else 0.0,) * len(tasks),
        scale=(1.5 if numbers else 1.0,) * len(tasks),
        thresholds=thresholds or (0.5,) * len(tasks),
        facts={"split": "random", "seed": 7},
    )
    smiles = pyridines(30)
    labels = np.repeat(has_halogen(smiles)[:, None], len(tasks), axis=1)
    block = block_of(smiles, forest=True)
    forest = None
    if answer != "network":
        assert block.counts is not None and block.descriptors is not None
        features = join_features(block.counts, block.descriptors)
        forest = fit_forest(features, labels, task_type, tasks, trees=20, jobs=1)  # type: ignore[arg-type]
    return Model(about, [build_network(about).eval() for _ in range(members)], forest)


def write_assay(path: Path, rows: int = 40, **columns: object) -> Path:
    """A table of pyridines with the label ``halogen``, or with the given columns of texts instead."""
    smiles = pyridines(rows)
    labels = columns or {"halogen": [f"{value:.0f}" for value in has_halogen(smiles)]}
    pd.DataFrame({"smiles": smiles} | labels).to_csv(path, index=False)
    return path
