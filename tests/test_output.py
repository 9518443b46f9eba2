"""CSV, TSV and parquet files of rows."""

import csv
import errno
import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from molft.data.formats import read_table
from molft.errors import MolftError
from molft.use.output import check_ending, write_rows

UGLY = ["plain", "a,b;c\td", 'says "no"', "two\nlines", "lone\rreturn", "=1+1", "-5.2", "", "Ünïcode µM"]
ROWS = pa.table({"id": UGLY, "y": pa.array([0.123456789123, None, -1.0, 5e-10, 3e20, 0.0, 1e6, 2.5, 1 / 3])})


def test_a_csv_is_what_it_looks_like(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_rows(path, [pa.table({"id": ["a", "=b"], "y": [0.5, None]}), pa.table({"id": ["c"], "y": [0.25]})])
    assert path.read_bytes() == b"id,y\na,0.5\n'=b,\nc,0.25\n"


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.tsv.gz", "a.parquet"])
def test_every_kind_gives_its_cells_back(tmp_path: Path, name: str) -> None:
    write_rows(tmp_path / name, [ROWS.slice(0, 4), ROWS.slice(4)])
    back = read_table(tmp_path / name)
    assert back["id"].tolist() == UGLY
    numbers = [float(cell or "nan") for cell in back["y"]]
    assert numbers == pytest.approx(ROWS["y"].to_numpy(), rel=1e-7, nan_ok=True)


def test_python_reads_the_quotes_in_the_same_way(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", [ROWS])
    text = (tmp_path / "a.csv").read_bytes().decode()
    cells = [row[0] for row in csv.reader(io.StringIO(text, newline=""), strict=True)]
    assert cells == ["id", *("'=1+1" if cell == "=1+1" else cell for cell in UGLY)]


def test_a_column_name_is_no_formula_either(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", [pa.table({"=cmd()": ["x"], "y": [1.0]})])
    assert (tmp_path / "a.csv").read_text() == "'=cmd(),y\nx,1\n"


def test_the_same_rows_give_the_same_bytes_whatever_the_parts(tmp_path: Path) -> None:
    for name in ("a.csv.gz", "a.parquet"):
        write_rows(tmp_path / name, [ROWS])
        write_rows(tmp_path / f"again-{name}", [ROWS.slice(0, 1), ROWS.slice(1, 5), ROWS.slice(6)])
        assert (tmp_path / name).read_bytes() == (tmp_path / f"again-{name}").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).startswith(b"id,y\nplain,")


def test_small_parts_become_large_groups(tmp_path: Path) -> None:
    part = pa.table({"y": [0.5] * 1000})
    write_rows(tmp_path / "a.parquet", [part] * 100)
    assert parquet.ParquetFile(tmp_path / "a.parquet").num_row_groups == 2


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, name: str) -> None:
    def tables() -> Iterator[pa.Table]:
        yield ROWS
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / name).write_text("old")
    with pytest.raises(MolftError, match=r"No space left on device; free some space"):
        write_rows(tmp_path / name, tables())
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


@pytest.mark.parametrize("name", ["a.xlsx", "a.gz", "a.parquet.gz", "a.csv.bz2", "a.npz"])
def test_an_unknown_ending_is_refused(name: str) -> None:
    with pytest.raises(MolftError, match=r"can't write this kind of file; let the name end in .csv"):
        check_ending(Path(name))


@pytest.mark.parametrize("name", ["a.csv", "A.b.tsv.gz", "a.parquet", "a.npz", "a"])
def test_a_known_ending_is_not(name: str) -> None:
    check_ending(Path(name), more=(".npz",))
