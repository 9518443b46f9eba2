"""Which column of a table holds the molecules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

import numpy as np

from molft.chem.smiles import parse
from molft.data.formats import PROBLEM
from molft.errors import MolftError

# The usual names, as letters alone, in the order in which they are believed.
NAMES = (
    "smiles", "canonicalsmiles", "isomericsmiles", "standardizedsmiles", "standardisedsmiles", "cleansmiles",
    "rdkitsmiles", "smilesstring", "smi", "structure", "mol", "molecule", "compound", "drug", "ligand",
)  # fmt: skip

_SAMPLE = 200
_SHORTEST = 3
_LISTED = 20
_UNUSUAL = len(NAMES) + 1
_SMILES_TEXT = re.compile(r"[A-Za-z0-9@+\-\[\]()=#$:/\\%.*~&<>|^{}]*[A-Za-z*][^\s,;]*")


def find_smiles_column(table: Mapping[str, Iterable[str]], wanted: str | None = None) -> tuple[str, str]:
    """Find the column of SMILES; returns its name and how it was found, for the user to read.

    ``table`` has the cells by column; it may be a pandas frame.
    A ``wanted`` column is taken as it is. Otherwise a column with a usual name, if at least half of its
    values parse; then the one column in which at least half do; then one whose name says "smiles", whatever
    it holds. Never just the first column. None, or several without a usual name, is a :class:`MolftError`
    that lists the columns.

    >>> find_smiles_column({"id": ["a"], "SMILES": ["CCO"]})
    ('SMILES', 'by its name')
    """
    names = [name for name in table if name != PROBLEM]
    if wanted is not None:
        if wanted not in names:
            raise MolftError(f"no column {wanted!r} for the SMILES; {suggest(wanted, names)}")
        return wanted, "as asked for"
    named = sorted((name for name in names if _rank(name) < _UNUSUAL), key=_rank)
    found = [name for name in named if parsed_share(table[name]) >= 0.5][:1]
    how = "by its name"
    if not found:
        found = [name for name in names if parsed_share(table[name], _SHORTEST) >= 0.5]
        how = "by its content"
    if not found:  # a library of junk, or without rows, is still a library
        found, how = [name for name in named if "smiles" in name.lower()][:1], "by its name"
    if len(found) == 1:
        _refuse_headless(found[0])
        return found[0], how
    problem = f"several columns hold SMILES: {found}" if found else "no column holds SMILES"
    raise MolftError(
        f"{problem}; name it with --smiles-column. Columns: {listed([repr(name) for name in names])}"
    )


def suggest(wanted: str, names: Sequence[str]) -> str:
    """Say which name was probably meant, and all there are."""
    close = get_close_matches(wanted.lower(), [name.lower() for name in names], n=1, cutoff=0.7)
    guess = next((name for name in names if close and name.lower() == close[0]), None)
    return (
        f"did you mean {guess!r}? " if guess else ""
    ) + f"Columns: {listed([repr(name) for name in names])}"


def parsed_share(column: Iterable[str], shortest: int = 0) -> float:
    """Share of the filled cells that are molecules, on an even sample of at most 200; 0 where none is.

    With ``shortest`` a column of shorter cells (in the mean) gives 0: the codes N, F, CI and CN parse too.
    """
    cells = np.array([cell for cell in map(str.strip, column) if cell], dtype=object)
    if len(cells) == 0:
        return 0.0
    sample = cells[np.linspace(0, len(cells) - 1, min(_SAMPLE, len(cells))).astype(int)].tolist()
    if sum(map(len, sample)) < shortest * len(sample):
        return 0.0
    return sum(bool(_SMILES_TEXT.fullmatch(cell) and parse(cell)) for cell in sample) / len(sample)


def _rank(name: str) -> int:
    letters = re.sub(r"[^a-z]", "", name.lower())
    if letters in NAMES:
        return NAMES.index(letters)
    return len(NAMES) if "smiles" in letters else _UNUSUAL


def _refuse_headless(name: str) -> None:
    """A header that is itself a molecule means that the first molecule was read as the header."""
    if len(name) >= _SHORTEST and _rank(name) == _UNUSUAL and parse(name):
        raise MolftError(
            f"the table has no header: its first line holds the molecule {name!r}. Add a line of column "
            "names, or, if it is a plain list of SMILES, let the file name end in .smi"
        )


def listed(texts: Sequence[str]) -> str:
    """Join at most 20 texts for a message.

    >>> listed(["a", "b"])
    'a, b'
    """
    more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + more
