"""The molecules that MoleculeNet's scaffold splits keep for validation and test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from molft.chem.leakage import HeldOut, hold_out
from molft.data.moleculenet import SETS, load, published_split


def benchmark_molecules(
    names: Sequence[str] = tuple(SETS),
    data_dir: Path | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> HeldOut:
    """What to keep out of a corpus, so that no benchmark is judged on molecules that were trained on.

    These are the validation and test parts of the published splits, as in Hu, Liu et al. (ICLR 2020). A set
    that is not at hand is downloaded; where that fails, :class:`MolftError` says what to do.
    """
    smiles: list[str] = []
    for number, name in enumerate(names):
        if progress:
            progress(number, len(names), name)
        benchmark = load(name, data_dir)
        split = published_split(benchmark)
        smiles += [benchmark.smiles[row] for part in (split.valid, split.test) for row in part.tolist()]
    return hold_out(list(dict.fromkeys(smiles)))
