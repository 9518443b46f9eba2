"""Parquet files and folders to rows."""

from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from molft.data.parquet import read_parquet
from molft.errors import MolftError


def write(path: Path, **columns: object) -> Path:
    parquet.write_table(pyarrow.table(columns), path)
    return path


def test_types_become_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", smiles=["CCO", None], y=[6.3, None], n=[1, 2], v=[[1.0], None])
    table = read_parquet(path)
    assert table.names == ["smiles", "y", "n", "v"]
    assert [row.cells for row in table.rows] == [["CCO", "6.3", "1", "[1.0]"], ["", "", "2", ""]]


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    write(tmp_path / "part-2.parquet", smiles=["CC"])
    write(tmp_path / "part-1.parquet", smiles=["C"])
    assert [row.cells for row in read_parquet(tmp_path).rows] == [["C"], ["CC"]]


def test_files_that_differ_in_columns_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", smiles=["C"])
    write(tmp_path / "2.parquet", structure=["CC"])
    with pytest.raises(MolftError, match=r"columns \['structure'\], expected \['smiles'\]"):
        list(read_parquet(tmp_path).rows)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MolftError, match=r"a folder without \.parquet files"):
        read_parquet(tmp_path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("smiles,y\nCCO,1\n")
    with pytest.raises(MolftError, match="not a parquet file"):
        read_parquet(path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", smiles=[f"C{'C' * n}" for n in range(500)])
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)
    path.write_bytes(data)
    with pytest.raises(MolftError, match="damaged"):
        list(read_parquet(path).rows)
