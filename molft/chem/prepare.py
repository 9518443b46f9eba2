"""A block of SMILES to everything that the network and the forest need, each molecule parsed once.

This is what the worker processes run (:mod:`molft.chem.worker`). Every string of the block ends either
among the accepted molecules or among the rejected ones, with its row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molft.chem.decode import write_record
from molft.chem.descriptors import describe, fingerprint_counts
from molft.chem.features import SNAP, featurize_records, find_scheme
from molft.chem.graphs import Graphs
from molft.chem.smiles import Limits, parse_each
from molft.chem.standardize import RECIPE, canonical_key, standardize, tag_canonically
from molft.errors import MolftError, Rejected


@dataclass(frozen=True)
class Recipe:
    """What to make of each molecule.

    scheme: the atom and bond codes, ``"snap"`` or ``"ogb"``.
    standardize: whether salts are stripped and charges neutralised; off reproduces MoleculeNet. When on,
        the result does not depend on how the SMILES was written either.
    keys: also the canonical SMILES of each (standardised) molecule.
    fingerprints: also fragment counts.
    forest: these and descriptors.
    """

    scheme: str = "ogb"
    standardize: bool = True
    limits: Limits = Limits()
    keys: bool = False
    fingerprints: bool = False
    forest: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values of what a model is bound to: scheme, standardisation, limits."""
        return {
            "scheme": self.scheme,
            "standardize": RECIPE if self.standardize else None,
            "limits": asdict(self.limits),
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Recipe:
        """The inverse of :meth:`to_json`; an unknown standardisation is a :class:`MolftError`."""
        if values["standardize"] not in (None, RECIPE):
            raise MolftError(
                f"the model was made with standardisation {values['standardize']}, this molft has {RECIPE}: "
                "molecules would be read differently; use the molft version it was made with"
            )
        return cls(values["scheme"], values["standardize"] is not None, Limits(**values["limits"]))


@dataclass(frozen=True)
class Block:
    """What became of a block of rows.

    Shapes:
        graphs: B accepted molecules in input order; index: int64 [B], the row of each.
        rejected: the other rows, rising.
        keys: B canonical SMILES, or none if not asked for.
        notes: rows that could not be standardised and stand as written, with the reason ("metal: Pt").
        counts: uint8 [B, 2048], descriptors: float32 [B, D], or None if not asked for.
    """

    graphs: Graphs
    index: NDArray[np.int64]
    rejected: list[Rejected]
    keys: list[str]
    notes: dict[int, str]
    counts: NDArray[np.uint8] | None
    descriptors: NDArray[np.float32] | None


# All else is one fragment of common elements without charges, whose standard form is itself: outside brackets
# are no charges and no elements but the ten that SMILES knows by a letter or two.
_TO_STANDARDIZE = re.compile(r"[.*]|[Bb](?!r)|\[(?!nH\]|C@@?H?\])")

_LOST = {
    "crashed": "reading this molecule ended the process",
    "timeout": "reading this molecule took too long",
}


def prepare(smiles: Sequence[str], recipe: Recipe = Recipe(), lost: Mapping[int, str] | None = None) -> Block:
    """Parse, standardise and encode a block of SMILES.

    ``lost`` names rows that are known to end or hang the process (``"crashed"``, ``"timeout"``): they are
    rejected without being touched.
    """
    lost = lost or {}
    rejected = [Rejected(row, stage, _LOST[stage]) for row, stage in lost.items()]
    scheme, notes = find_scheme(recipe.scheme), dict[int, str]()
    rows, records, mols = list[int](), list[bytes](), list[Chem.Mol]()
    parsed = parse_each([text if row not in lost else "" for row, text in enumerate(smiles)], recipe.limits)
    keep = recipe.keys or recipe.fingerprints or recipe.forest
    for row, mol in enumerate(parsed):
        if row in lost:
            continue
        if isinstance(mol, Rejected):
            rejected.append(mol)
            continue
        if recipe.standardize:
            mol, record, note = _standardize(mol, smiles[row], scheme is SNAP, keep)
            if note:
                notes[row] = note
        else:
            record = write_record(mol)
        rows.append(row)
        records.append(record)
        if keep:
            mols.append(mol)
    graphs, kept, refused = featurize_records(records, scheme)
    rejected += [r._replace(row=rows[r.row]) for r in refused]
    mols, records = [mols[i] for i in kept] if mols else [], [records[i] for i in kept]
    return Block(
        graphs=graphs,
        index=np.asarray(rows, np.int64)[kept],
        rejected=sorted(rejected),
        keys=[canonical_key(mol) for mol in mols] if recipe.keys else [],
        notes=notes,
        counts=fingerprint_counts(mols) if recipe.fingerprints or recipe.forest else None,
        descriptors=describe(mols, records) if recipe.forest else None,
    )


def _is_standard(text: str) -> bool:
    # Looking for the five characters is much quicker than the expression, and mostly enough.
    odd = "[" in text or "." in text or "B" in text or "b" in text or "*" in text
    return not odd or not _TO_STANDARDIZE.search(text)


def _standardize(mol: Chem.Mol, text: str, directions: bool, keep: bool) -> tuple[Chem.Mol, bytes, str]:
    """The standard form, its record, and ""; or the molecule as it is and why it was left so.

    Chiral tags and bond directions depend on the order in which the atoms were written. In the record they
    are those of RDKit's canonical order, so that a molecule always gets the same codes; bond directions
    (which only the codes of ``snap`` know) if asked. Without ``keep`` the molecule may be changed.
    """
    clean = mol if _is_standard(text) else standardize(mol)
    note = clean if isinstance(clean, str) else ""
    clean = mol if note else clean
    if directions and ("/" in text or "\\" in text):
        canonical = Chem.MolFromSmiles(Chem.MolToSmiles(clean))
        if canonical is None:
            return clean, write_record(clean), "its canonical SMILES can't be read"
        return canonical, write_record(canonical), note
    return clean, write_record(tag_canonically(clean, text, not keep) if "@" in text else clean), note
