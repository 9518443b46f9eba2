"""What a frozen encoder knows: a linear model, or a forest, on its vectors, on published scaffold splits.

    MOLFT_DATA=... python -m tests.benchmarks.probe [--encoders default none FOLDER ...] [--sets bace bbbp]

The strength of the penalty, and nothing else, is chosen on validation; the forest is molft's, with its
defaults. Beside them stands the same forest on fragment counts and descriptors. A head "+descriptors" or
"+fragments" reads molft's descriptors (of those that are large, the logarithm), or counts of fragments and
descriptors, beside the vectors. RMSE counts in standard
deviations of the training part. Rows go to data/results/frozen.csv; those that stand there are not measured
again.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from molft.chem.descriptors import FINGERPRINT_BITS
from molft.chem.prepare import Recipe
from molft.files import sha256
from molft.model.encoder import Encoder
from molft.model.weights import WEIGHTS
from molft.train.encoders import new_encoder
from molft.train.finetune import Examples
from molft.use.encoders import MoleculeEncoder, encoder_folder, load_encoder
from molft.use.evaluate import PRIMARY
from molft.use.scores import score
from tests.benchmarks.parts import grow_forest, read_fragments, read_parts
from tests.benchmarks.rows import RESULTS, append_row, is_known

TABLE = RESULTS / "frozen.csv"
FIELDS = ("encoder", "sha256", "head", "set", "metric", "valid", "test")
HEADS = ("linear", "linear+descriptors", "linear+fragments", "forest")
SETS = ("bbbp", "tox21", "sider", "clintox", "bace", "esol", "lipophilicity")
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)

Parts = list[NDArray[np.float32]]


def embed(encoder: Encoder, parts: list[Examples]) -> Parts:
    """The vectors of the molecules of each part."""
    reader = MoleculeEncoder(encoder, Recipe(scheme=encoder.config.scheme), {})
    return [reader.vectors(examples.graphs) for examples in parts]


def join(vectors: Parts, fragments: Parts, more: str) -> Parts:
    """The vectors and, beside them, descriptors, or also counts of ``fragments``."""
    joined = []
    for own, table in zip(vectors, fragments, strict=True):
        counts, descriptors = np.split(table, [FINGERPRINT_BITS], axis=1)
        others = [np.sign(descriptors) * np.log1p(np.abs(descriptors))]
        joined.append(np.concatenate([own, *others, *([counts] if more == "fragments" else [])], axis=1))
    return joined


def fit_linear(vectors: Parts, parts: list[Examples], task_type: str) -> tuple[float, float]:
    """Validation and test score of the linear model whose penalty validation chose."""
    scale = StandardScaler().fit(vectors[0])
    train, valid, test = (scale.transform(part) for part in vectors)
    best: tuple[float, float] | None = None
    for strength in PENALTIES:
        predicted = [np.zeros(part.labels.shape) for part in parts[1:]]
        for task in range(parts[0].labels.shape[1]):
            labels = parts[0].labels[:, task]
            known = np.isfinite(labels)
            if task_type == "classification" and len(np.unique(labels[known])) < 2:
                continue
            for out, inputs in zip(
                predicted, _fit(train[known], labels[known], strength, task_type, (valid, test)), strict=True
            ):
                out[:, task] = inputs
        found = rate(parts[1], predicted[0], task_type), rate(parts[2], predicted[1], task_type)
        higher = task_type == "classification"
        if best is None or (found[0] > best[0] if higher else found[0] < best[0]):
            best = found
    assert best is not None
    return best


def _fit(
    inputs: NDArray[np.float32],
    labels: NDArray[np.float32],
    strength: float,
    task_type: str,
    others: tuple[NDArray[np.float32], ...],
) -> list[NDArray[np.float64]]:
    if task_type == "regression":
        model = Ridge(alpha=1 / strength).fit(inputs, labels)
        return [model.predict(part) for part in others]
    model = LogisticRegression(C=strength, max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 300 steps are part of the recipe
        model.fit(inputs, labels > 0)
    return [model.predict_proba(part)[:, 1] for part in others]


def rate(examples: Examples, predictions: NDArray[np.floating], task_type: str) -> float:
    """ROC-AUC or RMSE, the mean over tasks that have one."""
    tasks = [str(task) for task in range(predictions.shape[1])]
    found = score(examples.labels, np.asarray(predictions, np.float64), task_type, tasks, resamples=0)  # type: ignore[arg-type]
    value = found.mean[PRIMARY[task_type]].value
    return float("nan") if value is None else value


def fit_trees(features: Parts, parts: list[Examples], task_type: str) -> tuple[float, float]:
    """Validation and test score of molft's forest on any features."""
    forest = grow_forest(features[0], parts[0].labels, task_type)
    return (
        rate(parts[1], forest.predict(features[1]), task_type),
        rate(parts[2], forest.predict(features[2]), task_type),
    )


def main() -> None:
    """Measure what isn't in the table yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=["none", "default"])
    parser.add_argument("--heads", nargs="+", default=["linear", "forest"], choices=HEADS)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    for encoder_name in [*chosen.encoders, "fingerprints"]:
        name, digest, encoder = _open(encoder_name)
        for set_name in chosen.sets:
            heads = ["forest"] if encoder is None else chosen.heads
            keys = [{"encoder": name, "sha256": digest, "head": head, "set": set_name} for head in heads]
            missing = [key for key in keys if not is_known(TABLE, key)]
            if not missing:
                continue
            parts, task_type = read_parts(set_name, "ogb" if encoder is None else encoder.config.scheme)
            vectors = read_fragments(set_name) if encoder is None else embed(encoder, parts)
            for key in missing:
                head, _, more = key["head"].partition("+")
                read = join(vectors, read_fragments(set_name), more) if more else vectors
                valid, test = (fit_linear if head == "linear" else fit_trees)(read, parts, task_type)
                found = {"metric": PRIMARY[task_type], "valid": f"{valid:.4f}", "test": f"{test:.4f}"}
                append_row(TABLE, FIELDS, {**key, **found})


def _open(name: str) -> tuple[str, str, Encoder | None]:
    """Name for the table, digest of the weights, and the encoder."""
    if name == "fingerprints":
        return name, "", None
    if name == "none":
        torch.manual_seed(0)
        return name, "", new_encoder("ogb").eval()
    folder = encoder_folder(name)
    found = load_encoder(name).encoder
    return Path(name).name if name != "default" else name, sha256(folder / WEIGHTS)[:12], found


if __name__ == "__main__":
    main()
