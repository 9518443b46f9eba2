"""Peak memory of packing a corpus and of training on it, for corpora of several sizes.

    python -m tests.benchmarks.corpus_memory FILE [MOLECULES ...]

FILE is a list of at least so many distinct SMILES (default sizes 10,000, 30,000 and 100,000). Each size runs
in processes of its own: one packs (one worker beside it), one trains 40 steps of 256 molecules with masking,
context and descriptors. Memory-mapped pages that the kernel keeps count as memory, though it can drop them
at any time; "anonymous" is what the process can't do without.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import torch

from molft.data.corpus import pack_corpus
from molft.data.streams import open_binary
from molft.errors import MolftError
from molft.train.pretrain import pretrain
from molft.train.pretrain_config import PretrainConfig
from molft.train.pretrain_data import target_arrays

SIZES = (10_000, 30_000, 100_000)
STEPS = 40
CONFIG = PretrainConfig({"masking": 1.0, "context": 1.0, "descriptors": 1.0}, epochs=1000, layers=3, width=64)


class Enough(Exception):
    """Ends a training."""


def stop(facts: dict[str, float]) -> None:
    """Called at the first report."""
    raise Enough


def memory() -> str:
    """Peak and present anonymous memory of this process, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return f"peak {peak:6.0f} MB, anonymous {int(status['RssAnon'].split()[0]) / 1024:6.0f} MB"


def work(deed: str, folder: Path) -> None:
    """What a child process does."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    if deed == "pack":
        counts = pack_corpus([folder / "corpus.smi"], folder / "store", "ogb", target_arrays, workers=1)
        size = sum(path.stat().st_size for path in (folder / "store").iterdir())
        print(
            f"{counts.kept:9,} molecules  pack   {memory()}, {size / counts.kept:.0f} bytes a molecule",
            end="",
        )
    else:
        try:
            pretrain(folder / "store", folder / "run", CONFIG, report_every=STEPS, on_report=stop)
        except Enough:
            print(f"{'':20}  train  {memory()}", end="")
    print(f", {time.perf_counter() - start:.0f} s")


def main() -> None:
    """Print two lines for each size."""
    if len(sys.argv) < 2:
        raise MolftError("give a file of SMILES")
    if sys.argv[1] in ("pack", "train"):
        return work(sys.argv[1], Path(sys.argv[2]))
    sizes = [int(text) for text in sys.argv[2:]] or SIZES
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            take(Path(sys.argv[1]), size, Path(name) / "corpus.smi")
            for deed in ("pack", "train"):
                command = [sys.executable, "-m", "tests.benchmarks.corpus_memory", deed, name]
                subprocess.run(command, check=True)
    return None


def take(source: Path, lines: int, target: Path) -> None:
    """Copy the first lines of a file that may be compressed."""
    with ExitStack() as stack, target.open("wb") as out:
        out.writelines(islice(open_binary(source, stack), lines))


if __name__ == "__main__":
    main()
