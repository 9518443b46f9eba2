"""Fine-tune on MoleculeNet files as a user would hold them: raw CSV, no preparation, molft's defaults.

    MOLFT_DATA=... python -m tests.benchmarks.assays [--encoder default] [NAME ...]

Prints network, forest, Gaussian process (up to 2,000 molecules) and blend on the test part of molft's own
scaffold split (achiral scaffolds, salts stripped, duplicates merged: not the SNAP split, so not the numbers
of the papers), and writes the rows to data/results/assays.csv. Rows of other sets and encoders that stand
there are kept.
"""

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path

import torch

from molft.use.assay import finetune
from molft.use.console import ConsoleReporter
from molft.use.evaluate import PRIMARY
from molft.use.options import Options

RESULTS = Path(__file__).resolve().parents[2] / "data" / "results" / "assays.csv"
SETS = {
    "bbbp": ("BBBP.csv", ()),
    "bace": ("bace.csv", ("Class",)),
    "tox21": ("tox21.csv", ()),
    "esol": ("delaney-processed.csv", ("measured log solubility in mols per litre",)),
    "lipophilicity": ("Lipophilicity.csv", ()),
}
FIELDS = ("set", "encoder", "seed", "metric", "network", "forest", "gp", "blend", "answer", "networks",
          "molecules", "split", "test_fingerprint", "data_sha256", "seconds")  # fmt: skip


def measure(name: str, encoder: str, seed: int) -> dict[str, object]:
    """One row of the table."""
    file, targets = SETS[name]
    table = Path(os.environ["MOLFT_DATA"]) / "moleculenet" / file
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ConsoleReporter() as reporter:
        options = Options(target_columns=targets, encoder=encoder, seed=seed)
        model, evaluation = finetune(table, Path(folder) / "model", options, reporter=reporter)
    metric = PRIMARY[model.about.task_type]
    data = model.about.facts["data"]
    test = data["split"]["parts"][2]
    return {
        "set": name,
        "encoder": encoder,
        "seed": seed,
        "metric": metric,
        **{answer: found.mean[metric].text for answer, found in evaluation.scores["test"].items()},
        "answer": model.about.answer,
        "networks": model.about.members,
        "molecules": sum(part["rows"] for part in data["split"]["parts"]),
        "split": model.about.facts["split"],
        "test_fingerprint": test["fingerprint"],
        "data_sha256": data["sha256"][:12],
        "seconds": round(time.monotonic() - started),
    }


def write(rows: list[dict[str, object]]) -> None:
    """Put the rows into the results file, in place of those of the same set, encoder and seed."""
    known: dict[tuple[str, ...], dict[str, object]] = {}
    if RESULTS.exists():
        with RESULTS.open() as file:
            known = {(row["set"], row["encoder"], row["seed"]): dict(row) for row in csv.DictReader(file)}
    known |= {(str(row["set"]), str(row["encoder"]), str(row["seed"])): row for row in rows}
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(known[key] for key in sorted(known))


def main() -> None:
    """Run the sets that are asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*SETS, []])
    parser.add_argument("--encoder", default="default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    for name in chosen.names or list(SETS):
        row = measure(name, chosen.encoder, chosen.seed)
        write([row])
        print("| " + " | ".join(str(row.get(field, "-")) for field in FIELDS) + " |", flush=True)


if __name__ == "__main__":
    main()
