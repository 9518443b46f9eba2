"""A question asked of every molecule of a library.

It is answered on this machine (:mod:`molft.use.local_engine`) or by a Ray cluster
(:mod:`molft.use.ray_engine`); what comes back is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from molft.chem.prepare import Block, Recipe
from molft.errors import MolftError, Rejected

if TYPE_CHECKING:  # a library is opened, and its first blocks are read, before torch is imported
    from torch import nn


@dataclass(frozen=True)
class Question:
    """What is asked of every molecule.

    ``answer`` gives float [B, K] for the B accepted molecules of a block, ``columns`` the K names, ``facts``
    all that determines the answers (a resumed run must have the same), ``title`` the work in a word.
    The numbers of a column that ``texts`` names are places in its texts, and these are written.
    ``networks`` are those by which ``answer`` finds them, for who wants them on a GPU.
    """

    title: str
    recipe: Recipe
    columns: tuple[str, ...]
    answer: Callable[[Block], NDArray[np.floating]]
    facts: dict[str, Any]
    texts: Mapping[str, pa.StringArray] = field(default_factory=dict)
    networks: Sequence[nn.Module] = ()


class Answered(NamedTuple):
    """What became of a block of rows.

    Shapes: values float [B, K], the answers for the B accepted molecules; rows int64 [B], that of each;
    rejected, the other rows, rising.
    """

    values: NDArray[np.floating]
    rows: NDArray[np.int64]
    rejected: list[Rejected]


Answers = Callable[[Iterator[list[str]]], Iterator[Answered]]
"""What answers blocks of SMILES one by one, in order, and takes few of them before it does."""


def answer_block(question: Question, block: Block) -> Answered:
    """Answer for the molecules of a block; answers that don't fit them are a :class:`MolftError`."""
    values = question.answer(block)
    if values.shape != (len(block.index), len(question.columns)):
        raise MolftError(
            f"{question.title}: answers of shape {values.shape} for {len(block.index)} molecules "
            f"and {len(question.columns)} columns"
        )
    return Answered(values, block.index, block.rejected)
