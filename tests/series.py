"""A made-up series of 225 substituted pyridines, with labels that follow from structure."""

import numpy as np
from numpy.typing import NDArray

from molft.chem.prepare import Block, Recipe, prepare
from molft.train.finetune import Examples

SUBSTITUENTS = (
    *(
        "C",
        "F",
        "CC",
        "Cl",
        "O",
        "Br",
        "N",
        "I",
        "OC",
        "C(F)(F)F",
        "C#N",
        "S(C)(=O)=O",
        "C(=O)O",
        "N(C)C",
        "C(C)C",
    ),
)


def pyridines(count: int = 225) -> list[str]:
    """The first ``count`` 2,5-disubstituted pyridines."""
    pairs = [(a, b) for a in SUBSTITUENTS for b in SUBSTITUENTS]
    # A stride that shares no factor with 225 mixes the substituents of a short list.
    return [f"n1cc({pairs[i][0]})ccc1{pairs[i][1]}" for i in np.arange(count) * 97 % len(pairs)]


def has_halogen(smiles: list[str]) -> NDArray[np.float32]:
    """1 where the molecule has a halogen atom, float32 [B]."""
    return np.array([any(mark in text for mark in ("F", "Cl", "Br", "I")) for text in smiles], np.float32)


def block_of(smiles: list[str], scheme: str = "snap", forest: bool = False) -> Block:
    """All of them prepared; none may be refused."""
    block = prepare(smiles, Recipe(scheme=scheme, forest=forest))
    assert not block.rejected
    return block


def halogen_examples(count: int, missing: int = 0) -> Examples:
    """Pyridines with the label "has a halogen"; every ``missing``-th label (if not 0) is left out."""
    smiles = pyridines(count)
    labels = has_halogen(smiles)[:, None]
    if missing:
        labels[::missing] = np.nan
    return Examples(block_of(smiles).graphs, labels, np.zeros(labels.shape, np.int8))
