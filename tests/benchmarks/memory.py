"""Peak memory and speed of fine-tuning and pre-training under memory budgets.

    MOLFT_DATA=... python -m tests.benchmarks.memory [--budgets none,2GB,1GB,700MB,600MB] [--batch 1024]
        [--precision float32] [--store DIR]

Molecules drawn from ChEMBL; the default shape (GIN 5 x 300) from random weights; two batches an epoch, two
epochs. Every line is a process of its own, watched from outside every five milliseconds: the peak is the
highest resident set from start to end, molft and its libraries included. The rate is that of the last epoch
(fine-tuning) or step (pre-training), after the way was chosen. Budget "none" is without one.
"""

import argparse
import json
import lzma
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

MB = 10**6


def draw(molecules: int) -> list[str]:
    """SMILES of ChEMBL, the same in every run."""
    if "MOLFT_DATA" not in os.environ:
        sys.exit("set MOLFT_DATA to the folder that holds corpora/")
    path = Path(os.environ["MOLFT_DATA"]) / "corpora" / "chembl.smi.xz"
    with lzma.open(path, "rt") as lines:
        return random.Random(0).sample([line.split()[0] for line in lines], molecules)


def pack(folder: Path, molecules: int) -> Path:
    """A store of some of ChEMBL with the targets of pre-training."""
    from molft.data.corpus import pack_corpus
    from molft.train.pretrain_data import target_arrays

    source = folder / "drawn.smi"
    source.write_text("\n".join(draw(molecules)))
    pack_corpus([source], folder / "store", "ogb", target_arrays, workers=1)
    return folder / "store"


def finetune(store: Path, batch: int, precision: str, budget: Any) -> float:  # noqa: ANN401
    """Two epochs; molecules a second in the last."""
    from molft.data.packed_corpus import open_corpus
    from molft.model.config import NetworkConfig
    from molft.model.network import build_network
    from molft.train.encoders import new_encoder
    from molft.train.finetune import Examples, Task, finetune
    from molft.train.plan import make_plan
    from molft.train.precision import choose_half, may_halve

    corpus = open_corpus(store)
    labels = np.random.default_rng(0).standard_normal((len(corpus), 1)).astype(np.float32)

    def examples(rows: slice) -> Examples:
        chosen = np.arange(len(corpus))[rows]
        return Examples(corpus.take(chosen), labels[rows], np.zeros(labels[rows].shape, np.int8))

    network = build_network(new_encoder("ogb"), NetworkConfig(tasks=1))
    plan = make_plan(2 * batch, "regression", pretrained=False, layers=5, epochs=2, batch_size=batch)
    device = torch.device("cpu")
    task = Task(
        network,
        examples(slice(2 * batch)),
        examples(slice(2 * batch, None)),
        plan,
        lambda *_: 0.0,
        0,
        choose_half(precision, device, "gin"),
        budget,
        may_halve(precision, device, "gin"),
    )
    record = finetune(task).history[-1]
    return record["molecules"] / record["seconds"]


def pretrain(store: Path, batch: int, precision: str, budget: Any) -> float:  # noqa: ANN401
    """Four steps; molecules a second in the last."""
    from molft.train.pretrain import PretrainConfig, pretrain

    rates: list[float] = []
    objectives = {"masking": 1.0, "descriptors": 1.0, "fingerprints": 1.0}
    config = PretrainConfig(objectives, epochs=2, batch_size=batch, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        pretrain(
            store,
            Path(folder) / "run",
            config,
            report_every=1,
            on_report=lambda facts: rates.append(facts["molecules_per_s"]),
            budget=budget,
        )
    return rates[-1]


def measure(work: str, size: str, store: Path, batch: int, precision: str) -> None:
    """What a child process does: one line of JSON."""
    import molft.use.assay  # noqa: F401  (what the command imports counts)
    from molft.train.budget import Budget
    from molft.use.memory import parse_memory

    torch.set_num_threads(1)
    lines: list[str] = []
    device = torch.device("cpu")
    held = _status("VmRSS")
    budget = None if size == "none" else Budget(parse_memory(size), device, lines.append)
    rate = (finetune if work == "finetune" else pretrain)(store, batch, precision, budget)
    print(json.dumps({"held": held, "rate": rate, "lines": lines}))


def _status(name: str, process: str = "self") -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0) * 1024 / MB


def watch(command: list[str]) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run a process to its end; what it printed, and the most memory it held.

    From outside, because molft itself makes the kernel forget its peak before every step that it measures.
    """
    highest = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            highest = max(highest, _status("VmHWM", str(process.pid)))
            time.sleep(0.005)
        out, err = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, out, err), highest


def main() -> None:
    """Print a line for each work and budget."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--budgets", default="none,2GB,1GB,700MB,600MB")
    options.add_argument("--batch", type=int, default=1024)
    options.add_argument("--precision", default="float32")
    options.add_argument("--store", type=Path, help="of molft pretrain; none: one is packed")
    options.add_argument("--measure", nargs=3, metavar=("WORK", "BUDGET", "STORE"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.measure:
        work, size, store = chosen.measure
        return measure(work, size, Path(store), chosen.batch, chosen.precision)
    with tempfile.TemporaryDirectory() as folder:
        store = chosen.store or pack(Path(folder), 2 * chosen.batch + chosen.batch // 4)
        print(f"batch of {chosen.batch:,}, {chosen.precision}, one thread")
        print(f"{'work':10}{'budget':>8}{'held MB':>9}{'peak MB':>9}{'molecules/s':>13}  way", flush=True)
        for work in ("finetune", "pretrain"):
            for size in chosen.budgets.split(","):
                arguments = ["--batch", str(chosen.batch), "--precision", chosen.precision]
                command = [sys.executable, "-m", "tests.benchmarks.memory", *arguments]
                command += ["--measure", work, size, str(store)]
                done, highest = watch(command)
                if done.returncode:
                    print(f"{work:10}{size:>8}  {done.stderr.strip().splitlines()[-1]}", flush=True)
                    continue
                found = json.loads(done.stdout.splitlines()[-1])
                way = " | ".join(line.split(": ", 1)[1].split("; measured")[0] for line in found["lines"])
                print(
                    f"{work:10}{size:>8}{found['held']:9.0f}{highest:9.0f}{found['rate']:13.0f}  {way}",
                    flush=True,
                )
    return None


if __name__ == "__main__":
    main()
