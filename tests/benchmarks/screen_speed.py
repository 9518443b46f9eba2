"""``molft screen``, CSV to CSV with start-up, against bare RDKit parsing and against ``chemprop predict``.

    python -m tests.benchmarks.screen_speed [--rows 10000,50000] [--rounds 3] [--chemprop ENVIRONMENT]

On two cores of this machine, or one, by the process's affinity. All take turns, so that an hour when the
machine is busy with other things is everybody's; the quickest turn counts. The compounds are Enamine's,
shuffled (RDKit's own first_5K.smi over and over without MOLFT_DATA).

* parse: ``Chem.MolFromSmiles`` alone, in a spawned pool of two processes, ready before the clock starts.
* molft: a shipped encoder with a random head, one network or five; a network costs the same whatever it
  has learned. With two cores --workers 2, with one --workers 1; "bf16" is --precision bf16, which a screen
  takes by itself where the processor has units for it, and whose ranking tests.benchmarks.screen_precision
  compares.
* rows: what one process does with a row besides chemistry and network, reading CSV and writing a folder of
  parquet parts; it bounds how many cores of a cluster one screen keeps busy.
* chemprop (of another environment, with its ``bin/chemprop``): its default D-MPNN, trained for one epoch on
  500 compounds here, on two cores. It gets the compounds that RDKit can read: one that it can't ends its run.

At the end stands what the rows of the last size took that the first hasn't, which no start-up is part of, and
what 10^9 such compounds would take, by the core seconds of the last size.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase

import molft.use.sweep as sweeps
from molft.chem.prepare import Recipe
from molft.use.question import Answered, Question
from tests.benchmarks.screen_inputs import ENAMINE, save_model, write_library

CHUNK = 500
# A command uses as many threads as it would by itself, whatever this process was told.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
CORES = sorted(os.sched_getaffinity(0))[:2]


def parse(smiles: Sequence[str]) -> float:
    """Parse, and tell how many seconds of a core it took."""
    started = time.process_time()
    with rdBase.BlockLogs():
        for text in smiles:
            Chem.MolFromSmiles(text)
    return time.process_time() - started


class Turn(NamedTuple):
    """Seconds by the clock, and of all cores (of this process and of those that have ended)."""

    seconds: float
    core_seconds: float


def measure(work: Callable[[], object]) -> Turn:
    """One turn."""
    started, before = time.perf_counter(), os.times()
    work()
    after = os.times()
    return Turn(time.perf_counter() - started, sum(after[:4]) - sum(before[:4]))


def time_parse(library: Path) -> Turn:
    """Time to parse a library in two processes."""
    smiles = pd.read_csv(library)["smiles"].tolist()
    chunks = [smiles[start : start + CHUNK] for start in range(0, len(smiles), CHUNK)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(parse, chunks[:8], chunksize=1)
        spent: list[float] = []
        turn = measure(lambda: spent.extend(pool.map(parse, chunks, chunksize=1)))
    return turn._replace(core_seconds=sum(spent))


def run(command: Sequence[str | Path], cores: Sequence[int] = CORES) -> None:
    """Run a command on so many cores; a failure is an error that shows its output."""
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    done = subprocess.run(
        list(map(str, command)),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    if done.returncode:
        raise SystemExit(f"{done.args} ended with {done.returncode}:\n{done.stdout[-3000:]}")


def time_molft(library: Path, model: Path, cores: Sequence[int], precision: str) -> Turn:
    """Time of a whole ``molft screen``."""
    output = library.with_name("molft-out.csv")
    command = [sys.executable, "-m", "molft", "screen", library, "-m", model, "-o", output, "--overwrite"]
    options = ["--workers", str(len(cores)), "--precision", precision]
    return measure(lambda: run([*command, *options], cores))


def train_chemprop(environment: Path, folder: Path) -> Path:
    """chemprop's default model after one epoch; it knows little, and costs what any of its kind does."""
    library = write_library(folder / "chemprop-library.csv", 500, ENAMINE)
    table = pd.read_csv(library)
    table["carbons"] = table["smiles"].str.upper().str.count("C")
    table[["smiles", "carbons"]].to_csv(folder / "chemprop-train.csv", index=False)
    command = [environment / "bin" / "chemprop", "train", "-i", folder / "chemprop-train.csv"]
    options = ["--task-type", "regression", "--epochs", "1", "--warmup-epochs", "0"]
    run([*command, "-o", folder / "chemprop", *options])
    return next((folder / "chemprop").rglob("best.pt"))


def write_readable(library: Path) -> Path:
    """The rows of a library that RDKit can read."""
    table = pd.read_csv(library)
    with rdBase.BlockLogs():
        readable = [Chem.MolFromSmiles(text) is not None for text in table["smiles"]]
    table[readable].to_csv(library.with_name("readable.csv"), index=False)
    return library.with_name("readable.csv")


def time_chemprop(library: Path, environment: Path, model: Path) -> Turn:
    """Time of a whole ``chemprop predict``."""
    output = library.with_name("chemprop-out.csv")
    command = [environment / "bin" / "chemprop", "predict", "-i", library, "--smiles-columns", "smiles"]
    return measure(lambda: run([*command, "--model-paths", model, "-o", output]))


def time_rows(library: Path) -> Turn:
    """Time to read a library and write its parts with numbers from nowhere, as the folder ``rows-out``."""

    def answer(question: Question, blocks: Iterator[list[str]], workers: int | None) -> Iterator[Answered]:
        draw = np.random.default_rng(0)
        for block in blocks:
            yield Answered(draw.random((len(block), 1)), np.arange(len(block)), [])

    output = library.with_name("rows-out")
    question = Question("nothing", Recipe(), ("active",), lambda block: np.zeros((0, 1)), {})
    here, sweeps.answer_here = sweeps.answer_here, answer
    try:
        return measure(lambda: sweeps.sweep(sweeps.Job(library, output, overwrite=True), question))
    finally:
        sweeps.answer_here = here


def project(rows: int, screened: Turn, handled: Turn, shares: dict[str, int]) -> str:
    """What 10^9 take, by core time: ``shares`` are bytes of the rows."""
    core_hours, hours = (turn.core_seconds / rows * 1e9 / 3600 for turn in (screened, handled))
    sizes = ", ".join(f"{name} {size / rows:.0f} GB" for name, size in shares.items())
    fed = screened.core_seconds / handled.core_seconds
    return (
        f"10^9 compounds: {core_hours:,.0f} core-hours, {core_hours / 64:,.0f} h on 64 cores; one screening "
        f"process handles their rows in {hours:.1f} h and feeds {fed:.0f} cores; {sizes}"
    )


def race(library: Path, models: dict[str, Path], chemprop: Path | None, rounds: int) -> dict[str, Turn]:
    """The quickest turn of each."""
    work: dict[str, Callable[[], Turn]] = {"parse": partial(time_parse, library)}
    if chemprop:
        readable = write_readable(library)
        work["chemprop"] = partial(time_chemprop, readable, chemprop, models["chemprop"])
    for bits in ("bf16", "float32"):
        work[f"molft, {bits}"] = partial(time_molft, library, models["one"], CORES, bits)
        work[f"molft, {bits}, 1 core"] = partial(time_molft, library, models["one"], CORES[:1], bits)
        work[f"molft, {bits}, 5 networks"] = partial(time_molft, library, models["five"], CORES, bits)
    work["molft, bf16, small"] = partial(time_molft, library, models["small"], CORES, "bf16")
    work["rows, one process"] = partial(time_rows, library)
    turns = [{name: one() for name, one in work.items()} for _ in range(rounds)]
    return {name: min(turn[name] for turn in turns) for name in work}


def tell(rows: int, turns: dict[str, Turn]) -> None:
    """The table of a size."""
    for name, turn in turns.items():
        told = [f"{turns['parse'].seconds / turn.seconds:.2f} of the parse rate"]
        if "chemprop" in turns:
            told.append(f"{turns['chemprop'].seconds / turn.seconds:.1f} x chemprop")
        if name.endswith(("1 core", "5 networks")):
            one = turns[name.rpartition(", ")[0]].seconds
            told = [f"{turn.seconds / one:.2f} x the time of one network on two cores"]
        ratio = ", ".join(told) if name.startswith("molft") else ""
        line = (
            f"{rows:>8} {name:<28} {turn.seconds:>8.1f} {turn.core_seconds:>8.1f} {rows / turn.seconds:>8.0f}"
        )
        print(f"{line}  {ratio}".rstrip(), flush=True)


def tell_later(sizes: Sequence[int], turns: Sequence[dict[str, Turn]]) -> None:
    """Shares of the parse rate for the rows that the last size has more than the first."""
    more = {name: turns[-1][name].seconds - turns[0][name].seconds for name in turns[0]}
    for name in ("molft, bf16", "molft, float32", "molft, bf16, small"):
        share = more["parse"] / more[name]
        print(f"{name}, rows {sizes[0]:,} to {sizes[-1]:,}: {share:.2f} of the parse rate")


def main() -> None:
    """Print a table of each size."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--rows", default="10000,50000")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--chemprop", type=Path, help="An environment with bin/chemprop.")
    chosen = arguments.parse_args()
    if len(CORES) < 2:
        raise SystemExit("this needs two cores")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = {
            "one": save_model(folder / "one"),
            "five": save_model(folder / "five", members=5),
            "small": save_model(folder / "small", encoder="small"),
        }
        if chosen.chemprop:
            models["chemprop"] = train_chemprop(chosen.chemprop, folder)
        print(f"{'rows':>8} {'what':<28} {'seconds':>8} {'core s':>8} {'rows/s':>8}  ratio", flush=True)
        sizes, turns = list(map(int, chosen.rows.split(","))), list[dict[str, Turn]]()
        for rows in sizes:
            library = write_library(folder / f"{rows}.csv", rows, ENAMINE)
            turns.append(race(library, models, chosen.chemprop, chosen.rounds))
            tell(rows, turns[-1])
        if len(sizes) > 1:
            tell_later(sizes, turns)
        files = {"CSV in": library, "CSV out": folder / "molft-out.csv"}
        shares = {name: file.stat().st_size for name, file in files.items()}
        shares["parquet out"] = sum(file.stat().st_size for file in (folder / "rows-out").glob("*.parquet"))
        for name, turn in turns[-1].items():
            if name.startswith("molft") and "1 core" not in name:
                print(f"{name}: {project(rows, turn, turns[-1]['rows, one process'], shares)}")


if __name__ == "__main__":
    main()
