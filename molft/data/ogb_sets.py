"""The molecule sets of the Open Graph Benchmark (Hu et al., NeurIPS 2020): ogbg-molhiv and ogbg-molpcba.

Split, labels and evaluation are OGB's own (`ogb.graphproppred`); the graphs it ships are not read, because
molft makes its own from the SMILES of the same rows. Nothing is downloaded: OGB's loader would ask at the
keyboard, so a set that isn't there is a `MolftError` that says how to get it.

Symbols: R kept rows, T tasks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from molft.chem.prepare import Recipe
from molft.data.moleculenet import Benchmark, accept_rows
from molft.data.split import Split
from molft.errors import MolftError

METRICS = {"ogbg-molhiv": "roc_auc", "ogbg-molpcba": "pr_auc"}
"""The metric of each set: OGB's rocauc, and ap (average precision), which is `molft.use.metrics.pr_auc`."""

_RECIPE = Recipe(scheme="ogb", standardize=False)
_NEEDED = ("RELEASE_v1.txt", "mapping/mol.csv.gz", "raw/graph-label.csv.gz", "split/scaffold/train.csv.gz")


def find_ogb(name: str, data_dir: str | Path | None = None) -> Path:
    """Folder that holds a set (`ogbg_molhiv`, ...): in `data_dir`, in MOLFT_DATA, or in `ogb` in either.

    A set that is nowhere, or not whole, is a `MolftError` that says how to get it.
    """
    folder_name = name.replace("-", "_")
    given = [Path(folder) for folder in (data_dir, os.environ.get("MOLFT_DATA")) if folder]
    places = [place / folder_name for folder in given for place in (folder, folder / "ogb")]
    for place in places:
        missing = [file for file in _NEEDED if not (place / file).is_file()]
        if not missing:
            return place
        if place.is_dir():
            raise MolftError(
                f"{place} is no whole copy of {name}: {', '.join(missing)} missing; unpack OGB's archive anew"
            )
    looked = ", ".join(str(place.parent) for place in places) or "no folder given"
    raise MolftError(
        f'{name} is not here (looked in: {looked}). Fetch it on a machine with network: python -c "from '
        f"ogb.graphproppred import GraphPropPredDataset as D; D('{name}', root='ogb')\", and give the folder "
        f"that holds {folder_name} with --data-dir."
    )


def load_ogb(name: str, data_dir: str | Path | None = None) -> tuple[Benchmark, Split]:
    """Read a set and its split; rows RDKit refuses are dropped from their part and named.

    The split's numbers are positions among the R kept rows, like those of `published_split`.
    """
    if name not in METRICS:
        raise MolftError(f"{name!r} is no OGB set known here; expected {' or '.join(METRICS)}")
    folder = find_ogb(name, data_dir)
    loader = _open(name, folder)
    table = pd.read_csv(folder / "mapping" / "mol.csv.gz", dtype={"smiles": str}, keep_default_na=False)
    labels = np.asarray(loader.labels, np.float32)
    if len(table) != len(labels) or "smiles" not in table:
        raise MolftError(f"{folder}: {len(table)} molecules, but labels of {len(labels)}; unpack it anew")
    rows, rejected = accept_rows(table["smiles"].tolist(), _RECIPE)
    place = np.full(len(table), -1, np.int64)
    place[rows] = np.arange(len(rows))
    parts = loader.get_idx_split()
    kept = [place[np.asarray(parts[part], np.int64)] for part in ("train", "valid", "test")]
    names = tuple(column for column in table.columns if column not in ("smiles", "mol_id"))
    if len(names) != labels.shape[1]:
        names = tuple(f"task {number + 1}" for number in range(labels.shape[1]))
    smiles = table["smiles"].to_numpy()[rows].tolist()
    found = Benchmark(name, smiles, labels[rows], names, "classification", METRICS[name], rows, rejected)
    return found, Split(*(part[part >= 0] for part in kept))


def _open(name: str, folder: Path) -> Any:  # noqa: ANN401  (ogb has no types)
    """OGB's own loader of a folder, without the graphs: labels, version check and split."""
    from ogb.graphproppred import GraphPropPredDataset

    class Loader(GraphPropPredDataset):
        """The loader with its first step replaced: it would unpack the graphs and pickle them."""

        def pre_process(self) -> None:
            """Read the labels as OGB does."""
            self.graphs: list[object] = []
            self.labels = pd.read_csv(Path(self.root) / "raw" / "graph-label.csv.gz", header=None).to_numpy()

    return Loader(name, root=str(folder.parent))


def evaluate_ogb(name: str, labels: NDArray[np.floating], predictions: NDArray[np.floating]) -> float | None:
    """Score of OGB's Evaluator, mean over the tasks with both classes; None where there is no such task.

    Shapes: [B, T], NaN is a missing label.
    """
    from ogb.graphproppred import Evaluator

    both = (labels == 1).any(axis=0) & (labels == 0).any(axis=0)
    if not both.any():
        return None
    found = Evaluator(name).eval({"y_true": np.asarray(labels), "y_pred": np.asarray(predictions)})
    return float(next(iter(found.values())))
