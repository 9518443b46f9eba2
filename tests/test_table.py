"""Finding the column of molecules."""

from pathlib import Path

import pandas as pd
import pytest

from molft.data.formats import PROBLEM, read_table
from molft.data.table import find_smiles_column, listed, parsed_share
from molft.errors import MolftError


def frame(**columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns)


MOLECULES = ["CCO", "CCN", "c1ccccc1"]


@pytest.mark.parametrize(
    "name", ["smiles", "SMILES", "Canonical_Smiles", "Compound SMILES", "mol", "Structure", "Drug"]
)
def test_by_name(name: str) -> None:
    table = frame(id=["C1", "C2", "C3"], **{name: MOLECULES})
    assert find_smiles_column(table) == (name, "by its name")


def test_the_first_usual_name_wins() -> None:
    table = frame(structure=MOLECULES, canonical_smiles=MOLECULES, smiles=MOLECULES)
    assert find_smiles_column(table)[0] == "smiles"


def test_by_content_and_never_just_the_first() -> None:
    table = frame(code=["N", "CI", "F"], Verbindung=MOLECULES, mol=["m-1", "m-2", "m-3"])
    assert find_smiles_column(table) == ("Verbindung", "by its content")


def test_as_asked_for() -> None:
    assert find_smiles_column(frame(smiles=MOLECULES, product=MOLECULES), "product") == (
        "product",
        "as asked for",
    )


@pytest.mark.parametrize("cells", [["xyz", "junk"], []])
def test_junk_and_nothing_in_a_column_named_smiles(cells: list[str]) -> None:
    assert find_smiles_column(frame(smiles=cells, y=["1"] * len(cells))) == ("smiles", "by its name")


@pytest.mark.parametrize(
    ("table", "wanted", "message"),
    [
        (
            frame(a=["x"], b=["y"]),
            None,
            "no column holds SMILES; name it with --smiles-column. Columns: 'a', 'b'",
        ),
        (frame(a=MOLECULES, b=MOLECULES), None, r"several columns hold SMILES: \['a', 'b'\]"),
        (frame(SMILES=MOLECULES), "smile", "no column 'smile' for the SMILES; did you mean 'SMILES'"),
        (frame(SMILES=MOLECULES), "zz", "for the SMILES; Columns: 'SMILES'"),
        (frame(CCCCO=MOLECULES), None, r"no header: its first line holds the molecule 'CCCCO'.*\.smi"),
    ],
)
def test_refused(table: pd.DataFrame, wanted: str | None, message: str) -> None:
    with pytest.raises(MolftError, match=message):
        find_smiles_column(table, wanted)


def test_the_problem_column_is_no_candidate() -> None:
    with pytest.raises(MolftError, match="no column holds SMILES"):
        find_smiles_column(pd.DataFrame({PROBLEM: MOLECULES}))


@pytest.mark.parametrize(
    ("cells", "share"),
    [(["CCO", "", "xyz"], 0.5), (["1.5", "2"], 0.0), ([], 0.0), (["", " "], 0.0), (["C, N"], 0.0)],
)
def test_parsed_share(cells: list[str], share: float) -> None:
    assert parsed_share(pd.Series(cells, dtype=str)) == share


def test_listed_is_cut_off() -> None:
    assert listed([str(number) for number in range(22)]).endswith("18, 19 and 2 more")


@pytest.mark.parametrize(
    ("name", "column"),
    [("bace.csv", "mol"), ("BBBP.csv", "smiles"), ("HIV.csv", "smiles"), ("muv.csv.gz", "smiles")],
)
def test_moleculenet(name: str, column: str, real_data: Path) -> None:
    table = read_table(real_data / "moleculenet" / name)
    assert find_smiles_column(table) == (column, "by its name")
    assert find_smiles_column(table.rename(columns={column: "x"})) == ("x", "by its content")
