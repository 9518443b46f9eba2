"""What goes wrong, as values and as exceptions.

A bad molecule is an ordinary value (:class:`Rejected`): it keeps its place among the rows and never
stops a run. Only what stops the whole run (an unreadable file, a column that isn't there) is an
exception (:class:`MolftError`), and its message says what to do.
"""

from __future__ import annotations

from typing import NamedTuple


class MolftError(Exception):
    """The data, the model or the options can't be used; the message says why and what to do."""


class Rejected(NamedTuple):
    """One row that gives no prediction, and why.

    ``row`` counts from 0 in whatever list was given; ``stage`` is one of ``text``, ``parse``, ``size``,
    ``sanitise``, ``features``, ``standardise``, ``crashed``, ``timeout``, ``label``.

    >>> Rejected(3, "parse", "not a SMILES: 'xyz'").status
    "parse: not a SMILES: 'xyz'"
    >>> bool(Rejected(0, "text", "empty"))
    False
    """

    row: int
    stage: str
    reason: str

    def __bool__(self) -> bool:
        """Falsy, so that ``if mol`` tells a molecule from a refusal."""
        return False

    @property
    def status(self) -> str:
        """Text for the ``status`` column of an output table."""
        return f"{self.stage}: {self.reason}"
