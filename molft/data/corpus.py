"""Files of SMILES to one packed store for pre-training: filtered, de-duplicated, never all in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from molft.chem.features import find_scheme
from molft.chem.graphs import Graphs
from molft.chem.leakage import HeldOut, Screened, prepare_unseen
from molft.chem.prepare import Block, Recipe
from molft.chem.smiles import Limits
from molft.chem.worker import map_blocks
from molft.data.assay_labels import LabelTable
from molft.data.compact import MOST_ATOMS, compact
from molft.data.formats import read_blocks
from molft.data.packed_corpus import COMPACT, LABEL_ROW, LABELS_FILE
from molft.data.seen import Seen
from molft.data.store import write_store
from molft.data.table import find_smiles_column

# Drug-like corpora hold nothing larger; a few giants would only make batches uneven.
LARGEST_ATOMS = 100
_BLOCK = 2048
_NO_LABEL = -1

Extras = Callable[[Block], Mapping[str, NDArray[np.generic]]]
Progress = Callable[["CorpusCounts"], None]


@dataclass(frozen=True)
class Filters:
    """Which molecules to leave out.

    elements: atomic numbers that may occur; empty for all. fewest, most: heavy atoms.
    held_out: molecules of benchmarks that are not to be trained on.
    """

    elements: frozenset[int] = frozenset()
    fewest: int = 1
    most: int = LARGEST_ATOMS
    held_out: HeldOut | None = None


NO_FILTERS = Filters()


@dataclass
class CorpusCounts:
    """What became of the rows: read, chosen, refused by stage, double, filtered by reason, kept."""

    read: int = 0
    chosen: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    filtered: dict[str, int] = field(default_factory=dict)
    labelled: int = 0
    kept: int = 0


def pack_corpus(
    paths: Sequence[Path],
    directory: Path,
    scheme: str,
    extras: Extras,
    *,
    filters: Filters = NO_FILTERS,
    labels: LabelTable | None = None,
    sample: float = 1.0,
    seed: int = 0,
    workers: int = 2,
    progress: Progress | None = None,
) -> CorpusCounts:
    """Write every distinct molecule of the files to a store.

    ``sample`` keeps that share of the rows, drawn by ``seed``. ``extras`` makes further per-molecule arrays
    (targets) of a block. Of equal molecules (by canonical SMILES) the first is kept; 8 bytes are remembered
    for each, so memory grows by 16 MB for two million. The molecules of a label table come first, all of
    them; its labels are written beside the store.
    """
    counts = CorpusCounts()
    limits = Limits(atoms=filters.most)
    recipe = Recipe(scheme=scheme, standardize=False, limits=limits, keys=True, forest=True)
    starts: deque[int] = deque()  # where in the label table each block that is under way begins
    strings = _blocks(paths, labels, sample, seed, counts, starts)
    function = partial(prepare_unseen, recipe=recipe, held_out=filters.held_out)
    selection = _Selection(filters, counts, starts, progress)
    directory.parent.mkdir(parents=True, exist_ok=True)
    if labels is not None:
        np.save(directory.with_name(LABELS_FILE), labels.values)
    blocks = selection.select(map_blocks(function, strings, workers=workers), extras, labels is not None)
    shape = find_scheme(scheme)
    write_store(directory, scheme + COMPACT, ((compact(graphs, shape), arrays) for graphs, arrays in blocks))
    return counts


def _blocks(
    paths: Sequence[Path],
    labels: LabelTable | None,
    sample: float,
    seed: int,
    counts: CorpusCounts,
    starts: deque[int],
) -> Iterator[list[str]]:
    for start in range(0, len(labels.smiles) if labels else 0, _BLOCK):
        strings = labels.smiles[start : start + _BLOCK] if labels else []
        counts.read += len(strings)
        counts.chosen += len(strings)
        starts.append(start)
        yield strings
    rng = np.random.default_rng(seed)
    for path in paths:
        column = None
        for frame in read_blocks(path, rows=_BLOCK):
            column = column or find_smiles_column(frame)[0]
            chosen = rng.random(len(frame)) < sample
            counts.read += len(frame)
            counts.chosen += int(chosen.sum())
            starts.append(_NO_LABEL)
            yield frame[column][chosen].tolist()


@dataclass
class _Selection:
    """Chooses the molecules to keep, and counts the others."""

    filters: Filters
    counts: CorpusCounts
    starts: deque[int]
    progress: Progress | None
    seen: Seen = field(default_factory=Seen)

    def select(
        self, screened: Iterable[Screened], extras: Extras, labelled: bool
    ) -> Iterator[tuple[Graphs, Mapping[str, NDArray[np.generic]]]]:
        counts = self.counts
        for one in screened:
            block, start = one.block, self.starts.popleft()
            for bad in block.rejected:
                counts.rejected[bad.stage] = counts.rejected.get(bad.stage, 0) + 1
            allowed = self._filter(one)
            rows = allowed[self.seen.add([block.keys[row] for row in allowed.tolist()])]
            counts.duplicates += len(allowed) - len(rows)
            counts.kept += len(rows)
            counts.labelled += len(rows) if start != _NO_LABEL else 0
            if self.progress:
                self.progress(counts)
            if len(rows):
                arrays = {name: values[rows] for name, values in extras(block).items()}
                if labelled:
                    place = np.full(len(rows), _NO_LABEL) if start == _NO_LABEL else start + block.index[rows]
                    arrays[LABEL_ROW] = place.astype(np.int32)
                yield block.graphs.take(rows), arrays

    def _filter(self, one: Screened) -> NDArray[np.int64]:
        """Rows of the block that pass all filters; the first filter that refuses one counts it."""
        graphs = one.block.graphs
        passing = np.ones(len(graphs), bool)
        for reason, refused in (
            ("held out", one.known),
            ("elements", _has_others(graphs, self.filters.elements)),
            ("size", _outside(graphs, self.filters.fewest)),
        ):
            if refused[passing].any():
                found = int(refused[passing].sum())
                self.counts.filtered[reason] = self.counts.filtered.get(reason, 0) + found
            passing &= ~refused
        return np.flatnonzero(passing)


def _has_others(graphs: Graphs, elements: frozenset[int]) -> NDArray[np.bool_]:
    """Which molecules hold an atom of none of the elements, bool [B]."""
    out = np.zeros(len(graphs), bool)
    if elements:
        odd = np.flatnonzero(~np.isin(graphs.atoms[:, 0], np.array(sorted(elements)) - 1))
        out[np.searchsorted(graphs.atom_ptr, odd, side="right") - 1] = True
    return out


def _outside(graphs: Graphs, fewest: int) -> NDArray[np.bool_]:
    """Which molecules have too few heavy atoms, or too many atoms for the store, bool [B].

    Too many heavy atoms were refused on reading.
    """
    owner = np.repeat(np.arange(len(graphs)), np.diff(graphs.atom_ptr))
    heavy = np.bincount(owner[graphs.atoms[:, 0] != 0], minlength=len(graphs))
    return (heavy < fewest) | (np.diff(graphs.atom_ptr) > MOST_ATOMS)
