"""From a table as a lab exports it to molecules in a split; every row accounted for."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from molft.chem.prepare import Recipe, prepare
from molft.errors import MolftError
from molft.use.dataset import Dataset, read_dataset
from molft.use.options import Options, Silent
from tests.series import pyridines
from tests.small import small_options, write_assay

DATA = Path(__file__).parent / "data"


class Heard(Silent):
    """Keeps the lines it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


class Case(NamedTuple):
    """What a table must give."""

    column: str
    task_type: str
    labels: dict[str, float]
    rejected: dict[int, str]
    unlabelled: list[int]


CASES = {
    "ugly.csv": Case(
        "Structure",
        "regression",
        {
            "CCO": 5.3,
            "Oc1ccccc1": 10.0,
            "CC(=O)O": 0.3,
            "CCCl": 0.1,
            "CCBr": 7.5,
            "CCCCO": 100.0,
            "C1CCCCC1": 1.5,
            "[NH2][Pt]([NH2])([Cl])[Cl]": 6.0,
            "CC(=O)Oc1ccccc1C(=O)O": 2.75,
            "CCCC": -0.5,
        },
        {9: "text: empty", 10: "parse: not a", 11: "text: character 'О' (U+041E)", 12: "sanitise: Explicit"},
        [7, 8, 17],
    ),
    "ugly_classes.csv": Case(
        "Canonical SMILES",
        "classification",
        {"OCCO": 1.0, "Oc1ccccc1": 0.0, "CCCCCC": 0.0, "Cc1ccccc1": 0.0, "CCCCCCO": 1.0},
        {},
        [8, 10],
    ),
}


def read(table: Path, reporter: Silent | None = None, **options: object) -> Dataset:
    return read_dataset(table, small_options(**options), "snap", reporter or Silent())  # type: ignore[arg-type]


def table_of(path: Path, frame: dict[str, list[str]]) -> Path:
    pd.DataFrame(frame).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", CASES)
def test_an_ugly_table_from_end_to_end(name: str) -> None:
    case, heard = CASES[name], Heard()
    data = read(DATA / name, heard)
    assert data.smiles_column == case.column
    assert data.assay.task_type == case.task_type
    found = dict(zip(data.assay.smiles, data.assay.labels[:, 0].tolist(), strict=True))
    assert found == pytest.approx(case.labels)
    report = data.assay.report
    assert [line.rows[0] for line in report.rejected] == list(case.rejected)
    for line, reason in zip(report.rejected, case.rejected.values(), strict=True):
        assert line.reason.startswith(reason)
    assert [line.rows[0] for line in report.unlabelled] == case.unlabelled
    assert sorted(np.concatenate(data.split).tolist()) == list(range(len(case.labels)))
    assert data.source["file"] == name
    assert data.source["sha256"] == hashlib.sha256((DATA / name).read_bytes()).hexdigest()
    assert data.source["rows"] == len(data.frame) == report.rows
    told = "\n".join(heard.lines)
    assert f"SMILES in column '{case.column}' (by its name)" in told
    assert "split: random" in told


def test_bounds_and_units_of_the_ugly_table() -> None:
    data = read(DATA / "ugly.csv")
    bounds = dict(zip(data.assay.smiles, data.assay.bounds[:, 0].tolist(), strict=True))
    assert {smiles: bound for smiles, bound in bounds.items() if bound} == {"Oc1ccccc1": 1, "CCCl": -1}
    report = data.assay.report
    assert [(line.rows, line.reason) for line in report.cells] == [
        ((17,), "IC50 [µM]: '12 um' is not a number")
    ]
    assert [line.rows for line in report.conflicts] == [(5, 6)]
    assert [line.reason for line in report.as_written] == ["metal: Pt"]


def test_the_block_holds_the_molecules_of_the_assay_in_its_order() -> None:
    data = read(DATA / "ugly.csv")
    assert data.block.keys == data.assay.smiles
    expected = prepare(data.assay.smiles, Recipe(scheme="snap", forest=True))
    np.testing.assert_array_equal(data.block.graphs.atom_ptr, expected.graphs.atom_ptr)
    np.testing.assert_array_equal(data.block.counts, expected.counts)
    rows = data.split.train
    some = data.examples(rows)
    assert len(some) == len(rows)
    np.testing.assert_array_equal(some.labels, data.assay.labels[rows])
    np.testing.assert_array_equal(some.bounds, data.assay.bounds[rows])


@pytest.mark.parametrize(("name", "tied"), [("ugly.csv", []), ("ugly_classes.csv", [3, 4])])
def test_every_row_is_a_molecule_or_has_a_reason(name: str, tied: list[int]) -> None:
    data = read(DATA / name)
    report = data.assay.report
    lost = [row for line in (*report.rejected, *report.unlabelled) for row in line.rows]
    kept = [row + 1 for rows in data.assay.rows for row in rows]
    assert sorted(lost + kept + tied) == list(range(1, len(data.frame) + 1))
    assert [line.rows for line in report.conflicts if "no label" in line.reason] == [tuple(tied)] * bool(tied)


def test_the_user_s_own_split_is_taken_and_is_no_label(tmp_path: Path) -> None:
    smiles = pyridines(10)
    parts = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    # 0 and 1 would pass for a second task, were the column not left out of the search.
    table = table_of(tmp_path / "t.csv", {"smiles": smiles, "y": ["0", "1"] * 5, "set 2": parts})
    data = read(table, split="set 2")
    assert data.split_name == "column set 2"
    assert [part.tolist() for part in data.split] == [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9]]
    assert data.assay.names == ("y",)


def test_duplicates_may_be_spelled_differently_in_the_split_column(tmp_path: Path) -> None:
    table = table_of(
        tmp_path / "t.csv",
        {
            "smiles": ["CCO", "OCC", "CCN", "CCC"],
            "y": ["0", "0", "1", "1"],
            "set": ["train", " Train", "test", "train"],
        },
    )
    data = read(table, split="set")
    assert data.assay.smiles == ["CCO", "CCN", "CCC"]
    assert data.split.test.tolist() == [1]


@pytest.mark.parametrize("other", ["OCC", "[CH3]CO", "CCO.Cl"])
def test_a_molecule_on_two_sides_of_the_users_split_is_refused(tmp_path: Path, other: str) -> None:
    smiles, parts = ["CCO", "CCN", "CCC", other], ["train", "train", "test", "test"]
    table = table_of(tmp_path / "t.csv", {"smiles": smiles, "y": ["0", "1", "1", "0"], "set": parts})
    with pytest.raises(MolftError, match=r"1 molecules on two sides, the first CCO \(rows 1, 4\)"):
        read(table, split="set")


def test_a_row_that_is_left_out_may_have_any_part(tmp_path: Path) -> None:
    smiles, parts = ["CCO", "CCN", "CCC", "xyz", "CCO"], ["train", "train", "test", "?", "test"]
    table = table_of(tmp_path / "t.csv", {"smiles": smiles, "y": ["0", "1", "1", "0", ""], "set": parts})
    assert [line.rows for line in read(table, split="set").assay.report.rejected] == [(4,)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "sett"}, "split 'sett' is neither a column of the table nor one of auto, scaffold"),
        ({"split": "halogen"}, "says '0', '1'; expected train, valid or test"),
        ({"smiles_column": "SMILE"}, r"no column 'SMILE' for the SMILES; did you mean 'smiles'"),
        ({"target_columns": ("halogn",)}, r"no label column 'halogn'; did you mean 'halogen'"),
        ({"split_sizes": (0.9, 0.0, 0.1)}, r"no validation part.* give it a share"),
        ({"split_sizes": (0.5, 0.1, 0.1)}, "three fractions that sum to 1"),
    ],
)
def test_options_that_do_not_fit_the_table_are_refused(
    tmp_path: Path, options: dict[str, object], message: str
) -> None:
    table = write_assay(tmp_path / "t.csv", halogen=["0", "1"] * 20, other=["a"] * 40)
    if options.get("split") == "halogen":
        table = write_assay(tmp_path / "t.csv", halogen=["0", "1"] * 20, y=["0", "1"] * 20)
    with pytest.raises(MolftError, match=message):
        read(table, **options)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y": [""] * 10}, r"no column looks like a label.*'y' \(empty\)"),
        ({"y": ["1"] * 10}, r"no column looks like a label.*'y' \(one class only\)"),
        ({"pIC50": ["5.5"] * 10}, r"'pIC50' \(constant\)"),
        ({"a": ["5.5", "6.5"] * 5, "b": ["5.5", "6.5"] * 5}, "2 columns could be the label; name the labels"),
        ({"a": ["0", "1"] * 5, "b": ["5.5", "6.5"] * 5}, "2 columns could be the label"),
        ({"id": [str(i) for i in range(10)]}, r"'id' \(identifier by its name\)"),
    ],
)
def test_a_table_without_a_label_to_find_asks_for_it(
    tmp_path: Path, columns: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(MolftError, match=message):
        read(write_assay(tmp_path / "t.csv", 10, **columns))


@pytest.mark.parametrize(
    ("smiles", "y", "message"),
    [
        (
            ["CCО", "c1cc", "xyz"],
            ["0", "1", "0"],
            r"no column holds SMILES|none of the 3 rows gives a molecule",
        ),
        (["CCO", "OCC", "[CH3]CO", "CCO.Cl"], ["0", "1", "1", "0"], r"none of the 4 rows .* 1 conflicts"),
        ([], [], "label column 'y' has no values"),
    ],
)
def test_a_table_that_leaves_nothing_says_why(
    tmp_path: Path, smiles: list[str], y: list[str], message: str
) -> None:
    with pytest.raises(MolftError, match=message):
        read(table_of(tmp_path / "t.csv", {"smiles": smiles, "y": y}), target_columns=("y",))


def test_too_large_a_molecule_costs_one_row(tmp_path: Path) -> None:
    smiles = [*pyridines(9), "C" * 4000]
    data = read(table_of(tmp_path / "t.csv", {"smiles": smiles, "y": ["0", "1"] * 5}))
    assert [(line.rows, line.reason) for line in data.assay.report.rejected] == [
        ((10,), "size: 4000 heavy atoms, at most 500 are read")
    ]
    assert len(data.assay.smiles) == 9


def test_a_label_too_large_for_single_precision_is_missing_and_reported(tmp_path: Path) -> None:
    table = write_assay(tmp_path / "t.csv", 10, y=["1e300", *["5.5", "6.5", "7.5"] * 3])
    data = read(table, target_columns=("y",))
    assert [line.rows for line in data.assay.report.unlabelled] == [(1,)]
    assert [line.reason for line in data.assay.report.cells] == ["y: '1e300' is too large"]
    assert np.isfinite(data.assay.labels).all()


def test_the_default_options_are_those_of_the_command_line() -> None:
    assert Options().split_sizes == (0.8, 0.1, 0.1)
    assert (Options().encoder, Options().split) == ("default", "auto")
    assert (Options().strategy, Options().loss) == ("auto", "auto")
