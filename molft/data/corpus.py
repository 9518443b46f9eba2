"""Files of SMILES to one packed store for pre-training: filtered, de-duplicated, never all in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from molft.chem.graphs import Graphs
from molft.chem.prepare import Block, Recipe, prepare
from molft.chem.smiles import Limits
from molft.chem.worker import map_blocks
from molft.data.formats import read_blocks
from molft.data.store import write_store
from molft.data.table import find_smiles_column

# Drug-like corpora hold nothing larger; a few giants would only make batches uneven.
LARGEST_ATOMS = 100
_BLOCK = 2048

Extras = Callable[[Block], Mapping[str, NDArray[np.generic]]]


@dataclass
class CorpusCounts:
    """What became of the rows: read, chosen by ``--sample``, refused by stage, double, kept."""

    read: int = 0
    chosen: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    kept: int = 0


def pack_corpus(
    paths: Sequence[Path],
    directory: Path,
    scheme: str,
    extras: Extras,
    *,
    sample: float = 1.0,
    seed: int = 0,
    workers: int = 2,
    progress: Callable[[CorpusCounts], None] | None = None,
) -> CorpusCounts:
    """Write every distinct molecule of the files to a store.

    ``sample`` keeps that share of the rows, drawn by ``seed``. ``extras`` makes further per-molecule arrays
    (targets) of a block. Of equal molecules (by canonical SMILES) the first is kept; 8 bytes are remembered
    for each, so memory grows by 16 MB for two million.
    """
    counts = CorpusCounts()
    recipe = Recipe(
        scheme=scheme, standardize=False, limits=Limits(atoms=LARGEST_ATOMS), keys=True, forest=True
    )
    strings = _sampled(paths, sample, seed, counts)
    blocks = map_blocks(partial(prepare, recipe=recipe), strings, workers=workers)
    write_store(directory, scheme, _distinct(blocks, extras, counts, progress))
    return counts


def _sampled(paths: Sequence[Path], sample: float, seed: int, counts: CorpusCounts) -> Iterator[list[str]]:
    rng = np.random.default_rng(seed)
    for path in paths:
        column = None
        for frame in read_blocks(path, rows=_BLOCK):
            column = column or find_smiles_column(frame)[0]
            chosen = rng.random(len(frame)) < sample
            counts.read += len(frame)
            counts.chosen += int(chosen.sum())
            yield frame[column][chosen].tolist()


def _distinct(
    blocks: Iterable[Block],
    extras: Extras,
    counts: CorpusCounts,
    progress: Callable[[CorpusCounts], None] | None,
) -> Iterator[tuple[Graphs, Mapping[str, NDArray[np.generic]]]]:
    seen: set[bytes] = set()
    for block in blocks:
        for bad in block.rejected:
            counts.rejected[bad.stage] = counts.rejected.get(bad.stage, 0) + 1
        fresh = []
        for row, key in enumerate(block.keys):
            digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
            if digest not in seen:
                seen.add(digest)
                fresh.append(row)
        counts.duplicates += len(block.keys) - len(fresh)
        counts.kept += len(fresh)
        if progress:
            progress(counts)
        if fresh:
            yield block.graphs.take(fresh), {name: values[fresh] for name, values in extras(block).items()}
