"""SDF files: records to rows, the structure as SMILES, every property as a column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rdkit import Chem, rdBase

from molft.chem.smiles import LIMITS
from molft.data.delimited import Row, Rows
from molft.errors import MolftError

_FIELD = re.compile(r"^>.*?<([^>]*)>")
_HYDROGENS = 4  # explicit hydrogens a heavy atom may bring


def property_names(lines: Iterable[str]) -> list[str]:
    """List the property names of a whole file, in order of first appearance."""
    found = (_FIELD.match(line) for line in lines if line.startswith(">"))
    return list(dict.fromkeys(match.group(1).strip() for match in found if match))


def read_sdf(lines: Iterator[str], properties: list[str], where: str) -> Rows:
    """Read records as rows of ``smiles``, ``title`` and the properties (all known before, so that
    every row has the same columns).

    A record without a readable structure, or with one beyond the limits, has an empty SMILES and says
    why in its problem. Chemistry that RDKit refuses stays in the SMILES, to be refused there.
    """
    taken = ("smiles", "title")
    names = [*taken, *(f"{name} (property)" if name in taken else name for name in properties)]
    return Rows(names, _read_rows(lines, properties, where))


def _read_rows(lines: Iterator[str], properties: list[str], where: str) -> Iterator[Row]:
    number = 0
    for number, record in enumerate(_records(lines), start=1):
        smiles, fault = structure_smiles(record)
        values = _values(record)
        cells = [smiles, record[0].strip(), *(values.get(name, "") for name in properties)]
        yield Row(cells, f"record {number}: {fault}" if fault else "")
    if number == 0:
        raise MolftError(f"{where}: no record; expected molecules that end with $$$$")


def _records(lines: Iterator[str]) -> Iterator[list[str]]:
    record: list[str] = []
    for line in lines:
        if line.startswith("$$$$"):
            yield record or [""]
            record = []
        else:
            record.append(line.rstrip("\r\n"))
    if any(line.strip() for line in record):
        yield record


def _values(record: list[str]) -> dict[str, str]:
    """Properties of one record; a value of several lines keeps its line breaks."""
    values: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in record:
        if match := _FIELD.match(line):
            current = values.setdefault(match.group(1).strip(), [])
        elif not line.strip():
            current = None
        elif current is not None:
            current.append(line)
    return {name: "\n".join(value) for name, value in values.items()}


def structure_smiles(record: list[str]) -> tuple[str, str]:
    """Write the structure of one record as SMILES; returns the SMILES and, where it is empty, why.

    A molecule that can't be sanitised is written unsanitised: the reason then comes from reading it.
    """
    end = next((number for number, line in enumerate(record) if line.startswith("M  END")), None)
    if end is None:
        return "", "no structure (no line M  END)"
    block = "\n".join(record[: end + 1]) + "\n"
    with rdBase.BlockLogs():
        raw = Chem.MolFromMolBlock(block, sanitize=False, removeHs=False)
        if raw is None:
            return "", "the structure can't be read"
        if fault := _size_fault(raw):
            return "", fault
        mol = Chem.MolFromMolBlock(block)
        if mol is None:
            raw.UpdatePropertyCache(strict=False)
            Chem.FastFindRings(raw)
            mol = raw
        return Chem.MolToSmiles(mol), ""


def _size_fault(mol: Chem.Mol) -> str:
    """What makes a molecule too large to be written as SMILES in bounded time, or ''."""
    heavy, atoms = mol.GetNumHeavyAtoms(), mol.GetNumAtoms()
    if heavy > LIMITS.atoms or atoms > LIMITS.atoms * (1 + _HYDROGENS):
        return f"{heavy} heavy atoms, at most {LIMITS.atoms} are read"
    rings = mol.GetNumBonds() - atoms + len(Chem.GetMolFrags(mol))
    if rings > LIMITS.rings:
        return f"{rings} rings, at most {LIMITS.rings} are read"
    return "" if heavy else "no heavy atom"
