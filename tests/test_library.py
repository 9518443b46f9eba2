"""Libraries in blocks: every row keeps its place."""

import gzip
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from molft.chem.prepare import Block, Recipe
from molft.errors import MolftError
from molft.use.library import Portion, answer_library, expect_rows, open_library
from molft.use.local_engine import answer_here
from molft.use.question import Question

# Rows: fine, no molecule, one field too many, empty, a Cyrillic letter, fine.
TABLE = 'id,smiles\na,CCO\nb,C1CC\nc,CCN,CCC\nd,\ne,CCО\nf,"CC(=O)O"\n'


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "library.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def count_atoms(block: Block) -> NDArray[np.float64]:
    return np.diff(block.graphs.atom_ptr).astype(np.float64)[:, None]


def portions(path: Path, rows: int, skip: int = 0, workers: int = 0) -> list[Portion]:
    question = Question("counting", Recipe(), ("atoms",), count_atoms, {})
    library = open_library([path], None, rows)
    return list(answer_library(library, partial(answer_here, question, workers=workers), skip))


@pytest.mark.parametrize("rows", [1, 2, 4, 6, 100])
def test_every_row_has_its_cells_and_its_status(table: Path, rows: int) -> None:
    found = portions(table, rows)
    assert [name for p in found for name in p.cells["id"]] == list("abcdef")
    assert list(found[0].cells) == ["id", "smiles"]
    status = [text for p in found for text in p.status]
    assert [text.partition(":")[0] for text in status] == ["ok", "parse", "text", "text", "text", "ok"]
    assert status[2] == "text: line 4: 3 fields ('c,CCN,CCC'), expected 2"
    assert [value for p in found for value in p.answered.values[:, 0]] == [3, 4]
    assert sum((p.rejected for p in found[1:]), found[0].rejected) == {"parse": 1, "text": 3}


def test_worker_processes_give_the_same(table: Path) -> None:
    alone, together = portions(table, 2), portions(table, 2, workers=2)
    assert [p.status for p in alone] == [p.status for p in together]
    values = [[p.answered.values.tolist() for p in found] for found in (alone, together)]
    assert values[0] == values[1]


def test_the_first_blocks_can_be_skipped(table: Path) -> None:
    assert [p.cells["id"] for p in portions(table, 2, skip=2)] == [["e", "f"]]
    assert portions(table, 2, skip=3) == []


def test_a_library_without_rows_is_one_empty_block(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("id,smiles\n")
    (portion,) = portions(tmp_path / "empty.csv", 10)
    assert portion.status == [] and list(portion.cells) == ["id", "smiles"]
    assert portion.answered.values.shape == (0, 1)


def test_the_smiles_column_is_found_or_asked_for(table: Path) -> None:
    by_name, as_asked = open_library([table], None, 10), open_library([table], "id", 10)
    assert (by_name.smiles_column, by_name.found) == ("smiles", "by its name")
    assert (as_asked.smiles_column, as_asked.found) == ("id", "as asked for")
    with pytest.raises(MolftError, match=r"no column 'SMILES' for the SMILES; did you mean 'smiles'"):
        open_library([table], "SMILES", 10)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "no such file"),
        ("a.doc", b"CCO", "unknown kind of file"),
        ("a.csv", b"id,name\n1,water\n", "no column holds SMILES"),
        ("a.csv.gz", gzip.compress(TABLE.encode() * 50)[:90], "damaged or cut short"),
    ],
)
def test_a_library_that_cannot_be_used_says_why(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(MolftError, match=message):
        portions(tmp_path / name, 2)


def test_the_number_of_rows_is_told_where_it_is_cheap(table: Path, tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("CCO\nCCN\nCCC\n")
    (tmp_path / "a.smi.gz").write_bytes(gzip.compress(b"CCO\n"))
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    parquet.write_table(pa.table({"smiles": ["C", "CC"]}), tmp_path / "a.parquet")
    names = ("a.smi", "a.smi.gz", "a.parquet", "bad.parquet", "absent.csv", ".")
    assert [expect_rows([tmp_path / name]) for name in names] == [3, 0, 2, 0, 0, 0]
    assert expect_rows([table]) == 6
    assert expect_rows([Path("-")]) == 0
    assert expect_rows([table, tmp_path / "a.smi", tmp_path / "a.parquet"]) == 11
    assert expect_rows([table, tmp_path / "a.smi.gz"]) == 0
