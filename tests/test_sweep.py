"""What screening and embedding share, apart from what their own tests see."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from molft.chem.prepare import Block, Recipe
from molft.errors import MolftError
from molft.use.columns import free_names
from molft.use.question import Question
from molft.use.sweep import Job, Summary, sweep


def count_atoms(block: Block) -> NDArray[np.float64]:
    return np.diff(block.graphs.atom_ptr).astype(np.float64)[:, None]


ATOMS = Question("counting", Recipe(), ("atoms",), count_atoms, {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A library of two parquet files."""
    (tmp_path / "library").mkdir()
    parquet.write_table(pa.table({"smiles": ["CCO", None], "n": [1, 2]}), tmp_path / "library" / "a.parquet")
    parquet.write_table(pa.table({"smiles": ["c1ccccc1"], "n": [3]}), tmp_path / "library" / "b.parquet")
    return tmp_path / "library"


def test_a_folder_of_parquet_files_is_one_library(folder: Path, tmp_path: Path) -> None:
    summary = sweep(Job(folder, tmp_path / "new" / "out.csv", workers=0, block_rows=2), ATOMS)
    first, second = folder / "a.parquet", folder / "b.parquet"
    assert (tmp_path / "new" / "out.csv").read_text() == (
        f"smiles,n,file,status,atoms\nCCO,1,{first},ok,3\n,2,{first},text: empty,\nc1ccccc1,3,{second},ok,6\n"
    )
    assert summary[1:5] == (3, 2, {"text": 1}, 0)


def test_a_changed_file_of_the_folder_is_noticed(folder: Path, tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(Job(folder, tmp_path / "out.csv", workers=0, block_rows=2, progress=stop), ATOMS)
    parquet.write_table(pa.table({"smiles": ["C"], "n": [3]}), folder / "b.parquet")
    with pytest.raises(MolftError, match=r"something else: library: \S+b.parquet changed. Rows"):
        sweep(Job(folder, tmp_path / "out.csv", workers=0, block_rows=2, resume=True), ATOMS)


def test_answers_that_do_not_fit_the_molecules_are_refused(folder: Path, tmp_path: Path) -> None:
    question = replace(ATOMS, answer=lambda block: np.zeros((1, 2)))
    with pytest.raises(MolftError, match=r"answers of shape \(1, 2\) for 1 molecules and 1 columns"):
        sweep(Job(folder, tmp_path / "out.csv", workers=0), question)


def test_a_failed_write_keeps_the_parts_for_another_try(folder: Path, tmp_path: Path) -> None:
    def fail(path: Path, tables: object, smiles_column: str) -> None:
        raise MolftError("the disk is full")

    with pytest.raises(MolftError, match="the disk is full"):
        sweep(Job(folder, tmp_path / "out.csv", workers=0, block_rows=2), ATOMS, write=fail)
    again = sweep(Job(folder, tmp_path / "out.csv", workers=0, block_rows=2, resume=True), ATOMS)
    assert again.resumed == 3 and (tmp_path / "out.csv").exists()


def test_new_columns_never_take_a_name_twice() -> None:
    assert free_names(("y", "y_predicted"), ["y"]) == ["y_predicted", "y_predicted_predicted"]


def test_the_summary_says_it_in_a_sentence() -> None:
    summary = Summary(
        "screening",
        12000,
        11990,
        {"size": 3, "parse": 7},
        2000,
        4.0,
        Path("out.csv"),
        "SMILES",
        "by its name",
    )
    assert summary.text() == (
        "screening: 12,000 rows, 2,000 of them before: 11,990 ok, 10 refused (parse 7, size 3); 4.0 s, 2,500 "
        "molecules/s; SMILES in column 'SMILES' (by its name); written to out.csv"
    )
