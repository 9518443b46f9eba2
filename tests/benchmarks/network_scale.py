"""Time and memory of node fine-tuning as the network grows, under a budget of memory.

    python -m tests.benchmarks.network_scale [--nodes 10000 100000 1000000] [--memory 4GB] [--plot]
        [--keep FOLDER]

A made-up network with 20 links a node (each stored in both directions), hubs among them, ten classes and
2,000 words, 15 a node. ``molft node-finetune --memory 4GB`` trains one epoch on 2 % of the nodes (twice: to
choose, and on all of them), computes all nodes with all neighbours, scores and writes them: two hops,
batches of 512. Each size runs in a process of its own, of which the system tells the highest resident set.
Processor seconds, unlike seconds, don't go by what else the machine does. Rows go to
data/results/network_scale.csv, their plot to network_scale.png beside it.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import matplotlib
import numpy as np
import scipy.sparse as sp

from molft.files import read_json
from molft.use.memory import parse_memory
from tests.benchmarks.rows import RESULTS, append_row, is_known, read_rows

TABLE, PLOT = RESULTS / "network_scale.csv", RESULTS / "network_scale.png"
LINKS, CLASSES, WORDS, WORDS_EACH = 20, 10, 2000, 15
FIELDS = (
    "nodes", "links", "memory", "seconds_per_epoch", "processor_seconds_per_epoch", "seconds_in_all",
    "peak_bytes", "accuracy", "weighted_f1",
)  # fmt: skip


def write_network(path: Path, nodes: int) -> None:
    """Write a made-up network."""
    rng = np.random.default_rng(nodes)
    label = np.sort(rng.integers(0, CLASSES, nodes))
    firsts = np.searchsorted(label, np.arange(CLASSES + 1))
    # The square of an even number: early numbers are hubs. Two links in three stay within the class.
    one = rng.permutation(nodes)[(nodes * rng.random(nodes * LINKS) ** 2).astype(np.int64)]
    near = firsts[label[one]] + (rng.random(len(one)) * np.diff(firsts)[label[one]]).astype(np.int64)
    other = np.where(rng.random(len(one)) < 2 / 3, near, rng.integers(0, nodes, len(one)))
    apart = one != other
    keys = np.unique(np.minimum(one, other)[apart] * nodes + np.maximum(one, other)[apart])
    half = sp.csr_matrix((np.ones(len(keys), np.int8), (keys // nodes, keys % nodes)), shape=(nodes, nodes))
    links = sp.csr_matrix(half + half.T)
    links.sort_indices()
    common = rng.integers(0, WORDS, (nodes, WORDS_EACH))
    own = (common % (WORDS // CLASSES)) * CLASSES + label[:, None]
    words = np.where(rng.random(common.shape) < 0.2, own, common)
    starts = np.arange(nodes + 1) * WORDS_EACH
    attributes = sp.csr_matrix((np.ones(words.size, np.uint8), words.ravel(), starts), (nodes, WORDS))
    attributes.sum_duplicates()
    np.savez(path, labels=label, **parts("adj", links), **parts("attr", attributes))


def parts(key: str, matrix: sp.csr_matrix) -> dict[str, np.ndarray]:
    """A sparse matrix as the arrays of an .npz file."""
    return {
        f"{key}_data": matrix.data,
        f"{key}_indices": matrix.indices,
        f"{key}_indptr": matrix.indptr,
        f"{key}_shape": np.array(matrix.shape),
    }


def measure(nodes: int, memory: str, file: Path, out: Path) -> dict[str, object]:
    """Run the command on a network of one size, made where ``file`` is missing."""
    if not file.exists():
        write_network(file, nodes)
    words = f"-m molft node-finetune {file} -o {out} --memory {memory} --no-baselines"
    started = time.perf_counter()
    child = os.posix_spawn(
        sys.executable,
        [
            sys.executable,
            *words.split(),
            *"--layers 2 --epochs 1 --batch-size 512 --train-fraction 0.02".split(),
        ],
        dict(os.environ),
    )
    _, status, used = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{nodes} nodes: the command failed")
    record = read_json(out / "metrics.json")
    return {
        "nodes": nodes,
        "links": record["links"] // 2,
        "memory": memory,
        "seconds_per_epoch": f"{record['seconds_per_epoch']:.2f}",
        "processor_seconds_per_epoch": f"{record['processor_seconds_per_epoch']:.2f}",
        "seconds_in_all": f"{time.perf_counter() - started:.1f}",
        "peak_bytes": used.ru_maxrss * 1024,
        **{name: f"{record['test']['network'][name]:.4f}" for name in ("accuracy", "weighted_f1")},
    }


def draw() -> None:
    """Processor seconds an epoch and peak memory by the number of nodes, both axes logarithmic."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = sorted(read_rows(TABLE), key=lambda row: int(row["nodes"]))
    sizes = [int(row["nodes"]) for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    times = [float(row["processor_seconds_per_epoch"]) for row in rows]
    left.loglog(sizes, times, "o-", color="#3465a4")
    left.set(xlabel="nodes", ylabel="processor seconds an epoch")
    right.loglog(sizes, [int(row["peak_bytes"]) / 1e9 for row in rows], "o-", color="#3465a4")
    right.axhline(parse_memory(rows[-1]["memory"]) / 1e9, color="#888888", linestyle="--")
    right.set(xlabel="nodes", ylabel="peak memory, GB (dashed: the budget)")
    figure.savefig(PLOT, dpi=120, metadata={"Software": None})


def main() -> None:
    """Measure what is missing, smallest first, and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--keep", type=Path, help="Keep the networks there, or take them from there.")
    parser.add_argument("--plot", action="store_true", help="Only draw.")
    chosen = parser.parse_args()
    for nodes in [] if chosen.plot else sorted(chosen.nodes):
        if not is_known(TABLE, {"nodes": nodes, "memory": chosen.memory}):
            with tempfile.TemporaryDirectory() as folder:
                file = (chosen.keep or Path(folder)) / f"{nodes}.npz"
                append_row(TABLE, FIELDS, measure(nodes, chosen.memory, file, Path(folder) / "model"))
    draw()


if __name__ == "__main__":
    main()
