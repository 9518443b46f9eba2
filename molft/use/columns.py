"""Names of the columns that a prediction adds to a table."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def free_names(wanted: Sequence[str], taken: Collection[str]) -> list[str]:
    """Names for new columns that clash neither with those of a table nor with each other.

    >>> free_names(("status", "pIC50"), ["smiles", "pIC50"])
    ['status', 'pIC50_predicted']
    """
    names: list[str] = []
    for name in wanted:
        while name in taken or name in names:
            name += "_predicted"
        names.append(name)
    return names
