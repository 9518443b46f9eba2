"""Speed from SMILES to packed arrays, against RDKit's parsing alone and against OGB's own code.

    python -m tests.benchmarks.featurize [LIBRARY] [ROWS]

One core. LIBRARY is any file that molft reads (default data/example_library.smi). The sides take turns in
one run and CPU seconds are counted, so that a busy machine slows all of them alike or not at all. In each
turn a task runs twice and the second run counts: RDKit's speed changes by a third with the state in which
another task leaves the heap.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from rdkit import Chem, rdBase

from molft.chem.features import OGB, SNAP, Scheme, featurize
from molft.chem.prepare import Recipe, prepare
from molft.chem.smiles import parse_all
from molft.data.formats import read_table
from molft.data.table import find_smiles_column

LIBRARY = Path(__file__).parents[2] / "data" / "example_library.smi"
BLOCK = 2048  # as in packing a corpus
ROUNDS = 5


def take_turns(
    tasks: dict[str, Callable[[], object]], molecules: int, rounds: int = ROUNDS
) -> dict[str, float]:
    """Median CPU seconds of each task, the tasks run in turn; prints a line for each."""
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            task()
            start = time.process_time()
            task()
            taken[name].append(time.process_time() - start)
    medians = {name: median(times) for name, times in taken.items()}
    for name, seconds in medians.items():
        each = 1e6 * seconds / molecules
        print(f"  {name:34s} {each:7.1f} us a molecule, {1e6 / each:8.0f} molecules/s")
    return medians


def parse_alone(smiles: Sequence[str]) -> None:
    """What anyone does with RDKit, in the same blocks."""
    for start in range(0, len(smiles), BLOCK):
        [Chem.MolFromSmiles(text) for text in smiles[start : start + BLOCK]]


def encode(smiles: Sequence[str], scheme: Scheme) -> None:
    """Parse and featurise block by block, as the workers do."""
    for start in range(0, len(smiles), BLOCK):
        featurize([mol for mol in parse_all(smiles[start : start + BLOCK]) if mol], scheme)


def standardise(smiles: Sequence[str]) -> None:
    """The whole preparation: standard form and canonical atom order too."""
    for start in range(0, len(smiles), BLOCK):
        prepare(smiles[start : start + BLOCK], Recipe())


def compare(smiles: Sequence[str]) -> None:
    """Print the ratios, and what standardising adds."""
    sys.modules["outdated"] = None  # type: ignore[assignment]  # else ogb asks the network for its newest version
    from ogb.utils.mol import smiles2graph

    tasks: dict[str, Callable[[], object]] = {
        "RDKit parsing alone": lambda: parse_alone(smiles),
        "molft, snap": lambda: encode(smiles, SNAP),
        "molft, ogb": lambda: encode(smiles, OGB),
        "molft, ogb, standardised": lambda: standardise(smiles),
    }
    times = take_turns(tasks, len(smiles))
    some = smiles[::8]
    times |= take_turns(
        {"ogb.utils.smiles2graph": lambda: [smiles2graph(text) for text in some]}, len(some), 3
    )
    parsing, ogb = times["RDKit parsing alone"], 8 * times["ogb.utils.smiles2graph"]
    print(f"snap reaches {parsing / times['molft, snap']:.2f} of the rate of parsing alone")
    print(f"ogb reaches {parsing / times['molft, ogb']:.2f} of the rate of parsing alone")
    print(f"ogb is {ogb / times['molft, ogb']:.1f} x as fast as ogb.utils.smiles2graph")


def main(library: Path = LIBRARY, rows: int = 4096) -> None:
    """Compare on the good molecules among the first rows, repeated where there are fewer than ``rows``."""
    frame = read_table(library)
    texts = frame[find_smiles_column(frame)[0]].tolist()[:rows]
    good = [text for text, mol in zip(texts, parse_all(texts), strict=True) if mol]
    smiles = (good * -(-rows // len(good)))[:rows]
    print(f"{len(smiles)} molecules ({len(good)} different) of {library.name}, one core")
    with rdBase.BlockLogs():
        compare(smiles)


if __name__ == "__main__":
    main(*(kind(text) for kind, text in zip((Path, int), sys.argv[1:], strict=False)))
