"""SMILES text to an RDKit molecule, or the reason why not.

RDKit can't be interrupted from Python, and a long enough string kills the process, so the size of a
molecule is judged before RDKit does anything that costs more than linear time. The limits are the
largest for which no string was found that takes more than half a second or 100 MB.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rdkit import Chem, rdBase

from molft.errors import Rejected

# Up to this length a string can't hold enough atoms or ring closures to break the limits below,
# so it needs no look before the real parse.
_SURELY_SMALL = 200

# RDKit wraps these around silently: [C+256] becomes [C], [65537C] becomes [1C], [FeH257] becomes [FeH],
# [#262] becomes [C]. Outside brackets the same text is harmless: "-23" closes two rings there.
_OUT_OF_RANGE = re.compile(
    r"\[(?:\d{4,}|\d*\#(?:119|1[2-9]\d|[2-9]\d\d|\d{4,})|[^][]*(?:[+-]\d{2,}|\+{9,}|-{9,}|H\d{3,}))[^][]*\]?"
)


@dataclass(frozen=True)
class Limits:
    """The largest molecule that is looked at.

    ``characters`` of text, heavy ``atoms``, and ``rings`` (bonds - atoms + parts).
    """

    characters: int = 5000
    atoms: int = 500
    rings: int = 200


LIMITS = Limits()

# A hydrogen as an atom of its own: [H], [2H], [H+], [D], [#1].
_HYDROGEN = re.compile(r"\[\d*(?:[HDT]|\#1(?!\d))")
_AS_WRITTEN = Chem.SmilesParserParams()
_AS_WRITTEN.sanitize = _AS_WRITTEN.removeHs = False

# What sanitising does for stereo, and for metals and radicals, of which there are none outside brackets.
_STEREO = Chem.SanitizeFlags.SANITIZE_CLEANUPCHIRALITY | Chem.SanitizeFlags.SANITIZE_CLEANUPATROPISOMERS
_BRACKETS = Chem.SanitizeFlags.SANITIZE_CLEANUP_ORGANOMETALLICS | Chem.SanitizeFlags.SANITIZE_FINDRADICALS
_WITHOUT_STEREO = int(Chem.SanitizeFlags.SANITIZE_ALL & ~_STEREO)
_WITHOUT_BRACKETS = _WITHOUT_STEREO & int(~_BRACKETS)
_FINE = Chem.SanitizeFlags.SANITIZE_NONE


def parse(smiles: str, row: int = 0, limits: Limits = LIMITS) -> Chem.Mol | Rejected:
    """Read one SMILES, sanitised as RDKit does by default; hydrogens are implicit.

    A bad string gives :class:`Rejected` with stage ``text``, ``parse``, ``size`` or ``sanitise``.

    >>> parse("CCO").GetNumAtoms()
    3
    >>> parse("C(C)(C)(C)(C)C").status
    'sanitise: Explicit valence for atom # 0 C, 5, is greater than permitted'
    """
    with rdBase.BlockLogs():
        return _parse(smiles, row, limits)


def parse_all(smiles: Sequence[str], limits: Limits = LIMITS) -> list[Chem.Mol | Rejected]:
    """:func:`parse` for many strings; ``row`` is the position in ``smiles``."""
    return list(parse_each(smiles, limits))


def parse_each(smiles: Iterable[str], limits: Limits = LIMITS) -> Iterator[Chem.Mol | Rejected]:
    """:func:`parse_all`, one by one: who lets go of a molecule before the next works in a warm cache.

    Until the last is taken RDKit is silent and Python's cyclic garbage collector rests: molecules hold no
    cycles, and going through thousands of them again and again makes parsing a third slower.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        with rdBase.BlockLogs():
            for row, text in enumerate(smiles):
                yield _parse(text, row, limits)
    finally:
        if collecting:
            gc.enable()


def _parse(smiles: str, row: int, limits: Limits) -> Chem.Mol | Rejected:
    text = smiles.strip(" \t\r\n\ufeff") if isinstance(smiles, str) else ""
    fault = _text_fault(text, limits)
    if fault:
        return Rejected(row, "text", fault)
    if len(text) > _SURELY_SMALL:
        raw = Chem.MolFromSmiles(text, sanitize=False)
        fault = _size_fault(raw, text, limits) if raw is not None else None
        if fault:
            return Rejected(row, "size", fault)
    mol = _read(text)
    if mol is None:
        return _explain(text, row)
    # A short string skipped the check above: only "no heavy atom" and tightened limits remain.
    fault = _size_fault(mol, text, limits)
    return Rejected(row, "size", fault) if fault else mol


def _read(text: str) -> Chem.Mol | None:
    """What ``Chem.MolFromSmiles`` gives; without a search for what the text can't hold.

    Looking for stereo and for hydrogens to remove takes a quarter of the time. RDKit then hasn't noted that
    stereo is assigned (there is none), so what asks for it, such as a canonical SMILES, assigns it at that
    moment.
    """
    brackets = "[" in text
    if "@" in text or "/" in text or "\\" in text or (brackets and _HYDROGEN.search(text)):
        return Chem.MolFromSmiles(text)
    mol = Chem.MolFromSmiles(text, _AS_WRITTEN)
    steps = _WITHOUT_STEREO if brackets else _WITHOUT_BRACKETS
    if mol is None or Chem.SanitizeMol(mol, steps, True) != _FINE:
        return None
    return mol


def _text_fault(text: str, limits: Limits) -> str | None:
    if not text:
        return "empty"
    if not text.isascii():
        odd = next(c for c in text if ord(c) > 127)
        return f"character {odd!r} (U+{ord(odd):04X}) is not ASCII"
    if len(text) > limits.characters:
        return f"{len(text)} characters, at most {limits.characters} are read"
    # RDKit reads what follows a blank as a name or an extension: "CCO ethanol" would pass cut off.
    if not text.isprintable() or " " in text:
        return f"blank or control character inside {text[:60]!r}"
    if "[" in text and (found := _OUT_OF_RANGE.search(text)):
        return f"isotope, element, charge or hydrogens out of range in {found.group()[:60]!r}"
    return None


def _size_fault(mol: Chem.Mol, text: str, limits: Limits) -> str | None:
    heavy = mol.GetNumHeavyAtoms()
    if heavy == 0:
        return "no heavy atom"
    if heavy > limits.atoms:
        return f"{heavy} heavy atoms, at most {limits.atoms} are read"
    rings = mol.GetNumBonds() - mol.GetNumAtoms() + text.count(".") + 1
    if rings > limits.rings:
        return f"{rings} rings, at most {limits.rings} are read"
    return None


def _explain(text: str, row: int) -> Rejected:
    """Why RDKit returned nothing: the grammar, or the chemistry."""
    raw = Chem.MolFromSmiles(text, sanitize=False)
    if raw is None:
        return Rejected(row, "parse", f"not a SMILES: {text[:60]!r}")
    problems = Chem.DetectChemistryProblems(raw)
    reason = problems[0].Message() if problems else "RDKit can't sanitise it"
    return Rejected(row, "sanitise", reason)
