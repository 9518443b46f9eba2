"""A library of several files: which, in what order, and as which table."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from molft.errors import MolftError
from molft.files import sha256
from molft.use.library import open_library
from molft.use.sources import find_files, fingerprint, read_files, read_headers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of three kinds, and what no library consists of."""
    folder = tmp_path / "library"
    (folder / "deeper").mkdir(parents=True)
    (folder / "b.smi.gz").write_bytes(gzip.compress(b"CCO ethanol\nCCC propane\n"))
    (folder / "a.csv").write_text("id,smiles\n1,C\n2,CC\n3,CCC,too many\n")
    parquet.write_table(pa.table({"smiles": ["N"], "price": [1.5]}), folder / "c.parquet")
    (folder / "deeper" / "d.smi").write_text("CO\n")
    (folder / ".hidden").write_text("")
    (folder / "_SUCCESS").write_text("")
    return folder


def names(files: list[Path], folder: Path) -> list[str]:
    return [str(file.relative_to(folder)) for file in files]


def test_a_folder_is_its_files_by_name(folder: Path) -> None:
    assert names(find_files(folder), folder) == ["a.csv", "b.smi.gz", "c.parquet"]


def test_patterns_and_names_together_give_each_file_once(folder: Path) -> None:
    given = [folder / "c.parquet", str(folder / "*.smi*"), str(folder / "**" / "*.smi"), folder / "c.parquet"]
    assert names(find_files(given), folder) == ["b.smi.gz", "c.parquet", "deeper/d.smi"]


def test_a_name_that_looks_like_a_pattern_is_a_name_first(tmp_path: Path) -> None:
    (tmp_path / "set[1].smi").write_text("C\n")
    (tmp_path / "set1.smi").write_text("CC\n")
    assert find_files(tmp_path / "set[1].smi") == [tmp_path / "set[1].smi"]


def test_standard_input_and_a_missing_file_are_left_to_the_reader(tmp_path: Path) -> None:
    assert find_files("-") == [Path("-")]
    assert find_files(tmp_path / "none.csv") == [tmp_path / "none.csv"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no library"),
        (["-", "a.smi"], "can't be one of several"),
        (["*.sdf"], "no file matches this pattern"),
        (["deeper/deepest"], "a folder without files"),
    ],
)
def test_what_is_no_library_is_refused(
    folder: Path, given: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "deeper" / "deepest").mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(MolftError, match=message):
        find_files(given)


def test_a_file_of_unknown_kind_in_a_folder_is_not_passed_over(folder: Path) -> None:
    (folder / "part7.smi.zst").write_bytes(b"")
    with pytest.raises(MolftError, match=r"unknown kind among the library's: part7.smi.zst; take them out"):
        find_files(folder)


def test_one_table_of_all_columns_that_says_where_each_row_is_from(folder: Path) -> None:
    headers = read_headers(find_files(folder))
    blocks = list(read_files(headers, rows=2))
    columns = ["id", "smiles", "name", "price", "file"]
    assert all(list(block.columns) == columns for block in blocks)
    a, b, c = (str(folder / name) for name in ("a.csv", "b.smi.gz", "c.parquet"))
    rows = [zip(*block.columns.values(), block.problems, strict=True) for block in blocks]
    assert [list(map(list, block)) for block in rows] == [
        [["1", "C", "", "", a, ""], ["2", "CC", "", "", a, ""]],
        [["3", "CCC,too many", "", "", a, "line 4: 3 fields ('3,CCC,too many'), expected 2"]],
        [["", "CCO", "ethanol", "", b, ""], ["", "CCC", "propane", "", b, ""]],
        [["", "N", "", "1.5", c, ""]],
    ]


def test_a_column_called_file_keeps_its_name(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("smiles,file\nC,plate 1\n")
    assert open_library(find_files(tmp_path), None, 10).columns == ["smiles", "file", "source file"]


def test_a_single_file_is_not_named(folder: Path) -> None:
    assert open_library(find_files(folder / "a.csv"), None, 10).columns == ["id", "smiles"]


def test_files_that_call_the_smiles_otherwise_are_refused(folder: Path) -> None:
    (folder / "d.csv").write_text("SMILES\nC\n")
    with pytest.raises(
        MolftError, match=r"d.csv: no column 'smiles', in which .*a.csv has .* has 'SMILES'. Re"
    ):
        open_library(find_files(folder), None, 10)


def test_an_unreadable_file_is_refused_before_any_work(folder: Path) -> None:
    (folder / "z.csv").write_text("")
    with pytest.raises(MolftError, match=r"z.csv: empty"):
        open_library(find_files(folder), None, 10)


def test_the_fingerprint_is_of_the_bytes(folder: Path) -> None:
    files = find_files(folder)
    assert fingerprint(files[:1]) == sha256(folder / "a.csv")
    assert fingerprint(files) == {str(file): sha256(file) for file in files}
    assert fingerprint([Path("-")]) is None
