"""All molecules of a table at once: prepared in worker processes, joined into one block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np

from molft.chem.features import find_scheme
from molft.chem.graphs import Graphs
from molft.chem.prepare import Block, Recipe, prepare
from molft.chem.worker import map_blocks

_BLOCK = 256


def prepare_rows(
    smiles: Sequence[str],
    recipe: Recipe,
    *,
    workers: int,
    on_rows: Callable[[int], None] | None = None,
) -> Block:
    """:func:`molft.chem.prepare.prepare` for a whole table, in parallel; rows count through the table.

    A molecule that ends or hangs its process costs one row. ``on_rows`` is told how many rows are done.
    """
    done: list[Block] = []
    starts = range(0, max(1, len(smiles)), _BLOCK)  # an empty table is one empty block
    pieces = (list(smiles[start : start + _BLOCK]) for start in starts)
    blocks = map_blocks(partial(prepare, recipe=recipe), pieces, workers=workers)
    for start, block in zip(starts, blocks, strict=True):
        done.append(_shift(block, start))
        if on_rows:
            on_rows(min(start + _BLOCK, len(smiles)))
    return join_blocks(done, recipe)


def _shift(block: Block, start: int) -> Block:
    """The same block with rows counted from ``start``."""
    return Block(
        block.graphs,
        block.index + start,
        [bad._replace(row=bad.row + start) for bad in block.rejected],
        block.keys,
        {row + start: note for row, note in block.notes.items()},
        block.counts,
        block.descriptors,
    )


def join_blocks(blocks: Sequence[Block], recipe: Recipe) -> Block:
    """One block of many; rows keep their numbers."""
    scheme = find_scheme(recipe.scheme)
    empty = Graphs.empty(len(scheme.atom_sizes), len(scheme.bond_sizes))
    return Block(
        Graphs.concatenate([empty, *(b.graphs for b in blocks)]),
        np.concatenate([np.zeros(0, np.int64), *(b.index for b in blocks)]),
        [bad for b in blocks for bad in b.rejected],
        [key for b in blocks for key in b.keys],
        {row: note for b in blocks for row, note in b.notes.items()},
        _join([b.counts for b in blocks if b.counts is not None]),
        _join([b.descriptors for b in blocks if b.descriptors is not None]),
    )


def take_rows(block: Block, places: np.ndarray) -> Block:
    """Some accepted molecules of a block, by place; the other rows are forgotten."""
    return Block(
        block.graphs.take(places),
        np.arange(len(places), dtype=np.int64),
        [],
        [block.keys[place] for place in places] if block.keys else [],
        {},
        None if block.counts is None else block.counts[places],
        None if block.descriptors is None else block.descriptors[places],
    )


def _join(parts: Iterable[np.ndarray]) -> np.ndarray | None:
    arrays = list(parts)
    return np.concatenate(arrays) if arrays else None
