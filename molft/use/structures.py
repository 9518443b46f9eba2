"""Ranked rows as an SDF, for programs that draw structures: each molecule with its row as properties."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from rdkit import Chem
from rdkit.Chem import rdDepictor

from molft.chem.smiles import LIMITS, Limits, parse
from molft.files import atomic
from molft.use.output import cell_texts

SDF = ".sdf"
_TITLES = ("title", "name", "id")


def write_sdf(path: Path, tables: Iterable[pa.Table], smiles_column: str, limits: Limits = LIMITS) -> None:
    """Write the rows of tables as records: the structure, in two dimensions, and all columns as properties.

    The title is what the first column called title, name or id (in any case) holds, else the number of the
    row from 1. A value of several lines stands in one, as a blank line would end it. Numbers have eight
    significant digits; an empty cell is left out. The same rows give the same bytes. A row whose SMILES
    is no molecule within ``limits`` has a record without atoms.
    """
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        rows = (cells for table in tables for cells in _rows(table))
        for number, cells in enumerate(rows, start=1):
            found = parse(cells[smiles_column], limits=limits)
            mol = found if isinstance(found, Chem.Mol) else Chem.Mol()
            file.write(_record(mol, cells, number))


def _rows(table: pa.Table) -> Iterator[dict[str, str]]:
    columns = [
        cell_texts(column)
        if pa.types.is_floating(column.type)
        else [text or "" for text in column.to_pylist()]
        for column in table.columns
    ]
    for cells in zip(*columns, strict=True):
        yield dict(zip(table.column_names, cells, strict=True))


def _record(mol: Chem.Mol, cells: dict[str, str], number: int) -> str:
    title = next((cells[name] for name in cells if name.lower() in _TITLES and cells[name]), str(number))
    rdDepictor.Compute2DCoords(mol)
    fields = (f">  <{_name(name)}>\n{_value(text)}\n\n" for name, text in cells.items() if text)
    # The first line of a structure is its title, which RDKit leaves empty.
    return f"{_one_line(title)}{Chem.MolToMolBlock(mol)}{''.join(fields)}$$$$\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _name(text: str) -> str:
    return _one_line(text).replace("<", "(").replace(">", ")")


def _value(text: str) -> str:
    """A value that no reader takes for the next property or for the end of the record."""
    line = _one_line(text)
    return f" {line}" if line.startswith((">", "$$$$")) else line
