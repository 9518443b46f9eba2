"""Memory of every process of a screen over time, as the library grows: it must not grow with it.

    python -m tests.benchmarks.screen_memory [--rows 10000,100000] [--workers 2] [--members 1]
        [--encoder small] [--model DIR] [--curve data/results/screen_memory]

The library is what MOLFT_DATA holds of vendors' compounds and of corpora, shuffled, and again from the first
if that is not enough (RDKit's own first_5K.smi without MOLFT_DATA). Without a model, one of a shipped
encoder with a random head is made, of --members networks. Each size is one ``molft screen``, CSV to CSV; once
a second the resident memory of its process and of each child is noted. Printed are the peak of the screening
process and of the largest child, by how much the screening process grew from the first tenth of the time to
the last, and rows a second with start-up. --curve keeps all that was noted as CSV, and draws it as PNG.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.benchmarks.screen_inputs import ALL, save_model, write_library

EVERY_S = 1.0
POINTS = 300


class Sample(NamedTuple):
    """Resident memory of one process at one moment of a screen."""

    rows: int
    seconds: float
    process: str
    megabytes: float


def watch(command: list[str], rows: int) -> Iterator[Sample]:
    """Run a command and tell the memory of its processes until it ends; a failure is an error."""
    started = time.monotonic()
    running = psutil.Popen(command, stdout=subprocess.DEVNULL)
    names = {running.pid: "screen"}
    while running.poll() is None:
        for process in [running, *running.children(recursive=True)]:
            try:
                size = process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            name = names.setdefault(process.pid, f"reader {len(names)}")
            yield Sample(rows, time.monotonic() - started, name, size / 2**20)
        time.sleep(EVERY_S)
    if running.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {running.returncode}")


def tell(samples: list[Sample]) -> str:
    """One line of the table."""
    names = list(dict.fromkeys(sample.process for sample in samples))
    peaks = {name: max(s.megabytes for s in samples if s.process == name) for name in names}
    seconds = samples[-1].seconds
    main = [sample for sample in samples if sample.process == "screen"]
    early = max((s.megabytes for s in main if s.seconds <= seconds / 10), default=0.0)
    late = max(s.megabytes for s in main if s.seconds >= seconds * 0.9)
    readers = max((peak for name, peak in peaks.items() if name != "screen"), default=0.0)
    rows = samples[0].rows
    return (
        f"{rows:>10} {peaks['screen']:>10.0f} {readers:>10.0f} {late - early:>+10.0f} {rows / seconds:>8.0f}"
    )


def thin(samples: list[Sample]) -> list[Sample]:
    """At most POINTS samples of each process: of those that fall together, the largest."""
    kept = []
    for run in dict.fromkeys((s.rows, s.process) for s in samples):
        curve = [s for s in samples if (s.rows, s.process) == run]
        size = -(-len(curve) // POINTS)
        pieces = (curve[start : start + size] for start in range(0, len(curve), size))
        kept += [max(piece, key=lambda s: s.megabytes) for piece in pieces]
    return kept


def keep(samples: list[Sample], path: Path) -> None:
    """The samples, thinned, as ``path``.csv and as a plot, ``path``.png."""
    from matplotlib.figure import Figure

    samples = thin(samples)
    with path.with_suffix(".csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["rows", "seconds", "process", "resident_mb"])
        table.writerows([s.rows, f"{s.seconds:.1f}", s.process, f"{s.megabytes:.1f}"] for s in samples)
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    for rows, process in dict.fromkeys((s.rows, s.process) for s in samples):
        curve = [s for s in samples if (s.rows, s.process) == (rows, process)]
        x, y = [s.seconds / 60 for s in curve], [s.megabytes for s in curve]
        axes.plot(x, y, lw=1, label=f"{process}, {rows:,} rows")
    axes.set(xlabel="minutes", ylabel="resident memory, MB", ylim=(0, None))
    axes.legend(frameon=False, fontsize="small")
    figure.savefig(path.with_suffix(".png"), dpi=150)


def main() -> None:
    """Measure each size."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--model", type=Path)
    arguments.add_argument("--members", type=int, default=1)
    arguments.add_argument("--encoder", default="default")
    arguments.add_argument("--rows", default="10000,100000")
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--curve", type=Path)
    chosen = arguments.parse_args()
    found: list[Sample] = []
    with tempfile.TemporaryDirectory() as folder:
        model = chosen.model or save_model(Path(folder) / "model", chosen.members, chosen.encoder)
        print(f"{'rows':>10} {'screen MB':>10} {'reader MB':>10} {'growth MB':>10} {'rows/s':>8}", flush=True)
        for rows in map(int, chosen.rows.split(",")):
            library = write_library(Path(folder) / f"{rows}.csv", rows, ALL)
            output = Path(folder) / f"{rows}-out.csv"
            command = [sys.executable, "-m", "molft", "screen", str(library), "-m", str(model)]
            options = ["-o", str(output), "--workers", str(chosen.workers)]
            samples = list(watch([*command, *options], rows))
            print(tell(samples), flush=True)
            found += samples
            if chosen.curve:
                keep(found, chosen.curve)


if __name__ == "__main__":
    main()
