"""Which fine-tuning strategy suits how many labels, on classes and on values.

    MOLFT_DATA=... python -m tests.benchmarks.strategies [--sets bace esol] [--labels 50 100 500 all]
        [--strategies frozen full lora] [--seeds 3] [--split published] [--encoder default] [--device cuda]

One network by molft's plan with only the strategy changed; a seed draws the same molecules for every
strategy. The epoch (and the average of wise-ft) is chosen on validation by ROC-AUC or RMSE; "lp-ft-any" is
lp-ft where all epochs may be chosen, as many labels as there may be; "lora-at-once" and "adapter-at-once" are
those without the head's own epochs before.

With ``--split inner``, as always where nothing is said, a seed splits the published train and validation
parts anew by scaffold, and the test scores are of that split's test part: these may choose a default, because
the published test part isn't read. A hundred molecules of one scaffold split alone can't: on BACE validation
and test disagree. With ``--split published`` the test scores are of the published test part, and choose
nothing.

Scores go to data/results/strategies.csv, with the sha256 of the encoder's weights. A row that stands there is
not measured again. Training is in 16 bits where the CPU is made for it. In the end all rows of this encoder,
this split and these strategies are summed up: mean rank and score of each by number of labels and metric.
"""

import argparse
import time
from collections import defaultdict
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata

from molft.data.moleculenet import SETS
from molft.model.encoder import Encoder
from molft.train.finetune import Examples, Task, finetune
from molft.train.loop import predict
from molft.train.plan import STRATEGIES, UPDATES, Stage, make_plan
from molft.train.precision import choose_half
from molft.use.evaluate import PRIMARY, turn, validation_score
from molft.use.metrics import LOWER_IS_BETTER
from molft.use.retention import measure_retention
from tests.benchmarks.parts import network_on, open_start, read_parts, subset
from tests.benchmarks.rows import RESULTS, append_row, is_known, read_rows

TABLE = RESULTS / "strategies.csv"
ANY_EPOCH = "lp-ft-any"
AT_ONCE = {f"{name}-at-once": name for name in UPDATES}
COMPARED = (*STRATEGIES, ANY_EPOCH, *AT_ONCE)
KEY = ("sha256", "split", "set", "labels", "strategy", "seed")
FIELDS = (*KEY, "encoder", "precision", "metric", "valid", "test", "best_epoch", "epochs", "share",
          "retention", "seconds")  # fmt: skip


def draw(train: Examples, labels: str, seed: int) -> Examples:
    """So many training molecules, drawn by the seed, or all of them in their order."""
    if labels == "all":
        return train
    return subset(train, np.random.default_rng(seed).permutation(len(train))[: int(labels)])


def measure(
    start: Encoder, parts: list[Examples], task_type: str, strategy: str, labels: str, seed: int, device: str
) -> dict[str, object]:
    """Train one network and score its best validation epoch."""
    began = time.monotonic()
    train, valid, test = draw(parts[0], labels, seed), *parts[1:]
    layers, metric = start.config.layers, PRIMARY[task_type]
    named = "lp-ft" if strategy == ANY_EPOCH else AT_ONCE.get(strategy, strategy)
    plan = make_plan(len(train), task_type, pretrained=True, layers=layers, strategy=named)
    if strategy == ANY_EPOCH:
        plan = replace(plan, judged=0, patience=plan.epochs)
    if strategy in AT_ONCE:
        plan = replace(plan, probe=0, epochs=plan.epochs - plan.probe, stages=(Stage(0, 0),))
    torch.manual_seed(seed)
    network = network_on(start, train.labels.shape[1]).to(device)
    score = partial(validation_score, select=metric)
    half = choose_half("auto", torch.device(device), start.config.conv)
    progress = finetune(Task(network, train, valid, plan, score, seed, half))
    found = {
        "valid": turn(metric, progress.best_score) if progress.best_epoch >= 0 else None,
        "test": turn(metric, score(test, predict(network, test.graphs))),
    }
    seconds = round(time.monotonic() - began)
    kept = measure_retention(start, [network.to("cpu").encoder], start.config.scheme)
    return {
        "precision": "bf16" if half else "float32",
        "metric": metric,
        **{name: "undefined" if value is None else f"{value:.4f}" for name, value in found.items()},
        "best_epoch": progress.best_epoch,
        "epochs": progress.epoch,
        "share": progress.share,
        "retention": kept[0] if kept else "",
        "seconds": seconds,
    }


def summarize(rows: list[dict[str, str]]) -> list[str]:
    """Mean ranks (1 is best) and scores by metric and labels, over draws all strategies have been through.

    A draw is a set with a number of labels and a seed; strategies are those that occur in the rows.
    """
    strategies = [name for name in COMPARED if any(row["strategy"] == name for row in rows)]
    draws: dict[tuple[str, str, str, str], dict[str, dict[str, str]]] = defaultdict(dict)
    for row in rows:
        draws[row["metric"], row["labels"], row["set"], row["seed"]][row["strategy"]] = row
    lines = []
    for part in ("valid", "test"):
        scores: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
        for (metric, labels, _, _), found in draws.items():
            values = [found[name][part] for name in strategies if name in found]
            if len(values) == len(strategies) and "undefined" not in values:
                scores[metric, labels].append(np.array(values, dtype=np.float64))
        for what in ("rank", "score"):
            title = f"mean {what} on {part}"
            lines.append(f"{title:19} " + " ".join(f"{name:>9}" for name in strategies) + "  draws")
            for metric, labels in sorted(scores, key=lambda k: (k[0], float(k[1].replace("all", "inf")))):
                values = np.stack(scores[metric, labels])
                if what == "rank":
                    values = rankdata(values if metric in LOWER_IS_BETTER else -values, axis=1)
                digits = 2 if what == "rank" else 4
                shown = " ".join(f"{mean:9.{digits}f}" for mean in values.mean(axis=0))
                lines.append(f"{metric:>10} {labels:>8} {shown}  {len(values):5}")
    return lines


def main() -> None:
    """Run what isn't in the table yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    known = ["bace", "bbbp", "tox21", "esol", "lipophilicity"]
    parser.add_argument("--sets", nargs="*", choices=list(SETS), default=known)
    parser.add_argument("--labels", nargs="+", default=["50", "100", "500", "all"])
    parser.add_argument("--strategies", nargs="+", choices=COMPARED, default=list(STRATEGIES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--split", choices=["inner", "published"], default="inner")
    parser.add_argument("--encoder", default="default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", type=Path, default=TABLE)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    start, digest = open_start(chosen.encoder)
    for seed, name in product(range(chosen.seeds), chosen.sets):
        parts, task_type = read_parts(name, start.config.scheme, seed if chosen.split == "inner" else None)
        for labels, strategy in product(chosen.labels, chosen.strategies):
            if labels != "all" and int(labels) >= len(parts[0]):
                continue
            key = dict(zip(KEY, (digest, chosen.split, name, labels, strategy, seed), strict=True))
            if not is_known(chosen.table, key):
                row = measure(start, parts, task_type, strategy, labels, seed, chosen.device)
                append_row(chosen.table, FIELDS, {**key, "encoder": Path(chosen.encoder).name, **row})
    rows = [row for row in read_rows(chosen.table) if row["strategy"] in chosen.strategies]
    print("\n".join(summarize([r for r in rows if (r["sha256"], r["split"]) == (digest, chosen.split)])))


if __name__ == "__main__":
    main()
