"""Looking for the nearest training molecule: our bit counts against RDKit's, on one thread.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.neighbours [--trained 4000] [--queries 512]

Training molecules and queries are the first ones and the next of RDKit's own first_5K.smi; both sides have
the fingerprints beforehand and give the same similarities. CPU time, the best of three turns each.

Measured on a busy core with the numbers above: 198 us a query against RDKit's 384.
"""

import argparse
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
from rdkit import RDConfig
from rdkit.DataStructs import BulkTanimotoSimilarity, CreateFromBitString, ExplicitBitVect

from molft.chem.prepare import Recipe, prepare
from molft.use.molecules import take_rows
from molft.use.neighbours import Neighbours, pack_bits

SOURCE = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"


def best_of_three(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """CPU seconds, and what came out."""
    turns = []
    for _ in range(3):
        started = time.process_time()
        found = work()
        turns.append(time.process_time() - started)
    return min(turns), found


def as_rdkit(bits: np.ndarray) -> list[ExplicitBitVect]:
    """The same bits as RDKit's vectors."""
    rows = np.unpackbits(bits.view(np.uint8), axis=1)
    return [CreateFromBitString("".join(map(str, row))) for row in rows.tolist()]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trained", type=int, default=4000)
    parser.add_argument("--queries", type=int, default=512)
    given = parser.parse_args()
    with SOURCE.open() as file:
        smiles = [line.split()[0] for line in islice(file, given.trained + given.queries + 100)]
    block = prepare(smiles, Recipe(fingerprints=True))
    trained = take_rows(block, np.arange(given.trained))
    queries = take_rows(block, np.arange(given.trained, given.trained + given.queries))
    neighbours = Neighbours.of(trained, smiles[: given.trained])
    theirs, asked = as_rdkit(pack_bits(trained)), as_rdkit(pack_bits(queries))
    ours_s, ours = best_of_three(lambda: neighbours.nearest(queries)[0])
    rdkit_s, rdkit = best_of_three(
        lambda: np.array([max(BulkTanimotoSimilarity(one, theirs)) for one in asked])
    )
    assert np.array_equal(ours, rdkit)
    pairs = given.trained * len(asked)
    for name, seconds in (("molft", ours_s), ("RDKit BulkTanimotoSimilarity and max", rdkit_s)):
        print(f"{name}: {seconds / len(asked) * 1e6:.0f} us a query, {pairs / seconds / 1e6:.0f} M pairs/s")


if __name__ == "__main__":
    main()
