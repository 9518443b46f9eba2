"""What an encoder is worth by the number of labels: fine-tuned, against from scratch and a forest.

    MOLFT_DATA=... python -m tests.benchmarks.label_efficiency [--sets bace esol] [--labels 25 100 all]
        [--models forest scratch default FOLDER] [--seeds 5] [--plot]

Published scaffold split. A seed draws the same training molecules for every model. One network by molft's
plan (from scratch everything is trained, at the rate that suits random weights), the epoch chosen on the
whole validation part, also where that is larger than the training part; molft's forest on fragment counts
and descriptors, with nothing to choose. Test scores; RMSE in standard deviations of the training part. Rows
go to data/results/label_efficiency.csv with the sha256 of the encoder; those that stand there are not
measured again. ``--plot`` draws the means over seeds to data/results/label_efficiency.png and prints them.
"""

import argparse
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray

from molft.data.moleculenet import SETS
from molft.files import sha256
from molft.model.config import NetworkConfig
from molft.model.encoder import Encoder
from molft.model.network import build_network
from molft.model.weights import WEIGHTS
from molft.train.encoders import new_encoder
from molft.train.finetune import Examples, Task, finetune
from molft.train.loop import predict
from molft.train.plan import make_plan
from molft.train.precision import choose_half
from molft.use.encoders import encoder_folder, find_encoder
from molft.use.evaluate import PRIMARY, turn, validation_score
from tests.benchmarks.parts import grow_forest, network_on, read_fragments, read_parts, subset
from tests.benchmarks.probe import rate
from tests.benchmarks.rows import RESULTS, append_row, is_known, read_rows

TABLE = RESULTS / "label_efficiency.csv"
PLOT = TABLE.with_suffix(".png")
KEY = ("model", "sha256", "set", "labels", "seed")
FIELDS = (*KEY, "metric", "valid", "test", "best_epoch", "seconds")
LABELS = ("25", "50", "100", "200", "500", "1000", "all")


def draw(molecules: int, labels: str, seed: int) -> NDArray[np.int64]:
    """So many of the training molecules, drawn by the seed, or all of them."""
    rows = np.random.default_rng(seed).permutation(molecules)
    return np.sort(rows if labels == "all" else rows[: int(labels)])


def tune(start: Encoder | None, parts: list[Examples], task_type: str, seed: int) -> dict[str, object]:
    """Scores of one network, from an encoder or from scratch, at its best validation epoch."""
    metric = PRIMARY[task_type]
    torch.manual_seed(seed)
    tasks = parts[0].labels.shape[1]
    if start is None:
        network = build_network(new_encoder("ogb"), NetworkConfig(tasks))
    else:
        network = network_on(start, tasks)
    plan = make_plan(
        len(parts[0]), task_type, pretrained=start is not None, layers=network.encoder.config.layers
    )
    score = partial(validation_score, select=metric)
    half = choose_half("auto", torch.device("cpu"), network.encoder.config.conv)
    progress = finetune(Task(network, parts[0], parts[1], plan, score, seed, half))
    test = turn(metric, score(parts[2], predict(network, parts[2].graphs)))
    valid = turn(metric, progress.best_score) if progress.best_epoch >= 0 else None
    return {"valid": _shown(valid), "test": _shown(test), "best_epoch": progress.best_epoch}


def grow(
    features: list[NDArray[np.float32]], parts: list[Examples], task_type: str, seed: int
) -> dict[str, object]:
    """Scores of the forest."""
    forest = grow_forest(features[0], parts[0].labels, task_type, seed)
    scores = [
        _shown(rate(part, forest.predict(inputs), task_type))
        for part, inputs in zip(parts[1:], features[1:], strict=True)
    ]
    return {"valid": scores[0], "test": scores[1], "best_epoch": ""}


def _shown(value: float | None) -> str:
    return "undefined" if value is None or np.isnan(value) else f"{value:.4f}"


def measure(name: str, model: str, digest: str, labels: list[str], seeds: int) -> None:
    """All numbers of labels of one model on one set, as far as they aren't known."""
    start = None if model in ("forest", "scratch") else find_encoder(model)[0]
    parts, task_type = read_parts(name, "ogb" if start is None else start.config.scheme)
    features = read_fragments(name) if model == "forest" else None
    for count in labels:
        if count != "all" and int(count) >= len(parts[0]):
            continue
        for seed in range(seeds):
            key = dict(zip(KEY, (Path(model).name, digest, name, count, seed), strict=True))
            if is_known(TABLE, key):
                continue
            began = time.monotonic()
            rows = draw(len(parts[0]), count, seed)
            chosen = [subset(parts[0], rows), *parts[1:]]
            if features is not None:
                found = grow([features[0][rows], *features[1:]], chosen, task_type, seed)
            else:
                found = tune(start, chosen, task_type, seed)
            seconds = round(time.monotonic() - began)
            append_row(TABLE, FIELDS, {**key, "metric": PRIMARY[task_type], **found, "seconds": seconds})


def summarize() -> dict[str, dict[str, dict[str, list[float]]]]:
    """Test scores over seeds by set, model and number of labels."""
    out: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    for row in read_rows(TABLE):
        if row["test"] != "undefined":
            out[row["set"]][row["model"]].setdefault(row["labels"], []).append(float(row["test"]))
    return out


def plot(sets: list[str]) -> None:
    """Print the means over seeds, and draw them with their deviation for some sets."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = summarize()
    for name, models in found.items():
        for model, by_labels in models.items():
            shown = ", ".join(
                f"{count} {np.mean(by_labels[count]):.3f} ({len(by_labels[count])})"
                for count in LABELS
                if count in by_labels
            )
            print(f"{name:14} {model:10} {shown}")
    shown_sets = [name for name in sets if name in found]
    known = sorted({model for models in found.values() for model in models})
    colours = {model: f"C{number}" for number, model in enumerate(known)}
    figure, axes = pyplot.subplots(1, len(shown_sets), figsize=(3.4 * len(shown_sets), 3.2), squeeze=False)
    for axis, name in zip(axes[0], shown_sets, strict=True):
        for model, by_labels in sorted(found[name].items()):
            counts = [count for count in LABELS if count in by_labels]
            means = [np.mean(by_labels[count]) for count in counts]
            spread = [np.std(by_labels[count]) for count in counts]
            places = [LABELS.index(count) for count in counts]
            look = {"color": colours[model], "marker": "o", "markersize": 3, "capsize": 2}
            axis.errorbar(places, means, spread, label=model, **look)
        axis.set_xticks(range(len(LABELS)), LABELS, fontsize=7)
        axis.set_title(f"{name}, {PRIMARY[SETS[name].task_type].replace('_', '-').upper()}", fontsize=9)
        axis.set_xlabel("training labels", fontsize=8)
        axis.tick_params(axis="y", labelsize=7)
        axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(PLOT, dpi=120)
    print(f"plot: {PLOT.name}")


def main() -> None:
    """Measure what isn't in the table yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=["bbbp", "bace", "sider", "esol"])
    parser.add_argument("--labels", nargs="+", default=list(LABELS))
    parser.add_argument("--models", nargs="*", default=["forest", "scratch", "default"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--plot", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    for name in chosen.sets:
        for model in chosen.models:
            known = model in ("forest", "scratch")
            digest = "" if known else sha256(encoder_folder(model) / WEIGHTS)[:12]
            measure(name, model, digest, chosen.labels, chosen.seeds)
    if chosen.plot:
        plot(chosen.sets)


if __name__ == "__main__":
    main()
