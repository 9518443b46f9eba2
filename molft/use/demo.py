"""A real assay that RDKit's own package carries, as files that a user could have made.

CHEMBL2321810 (RDKit, Contrib/FreeWilson): 1,017 sodium channel blockers with pIC50. The library is
RDKit's Data/NCI/first_5K.smi, 5,000 compounds of the National Cancer Institute.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from rdkit import RDConfig

from molft.errors import MolftError
from molft.files import write_atomic

ASSAY, LIBRARY = "assay.csv", "library.smi"


def write_demo_files(directory: Path) -> tuple[Path, Path]:
    """Write the assay as CSV (name, smiles, pIC50) and the library as .smi; returns their paths."""
    source = Path(RDConfig.RDContribDir) / "FreeWilson" / "data"
    library = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"
    for needed in (source / "CHEMBL2321810.smi", source / "CHEMBL2321810_act.csv", library):
        if not needed.is_file():
            raise MolftError(
                f"{needed}: this RDKit package comes without the demo's data; install RDKit from PyPI "
                "(pip install rdkit), or try molft finetune on a table of your own"
            )
    smiles = {}
    for line in (source / "CHEMBL2321810.smi").read_text().splitlines():
        text, name = line.split()
        smiles[name] = text
    with (source / "CHEMBL2321810_act.csv").open() as file:
        activity = {row["Name"]: row["Act"] for row in csv.DictReader(file)}
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["name", "smiles", "pIC50"])
    writer.writerows([name, text, activity.get(name, "")] for name, text in smiles.items())
    directory.mkdir(parents=True, exist_ok=True)
    write_atomic(directory / ASSAY, table.getvalue())
    write_atomic(directory / LIBRARY, library.read_text())
    return directory / ASSAY, directory / LIBRARY
