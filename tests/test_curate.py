"""Rows to molecules."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molft.chem.prepare import Recipe, prepare
from molft.data.curate import Assay, curate
from molft.data.formats import PROBLEM, read_table
from molft.data.labels import infer_targets
from molft.data.report import Line
from molft.data.table import find_smiles_column
from molft.errors import MolftError

DATA = Path(__file__).parent / "data"


def assay_of(
    frame: pd.DataFrame, wanted: list[str] | None = None, recipe: Recipe = Recipe(keys=True)
) -> Assay:
    column = find_smiles_column(frame)[0]
    labels = infer_targets(frame, column, wanted)
    return curate(frame, column, labels, prepare(frame[column].tolist(), recipe))


def rows_of(lines: tuple[Line, ...]) -> list[int]:
    return [row for line in lines for row in line.rows]


def test_duplicates_are_merged_in_the_order_of_first_rows() -> None:
    frame = pd.DataFrame({"smiles": ["OCC", "CCN", "CCO", "CCN"], "y": ["5.5", "1.5", "5.5", "2.5"]})
    assay = assay_of(frame)
    assert assay.smiles == ["CCO", "CCN"]
    assert assay.rows == [(0, 2), (1, 3)]
    assert assay.labels.tolist() == [[5.5], [2.0]]
    assert assay.labels.dtype == np.float32
    assert assay.source.tolist() == [0, 1]
    assert assay.report.merged == (Line((1, 3), "CCO", "the labels agree"),)
    assert assay.report.conflicts == (Line((2, 4), "CCN", "y: median of 1.5, 2.5"),)


def test_source_points_into_the_accepted_molecules() -> None:
    frame = pd.DataFrame({"smiles": ["xyz", "C", "CC", "CCC"], "y": ["1.5", "", "2.5", "4.5"]})
    labels = infer_targets(frame, "smiles")
    block = prepare(frame["smiles"].tolist(), Recipe(keys=True))
    assay = curate(frame, "smiles", labels, block)
    assert assay.source.tolist() == [1, 2]
    assert np.diff(block.graphs.take(assay.source).atom_ptr).tolist() == [2, 3]


def test_each_task_is_merged_on_its_own() -> None:
    frame = pd.DataFrame({"smiles": ["C", "C", "CC"], "a": ["1", "1", "0"], "b": ["1", "0", "1"]})
    assay = assay_of(frame)
    np.testing.assert_array_equal(assay.labels, [[1, np.nan], [0, 1]])
    assert assay.report.conflicts == (Line((1, 2), "C", "b: a tie, 1 to 1: no label"),)


def test_a_molecule_that_lost_its_only_label_is_dropped() -> None:
    assay = assay_of(pd.DataFrame({"smiles": ["C", "C", "CC"], "a": ["1", "0", "0"]}))
    assert assay.smiles == ["CC"]
    assert assay.report.tasks[0]["positive"] == 0


def test_a_salt_is_changed_and_a_metal_left() -> None:
    frame = pd.DataFrame(
        {"smiles": ["CC[NH3+].[Cl-]", "N[Pt](N)(Cl)Cl", "C[N+](C)(C)C"], "y": ["1.5", "2.5", "3.5"]}
    )
    report = assay_of(frame).report
    assert report.changed == (Line((1,), "CC[NH3+].[Cl-]", "became CCN"),)
    assert report.as_written == (Line((2,), "N[Pt](N)(Cl)Cl", "metal: Pt"),)


def test_without_standardising_nothing_is_changed() -> None:
    frame = pd.DataFrame({"smiles": ["CC[NH3+].[Cl-]", "CCN"], "y": ["1.5", "2.5"]})
    assay = assay_of(frame, recipe=Recipe(keys=True, standardize=False))
    assert (len(assay.smiles), assay.report.changed) == (2, ())


def test_a_row_written_wrongly_is_dropped_even_if_its_smiles_reads() -> None:
    frame = pd.DataFrame(
        {"smiles": ["C", "CC", "CCC"], "y": ["1.5", "2.5", "3.5"], PROBLEM: ["", "line 3: 4 fields", ""]}
    )
    assay = assay_of(frame)
    assert assay.smiles == ["C", "CCC"]
    assert assay.report.rejected == (Line((2,), "CC", "text: line 3: 4 fields"),)


@pytest.mark.parametrize(
    ("smiles", "y", "message"),
    [
        (
            ["xyz", "C1"],
            ["1.5", "2.5"],
            r"none of the 2 rows.*: 2 have no molecule \(row 1: parse: not a SMILES: 'xyz'\)",
        ),
        (["xyz", "C"], ["1.5", ""], "1 have no molecule .*, 1 have no label"),
        (["C", "C"], ["1", "0"], "1 conflicts"),
    ],
)
def test_nothing_left_is_refused(smiles: list[str], y: list[str], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        assay_of(pd.DataFrame({"smiles": smiles, "y": y}), ["y"])


def test_ugly_numbers() -> None:
    assay = assay_of(read_table(DATA / "ugly.csv"))
    labels, bounds = assay.labels[:, 0].tolist(), assay.bounds[:, 0].tolist()
    assert list(zip(assay.smiles, labels, bounds, assay.rows, strict=True)) == [
        ("CCO", pytest.approx(5.3), 0, (0, 1)),
        ("Oc1ccccc1", 10, 1, (2, 3)),
        ("CC(=O)O", pytest.approx(0.3), 0, (4, 5)),
        ("CCCl", pytest.approx(0.1), -1, (12,)),
        ("CCBr", 7.5, 0, (13,)),
        ("CCCCO", 100, 0, (14,)),
        ("C1CCCCC1", 1.5, 0, (15,)),
        ("[NH2][Pt]([NH2])([Cl])[Cl]", 6, 0, (17,)),
        ("CC(=O)Oc1ccccc1C(=O)O", 2.75, 0, (18,)),
        ("CCCC", -0.5, 0, (19,)),
    ]  # fmt: skip
    report = assay.report
    assert [(line.rows[0], line.reason.split(":")[0]) for line in report.rejected] == [
        (9, "text"), (10, "parse"), (11, "text"), (12, "sanitise"),
    ]  # fmt: skip
    assert rows_of(report.unlabelled) == [7, 8, 17]
    assert rows_of(report.cells) == [17]
    assert report.conflicts == (Line((5, 6), "CC(=O)O", "IC50 [µM]: median of 0.25, 0.35"),)
    assert rows_of(report.merged) == [1, 2, 3, 4]


def test_ugly_classes() -> None:
    assay = assay_of(read_table(DATA / "ugly_classes.csv"))
    assert dict(zip(assay.smiles, assay.labels[:, 0].tolist(), strict=True)) == {
        "OCCO": 1, "Oc1ccccc1": 0, "CCCCCC": 0, "Cc1ccccc1": 0, "CCCCCCO": 1,
    }  # fmt: skip
    assert [line.reason for line in assay.report.conflicts] == [
        "hERG: a tie, 1 to 1: no label",
        "hERG: 0 by majority, 2 of 3",
    ]


def test_a_giant_molecule_costs_one_row() -> None:
    assay = assay_of(pd.DataFrame({"smiles": ["C" * 10_000, "C"], "y": ["1.5", "2.5"]}), ["y"])
    assert assay.smiles == ["C"]
    assert assay.report.rejected[0].reason == "text: 10000 characters, at most 5000 are read"


@pytest.mark.parametrize("name", ["BBBP.csv", "clintox.csv", "cells"])
def test_every_row_is_accounted_for(name: str, request: pytest.FixtureRequest) -> None:
    if name == "cells":
        frame = read_table(DATA / "ugly.csv")
    else:
        frame = read_table(request.getfixturevalue("real_data") / "moleculenet" / name)
    assay = assay_of(frame)
    report = assay.report
    used = [row + 1 for rows in assay.rows for row in rows]
    out = rows_of(report.rejected) + rows_of(report.unlabelled)
    lost = {row for line in report.conflicts if line.reason.endswith("no label") for row in line.rows}
    assert len(used) == len(set(used)) and len(out) == len(set(out))
    assert set(used) | set(out) | lost == set(range(1, len(frame) + 1))
    assert not set(used) & set(out)
    json.dumps(report.to_json(), allow_nan=False)


def test_bbbp_conflicts_are_named(real_data: Path) -> None:
    report = assay_of(read_table(real_data / "moleculenet" / "BBBP.csv")).report
    assert rows_of(report.rejected) == [60, 62, 392, 615, 643, 646, 647, 648, 649, 650, 686]
    assert Line((1, 379), "CC(C)NCC(O)COc1cccc2ccccc12", "p_np: a tie, 1 to 1: no label") in report.conflicts
