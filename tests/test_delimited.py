"""Text tables and SMILES lists, row by row."""

import pytest

from molft.data.delimited import Rows, find_delimiter, name_columns, read_delimited, read_smiles_list
from molft.errors import MolftError


def table(text: str, keep: bool = False) -> tuple[list[str], list[list[str]], list[str]]:
    return unpack(read_delimited(iter(text.splitlines(keepends=True)), "a.csv", keep))


def smiles_list(text: str) -> tuple[list[str], list[list[str]]]:
    return unpack(read_smiles_list(iter(text.splitlines(keepends=True)), "a.smi", keep=False))[:2]


def unpack(rows: Rows) -> tuple[list[str], list[list[str]], list[str]]:
    taken = list(rows.rows)
    return rows.names, [row.cells for row in taken], [row.problem for row in taken]


@pytest.mark.parametrize(
    ("head", "delimiter"),
    [
        (["smiles,y", "CCO,1"], ","),
        (["smiles;y", "CCO;5,3", "CCN;6,1"], ";"),
        (["smiles;x,y", "CCO;5,3"], ";"),
        (["smiles\ty", "CCO\t5,3"], "\t"),
        (["smiles|y", "CCO|1"], "|"),
        (["smiles", "CCO"], ","),
        (['"a;b",c', '"x;y",1'], ","),
    ],
)
def test_delimiter(head: list[str], delimiter: str) -> None:
    assert find_delimiter(head) == delimiter


def test_cells_stay_text() -> None:
    names, cells, _ = table("id,smiles,y\n00123,CCO,1E5\nNA,,TRUE\n")
    assert names == ["id", "smiles", "y"]
    assert cells == [["00123", "CCO", "1E5"], ["NA", "", "TRUE"]]


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("smiles,y\nCCO,1,\nCCN,2,\n", [["CCO", "1"], ["CCN", "2"]]),  # the trailing comma of an export
        ("\n\nsmiles,y\n\nCCO,1\n   \n", [["CCO", "1"]]),  # blank lines
        ('smiles,y\n"C,C",1\n', [["C,C", "1"]]),
        ('smiles,y\n"two\nlines",1\n', [["two\nlines", "1"]]),
        ("sep=;\nsmiles;y\nCCO;1,5\n", [["CCO", "1,5"]]),  # Excel's directive
        ("smiles,y\n'=1+1,''=x\n", [["=1+1", "'=x"]]),  # guarded against spreadsheets
    ],
)
def test_what_exports_look_like(text: str, cells: list[list[str]]) -> None:
    assert table(text)[1] == cells


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "smiles,y\nCCO,1\nCCN,2,3\n",
            r"a.csv, line 3: 3 fields \('CCN,2,3'\), expected 2; the header has 2",
        ),
        ("smiles,y\nCCO\n", "line 2: 1 fields"),
        ('smiles,y\nCCO,1\n"CCN,2\nCCC,3\n', "line 3: a quoted cell can't be read"),
        ("sep=;\nsmiles;y\nCCO;1;2\n", "line 3: 3 fields"),
        ("smiles,y,y\nCCO,1,2\n", "columns 2 and 3 are both named 'y'"),
        ('"smiles,y\n', "header line can't be read"),
        ("", "a.csv: empty"),
        (" \n\n", "a.csv: empty"),
    ],
)
def test_refused_with_the_line(text: str, message: str) -> None:
    with pytest.raises(MolftError, match=message):
        table(text)


def test_a_quote_never_closed_in_a_long_file_names_its_line() -> None:
    with pytest.raises(MolftError, match=r"line 2: a quoted cell .*field larger than field limit"):
        table('smiles,y\n"' + "CCCCCCCCC,1\n" * 20_000)


def test_keep_gives_every_row_back_with_its_problem() -> None:
    names, cells, problems = table('smiles,y\nCCO,1\nCCN,2,3\nCCC\nCCCC,"x"y\nC,4\n', keep=True)
    assert names == ["smiles", "y"]
    assert cells == [["CCO", "1"], ["CCN", "2,3"], ["CCC", ""], ["", ""], ["C", "4"]]
    assert [problem[:16] for problem in problems] == [
        "",
        "line 3: 3 fields",
        "line 4: 1 fields",
        "line 5: a quoted",
        "",
    ]


def test_empty_names_get_one() -> None:
    assert name_columns(["", " smiles ", ""], "a.csv") == ["column 1", "smiles", "column 3"]


@pytest.mark.parametrize(
    ("text", "names", "cells"),
    [
        ("CCO ethanol\n\nCCN\n", ["smiles", "name"], [["CCO", "ethanol"], ["CCN", ""]]),
        ("CCO\tethyl alcohol\t95 %\n", ["smiles", "name"], [["CCO", "ethyl alcohol\t95 %"]]),
        ("SMILES Name\nCCO ethyl alcohol\n", ["SMILES", "Name"], [["CCO", "ethyl alcohol"]]),
        ("smiles\nCCO\n", ["smiles", "name"], [["CCO", ""]]),
        ("smiles\tid\tMW\nCCO\tZ1\t46\n", ["smiles", "id", "MW"], [["CCO", "Z1", "46"]]),
        ("\tno structure\n", ["smiles", "name"], [["", "no structure"]]),
        ("CCO\xa0x\n", ["smiles", "name"], [["CCO\xa0x", ""]]),  # refused later, not cut off here
    ],
)
def test_smiles_list(text: str, names: list[str], cells: list[list[str]]) -> None:
    assert smiles_list(text) == (names, cells)


def test_empty_smiles_list_is_refused() -> None:
    with pytest.raises(MolftError, match=r"a\.smi: empty"):
        smiles_list("\n")
