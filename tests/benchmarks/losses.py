"""Which loss suits rare classes: cross-entropy, weighted, focal, or cross-entropy on oversampled molecules.

    MOLFT_DATA=... python -m tests.benchmarks.losses [--sets clintox tox21 hiv muv] [--rows 8000] [--seeds 3]

Published scaffold split; one network by molft's plan with only the loss changed. The epoch is chosen on
validation by the plan's metric (PR-AUC where the rarer class is under a fifth of all labels), the same for
all losses. Test scores are means over the tasks: PR-AUC, ROC-AUC, enrichment among the best 1 %, and expected
calibration error of the probabilities as they come. ``--rows`` draws so many of the training molecules, for
large sets. Rows go to data/results/losses.csv, with the sha256 of the encoder's weights; one that stands
there is not measured again. In the end the means over the seeds are printed.
"""

import argparse
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import torch

from molft.model.encoder import Encoder
from molft.train.finetune import Examples, Task, finetune
from molft.train.loop import predict
from molft.train.losses import ClassBalance
from molft.train.plan import make_plan
from molft.train.precision import choose_half
from molft.use.evaluate import validation_score
from molft.use.model import squash
from molft.use.scores import score
from tests.benchmarks.parts import network_on, open_start, read_parts, subset
from tests.benchmarks.rows import RESULTS, append_row, is_known, read_rows

TABLE = RESULTS / "losses.csv"
LOSSES = {
    "bce": ("bce", False),
    "weighted": ("weighted", False),
    "focal": ("focal", False),
    "oversampled": ("bce", True),
}
METRICS = ("pr_auc", "roc_auc", "enrichment_1", "ece")
KEY = ("sha256", "set", "rows", "strategy", "loss", "seed")
FIELDS = (*KEY, "encoder", "precision", "plan", "positive", "select", "valid", *METRICS, "tasks",
          "best_epoch", "seconds")  # fmt: skip


def shown(value: float | None) -> str:
    """A number for the table."""
    return "undefined" if value is None else f"{value:.4f}"


def measure(
    start: Encoder, train: Examples, rest: list[Examples], name: str, strategy: str, seed: int, device: str
) -> dict[str, object]:
    """Train one network with a loss, and score its best validation epoch on test."""
    began = time.monotonic()
    valid, test = rest
    balance = ClassBalance.of(train.labels)
    loss, oversample = LOSSES[name]
    plan = make_plan(
        len(train),
        "classification",
        pretrained=True,
        layers=start.config.layers,
        minority=balance.minority,
        strategy=strategy,
        loss=loss,
        oversample=oversample,
    )
    torch.manual_seed(seed)
    network = network_on(start, train.labels.shape[1]).to(device)
    judge = partial(validation_score, select=plan.select)
    half = choose_half("auto", torch.device(device), start.config.conv)
    progress = finetune(Task(network, train, valid, plan, judge, seed, half))
    tasks = [str(task) for task in range(train.labels.shape[1])]
    predicted = squash(predict(network, test.graphs))
    found = score(test.labels, predicted, "classification", tasks, resamples=0)
    return {
        "precision": "bf16" if half else "float32",
        "plan": plan.strategy,
        "positive": f"{balance.positive.sum() / (balance.positive + balance.negative).sum():.4f}",
        "select": plan.select,
        "valid": shown(progress.best_score if progress.best_epoch >= 0 else None),
        **{metric: shown(found.mean[metric].value) for metric in METRICS},
        "tasks": sum(found.tasks[task]["roc_auc"].value is not None for task in tasks),
        "best_epoch": progress.best_epoch,
        "seconds": round(time.monotonic() - began),
    }


def summarize(rows: list[dict[str, str]]) -> list[str]:
    """Means over the seeds, one line for each set, number of rows and loss."""
    groups: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        groups[row["set"], row["rows"], row["loss"]].append(row)
    lines = [f"{'set':>10} {'rows':>6} {'loss':>12} {'seeds':>5} " + " ".join(f"{m:>12}" for m in METRICS)]
    for (name, count, loss), found in groups.items():
        means = [
            np.mean([float(row[metric]) for row in found if row[metric] != "undefined"] or [np.nan])
            for metric in METRICS
        ]
        lines.append(
            f"{name:>10} {count:>6} {loss:>12} {len(found):>5} " + " ".join(f"{m:12.4f}" for m in means)
        )
    return lines


def main() -> None:
    """Run what isn't in the table yet, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sets", nargs="*", default=["clintox", "tox21"])
    parser.add_argument("--rows", type=int, default=0, help="training molecules; 0: all")
    parser.add_argument("--losses", nargs="+", choices=list(LOSSES), default=list(LOSSES))
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--encoder", default="default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", type=Path, default=TABLE)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    start, digest = open_start(chosen.encoder)
    for name in chosen.sets:
        (whole, *rest), task_type = read_parts(name, start.config.scheme)
        if task_type != "classification":
            raise SystemExit(f"{name}: a set of values has no rare class; choose a classification set")
        count = min(chosen.rows or len(whole), len(whole))
        for seed in range(chosen.seeds):
            rows = np.random.default_rng(seed).permutation(len(whole))[:count]
            train = whole if count == len(whole) else subset(whole, rows)
            for loss in chosen.losses:
                key = dict(zip(KEY, (digest, name, count, chosen.strategy, loss, seed), strict=True))
                if not is_known(chosen.table, key):
                    row = measure(start, train, rest, loss, chosen.strategy, seed, chosen.device)
                    append_row(chosen.table, FIELDS, {**key, "encoder": Path(chosen.encoder).name, **row})
    print("\n".join(summarize([row for row in read_rows(chosen.table) if row["sha256"] == digest])))


if __name__ == "__main__":
    main()
