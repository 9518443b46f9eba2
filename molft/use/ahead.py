"""The first blocks of a library, read while the network isn't there yet.

torch takes over a second to import, and the processes that read molecules don't need it. So nothing here, or
imported from here, does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from molft.chem.prepare import Block, Recipe, prepare
from molft.chem.worker import map_blocks
from molft.errors import MolftError
from molft.files import read_json
from molft.use.library import BLOCK_ROWS, Library, open_library
from molft.use.sources import Given, find_files

# Blocks of each process on their way: so many are read before torch is there, and few enough to hold.
_AHEAD = 4


class Ahead(NamedTuple):
    """A library that is being read: by which recipe, by how many processes, and its blocks in order."""

    library: Library
    recipe: Recipe
    workers: int
    blocks: Iterator[Block]


@contextmanager
def read_ahead(
    given: Given, model_dir: Path, workers: int, smiles_column: str | None, similarity: bool
) -> Iterator[Ahead | None]:
    """Begin to read a library as the model in a folder wants it; the processes end with the context.

    None where that has to wait: without processes, and for a folder that can't be read, which opening the
    model explains. A library that can't be read is a :class:`MolftError`.
    """
    recipe = _find_recipe(model_dir, similarity)
    if not workers or recipe is None:
        yield None
        return
    library = open_library(find_files(given), smiles_column, BLOCK_ROWS)
    with closing(
        map_blocks(partial(prepare, recipe=recipe), library.texts(), workers, ahead=_AHEAD)
    ) as blocks:
        yield Ahead(library, recipe, workers, blocks)


def _find_recipe(model_dir: Path, similarity: bool) -> Recipe | None:
    try:
        model = read_json(model_dir / "config.json")["model"]
        recipe = Recipe.from_json(model["recipe"])
        return replace(recipe, forest=model["answer"] != "network", fingerprints=similarity)
    except (MolftError, OSError, KeyError, TypeError, ValueError):
        return None
