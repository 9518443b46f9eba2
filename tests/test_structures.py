"""SDF files of ranked rows, as RDKit and molft read them back."""

from pathlib import Path

import pyarrow as pa
import pytest
from rdkit import Chem

from molft.chem.smiles import Limits
from molft.data.formats import read_table
from molft.use.structures import write_sdf

SMILES = ["C[C@H](N)C(=O)O", "c1ccccc1[N+](=O)[O-]", "[Na+].CC(=O)[O-]", "F/C=C/Cl"]
ROWS = pa.table(
    {
        "Name": ["alanine", "", "salt", "alkene"],
        "smiles": SMILES,
        "note": ["two\n\nlines", "$$$$", "> <x>", "=1+1"],
        "a<b>": ["1", "", None, "4"],
        "status": ["ok"] * 4,
        "pKa": pa.array([2.123456789123, 5e-10, None, -1.0]),
    }
)


def write(path: Path, *tables: pa.Table, limits: Limits = Limits()) -> list[Chem.Mol]:
    write_sdf(path, tables, "smiles", limits)
    with Chem.SDMolSupplier(str(path)) as supplier:
        return list(supplier)


def test_structures_titles_and_values(tmp_path: Path) -> None:
    mols = write(tmp_path / "a.sdf", ROWS.slice(0, 1), ROWS.slice(1))
    assert [Chem.MolToSmiles(mol) for mol in mols] == [Chem.CanonSmiles(text) for text in SMILES]
    assert [mol.GetProp("_Name") for mol in mols] == ["alanine", "2", "salt", "alkene"]
    assert mols[0].GetPropsAsDict(autoConvertStrings=False) == {
        "Name": "alanine",
        "smiles": "C[C@H](N)C(=O)O",
        "note": "two lines",
        "a(b)": "1",
        "status": "ok",
        "pKa": "2.1234568",
    }
    assert [mol.GetProp("note").strip() for mol in mols[1:]] == ["$$$$", "> <x>", "=1+1"]
    assert [mol.HasProp("pKa") for mol in mols] == [1, 1, 0, 1]
    assert not mols[0].GetConformer().Is3D() and mols[0].GetConformer().GetPositions().any()


def test_molft_reads_it_back(tmp_path: Path) -> None:
    write(tmp_path / "a.sdf", ROWS)
    table = read_table(tmp_path / "a.sdf")
    assert table["title"].tolist() == ["alanine", "2", "salt", "alkene"]
    assert table["pKa"].tolist() == ["2.1234568", "5e-10", "", "-1"]


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.sdf", ROWS)
    write(tmp_path / "b.sdf", ROWS.slice(0, 3), ROWS.slice(3))
    assert (tmp_path / "a.sdf").read_bytes() == (tmp_path / "b.sdf").read_bytes()


@pytest.mark.parametrize(("text", "atoms"), [("C1CC", 0), ("CCCC", 0), ("CCC", 3)])
def test_what_is_no_molecule_within_the_limits_has_no_atoms(tmp_path: Path, text: str, atoms: int) -> None:
    (mol,) = write(tmp_path / "a.sdf", pa.table({"smiles": [text]}), limits=Limits(atoms=3))
    assert mol.GetNumAtoms() == atoms and mol.GetProp("smiles") == text


def test_no_row_is_an_empty_file(tmp_path: Path) -> None:
    write_sdf(tmp_path / "a.sdf", [ROWS.slice(0, 0)], "smiles")
    assert (tmp_path / "a.sdf").read_bytes() == b""
