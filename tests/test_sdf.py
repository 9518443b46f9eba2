"""SDF records to rows."""

import pytest
from rdkit import Chem
from rdkit.Chem import rdDepictor

from molft.chem.smiles import parse
from molft.data.delimited import Row
from molft.data.sdf import property_names, read_sdf, structure_smiles
from molft.errors import MolftError


def record(smiles: str, /, title: str = "", sanitize: bool = True, **properties: str) -> str:
    mol = Chem.MolFromSmiles(smiles, sanitize=sanitize)
    block = Chem.MolToMolBlock(mol, kekulize=sanitize).split("\n", 1)[1]
    fields = "".join(f">  <{name}>  (1)\n{value}\n\n" for name, value in properties.items())
    return f"{title}\n{block}{fields}$$$$\n"


def read(text: str) -> tuple[list[str], list[Row]]:
    lines = text.splitlines(keepends=True)
    table = read_sdf(iter(lines), property_names(lines), "a.sdf")
    return table.names, list(table.rows)


def test_structure_title_and_properties() -> None:
    text = record("OCC", "ethanol", pIC50=">5", note="two\nlines") + record("c1ccccc1", smiles="benzene")
    names, rows = read(text)
    assert names == ["smiles", "title", "pIC50", "note", "smiles (property)"]
    assert rows == [
        Row(["CCO", "ethanol", ">5", "two\nlines", ""]),
        Row(["c1ccccc1", "", "", "", "benzene"]),
    ]


def test_stereo_survives() -> None:
    lactic = Chem.MolFromSmiles("C[C@H](O)C(=O)O")
    rdDepictor.Compute2DCoords(lactic)
    block = Chem.MolToMolBlock(lactic)
    assert structure_smiles(block.split("\n")) == ("C[C@H](O)C(=O)O", "")


def test_bad_chemistry_is_refused_when_the_smiles_is_read() -> None:
    smiles, fault = structure_smiles(record("CC(C)(C)(C)C", sanitize=False).split("\n"))
    assert fault == ""
    assert parse(smiles).status.startswith("sanitise: Explicit valence for atom # 1 C, 5")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x\n\n\nnot a molecule\n$$$$\n", "record 1: no structure (no line M  END)"),
        (
            "x\n\n\n  9  0  0  0  0  0            999 V2000\nM  END\n$$$$\n",
            "record 1: the structure can't be read",
        ),
        ("x\n\n\n  0  0  0  0  0  0            999 V2000\nM  END\n$$$$\n", "record 1: no heavy atom"),
        ("$$$$\n", "record 1: no structure (no line M  END)"),
    ],
)
def test_a_record_without_a_structure_keeps_its_row(text: str, problem: str) -> None:
    rows = read(text + record("C"))[1]
    assert [row.cells[0] for row in rows] == ["", "C"]
    assert [row.problem for row in rows] == [problem, ""]


def test_a_molecule_beyond_the_limits_is_never_written() -> None:
    rows = read(record("C" * 501))[1]  # 20,000 such atoms would end the process
    assert rows[0].problem == "record 1: 501 heavy atoms, at most 500 are read"


def test_last_record_may_lack_its_end() -> None:
    assert len(read(record("C") + record("CC").removesuffix("$$$$\n"))[1]) == 2


def test_a_file_without_records_is_refused() -> None:
    with pytest.raises(MolftError, match=r"a\.sdf: no record"):
        read("\n\n")
