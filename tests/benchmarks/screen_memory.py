"""Peak memory and rate of a screen as the library grows: the memory must not grow with it.

    python -m tests.benchmarks.screen_memory [--model DIR] [--rows 10000,100000] [--workers 2]

The library is RDKit's own first_5K.smi over and over. Without a model, one of the default shape with random
weights and no forest is made. Each size runs in a fresh process; the memory told is that of the screening
process (a worker has no state between blocks and is limited to 4 GiB by itself).

Measured on two busy cores: 398 MB at 10,000 and 401 MB at 100,000 rows with a network
of two layers of width 16; 458 MB at 2,000 and 459 MB at 10,000 rows with one of the default shape.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

from rdkit import RDConfig

SOURCE = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"


def make_model(folder: Path) -> Path:
    """A model of the default shape; its numbers mean nothing."""
    import torch

    from molft.chem.prepare import Recipe
    from molft.train.encoders import new_encoder
    from molft.use.model import About, Model, build_network

    torch.manual_seed(0)
    encoder = new_encoder("ogb")
    about = About(
        tasks=("active",),
        task_type="classification",
        answer="network",
        recipe=Recipe(),
        encoder=encoder.config,
        readout="mean",
        head="linear",
        members=1,
        centre=(0.0,),
        scale=(1.0,),
        thresholds=(0.5,),
        facts={},
    )
    Model(about, [build_network(about, encoder)], None).save(folder)
    return folder


def measure(model: str, library: str, output: str, workers: int) -> None:
    """Screen once and print what it took."""
    from molft.use.screen import screen

    summary = screen(model, library, output, workers=workers)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{summary.rows:>10} {peak:>10.0f} {summary.molecules_per_s:>8.0f}", flush=True)


def main() -> None:
    """Measure each size in a process of its own."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--model", type=Path)
    arguments.add_argument("--rows", default="10000,100000")
    arguments.add_argument("--workers", type=int, default=2)
    chosen = arguments.parse_args()
    lines = SOURCE.read_text().splitlines()
    with tempfile.TemporaryDirectory() as folder:
        model = chosen.model or make_model(Path(folder) / "model")
        print(f"{'rows':>10} {'peak MB':>10} {'rows/s':>8}", flush=True)
        for rows in map(int, chosen.rows.split(",")):
            library = Path(folder) / f"{rows}.smi"
            with library.open("w") as file:
                file.writelines(f"{line}\n" for line in islice(cycle(lines), rows))
            output = Path(folder) / f"{rows}.csv"
            call = f"measure({str(model)!r}, {str(library)!r}, {str(output)!r}, {chosen.workers})"
            code = f"from tests.benchmarks.screen_memory import measure; {call}"
            subprocess.run([sys.executable, "-c", code], check=True)


if __name__ == "__main__":
    main()
