"""Which columns are the labels."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from molft.data.formats import PROBLEM, read_table
from molft.data.labels import Labels, infer_targets
from molft.errors import MolftError, Rejected

DATA = Path(__file__).parent / "data"


def infer(wanted: list[str] | None = None, task_type: str = "auto", **columns: list[str]) -> Labels:
    rows = len(next(iter(columns.values())))
    return infer_targets(pd.DataFrame({"smiles": ["C"] * rows, **columns}), "smiles", wanted, task_type)  # type: ignore[arg-type]


def test_a_single_candidate_is_the_task() -> None:
    labels = infer(id=["1", "2", "3"], name=["a", "b", "c"], pIC50=["5.1", "6.2", ""], note=["x", "x", "y"])
    assert (labels.names, labels.task_type) == (("pIC50",), "regression")
    np.testing.assert_array_equal(labels.values, [[5.1], [6.2], [np.nan]])
    assert labels.notes == ("not labels: 'id' (identifier by its name), 'name' (text), 'note' (text)",)


def test_classes_alone_are_all_tasks() -> None:
    labels = infer(tox=["0", "1", ""], hERG=["yes", "no", "yes"], MolID=["7", "9", "4"])
    assert (labels.names, labels.task_type) == (("tox", "hERG"), "classification")
    np.testing.assert_array_equal(labels.values, [[0, 1], [1, 0], [np.nan, 1]])


@pytest.mark.parametrize(
    ("column", "cells", "why"),
    [
        ("n", ["1", "2", "3"], "running number"),
        ("serial", [str(3 * number) for number in range(30)], "ascending number"),
        ("temperature", ["25.5", "25.5", "25.5"], "constant"),
        ("CompoundID", ["17", "3", "8"], "identifier by its name"),
        ("PUBCHEM_CID", ["17", "3", "8"], "identifier by its name"),
        ("fold", ["0", "4", "2"], "identifier by its name"),
        ("empty", ["", "NA", ""], "empty"),
        ("registered", ["yes", "yes", "yes"], "one class only"),
    ],
)
def test_left_out_with_the_reason(column: str, cells: list[str], why: str) -> None:
    y = [str(number * 7 % 5 + 0.5) for number in range(len(cells))]
    labels = infer(**{column: cells, "y": y})
    assert labels.names == ("y",)
    assert labels.notes == (f"not labels: {column!r} ({why})",)


def test_wanted_overrules() -> None:
    assert infer(["n"], n=["1", "2", "3"], y=["5.5", "2.5", "1.5"]).names == ("n",)


def test_wanted_pattern() -> None:
    labels = infer(["A*", "b"], A1=["1.5", "2"], A2=["3.5", "4"], b=["5.5", "6"], c=["7.5", "8"])
    assert labels.names == ("A1", "A2", "b")


def test_zero_and_one_as_regression() -> None:
    assert infer(["y"], "regression", y=["0", "1", "1"]).task_type == "regression"


@pytest.mark.parametrize(
    ("wanted", "columns", "message"),
    [
        (
            None,
            {"a": ["1.5", "2"], "b": ["0", "1"]},
            "2 columns could be the label; name .* with --target-columns",
        ),
        (
            None,
            {"a": ["1.5", "2"], "b": ["0", "1"]},
            r"'a' \(numbers, 2 values, 1.5 to 2\), 'b' \(classes, 2 val",
        ),
        (None, {"a": ["x", "y"]}, r"no column looks like a label.*'a' \(text\)"),
        (None, {"a": ["1", "1"]}, r"no column looks like a label.*'a' \(one class only\)"),
        (["pic50"], {"pIC50": ["5.5"]}, "no label column 'pic50'; did you mean 'pIC50'"),
        (["q*"], {"pIC50": ["5.5"]}, r"no label column 'q\*'"),
        (["a"], {"a": ["", "NA"]}, "label column 'a' has no values"),
        (
            ["a"],
            {"a": ["1.5", "2", "5 uM", "x"]},
            "'a': 2 of 4 filled cells can't be read, at most 20 % may: '5 um' is",
        ),
        (
            ["a", "b"],
            {"a": ["1.5", "2"], "b": ["0", "1"]},
            r"classes \(b\) and numbers \(a\) can't be learnt",
        ),
    ],
)
def test_refused(wanted: list[str] | None, columns: dict[str, list[str]], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        infer(wanted, **columns)


@pytest.mark.parametrize(
    ("task_type", "cells", "message"),
    [
        ("classification", ["1.5", "2"], r"'a' holds numbers such as \[1.5, 2.0\], not two classes"),
        ("regression", ["yes", "no"], "2 of 2 filled cells can't be read"),
        ("ranking", ["1", "2"], "task type 'ranking'; expected auto, classification or regression"),
    ],
)
def test_task_type_that_does_not_fit_is_refused(task_type: str, cells: list[str], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        infer(["a"], task_type, a=cells)


def test_smiles_alone_are_no_table_of_labels() -> None:
    with pytest.raises(MolftError, match="Columns: none but the SMILES"):
        infer_targets(pd.DataFrame({"smiles": ["C"], PROBLEM: [""]}), "smiles")


def test_an_unreadable_cell_is_missing_and_named() -> None:
    labels = infer(y=["1.5", "2.5", "3.5", "4.5", "bad"])
    assert labels.rejected == (Rejected(4, "label", "y: 'bad' is not a number"),)
    assert np.isnan(labels.values[4, 0])


def test_bounds_are_kept_and_noted() -> None:
    labels = infer(y=[">10", "5", "<1"])
    assert labels.bounds[:, 0].tolist() == [1, 0, -1]
    assert labels.notes == ("'y': 2 of 3 values are bounds (> or <)",)


def test_relation_column_qualifies_the_value_beside_it() -> None:
    labels = infer(relation=["'='", "'>'", ">"], value=["5.5", "10", ""])
    assert labels.bounds[:, 0].tolist() == [0, 1, 0]
    assert "column 'relation' says whether 'value' is exact or a bound" in labels.notes


def test_relation_column_after_the_value() -> None:
    assert infer(value=["5.5", "10"], relation=["", "<"]).bounds[:, 0].tolist() == [0, -1]


def test_relation_column_that_stands_apart_is_said() -> None:
    labels = infer(["y"], relation=[">", "="], name=["a", "b"], y=["5.5", "10"])
    assert not labels.bounds.any()
    assert labels.notes == (
        "column 'relation' holds relations (>, <, =) but no number to qualify stands beside it",
    )


def test_one_class_is_noted() -> None:
    assert infer(["y"], y=["1", "1"]).notes == ("'y': one class only (1); there is nothing to tell apart",)


def test_ugly_numbers() -> None:
    labels = infer_targets(read_table(DATA / "ugly.csv"), "Structure")
    assert (labels.names, labels.task_type) == (("IC50 [µM]",), "regression")
    assert labels.values[:5, 0].tolist() == [5.3, 5.3, 10, 10, 0.25]
    assert labels.values[[14, 19], 0].tolist() == [100, -0.5]
    assert np.flatnonzero(labels.bounds).tolist() == [2, 3, 12]
    assert labels.rejected == (Rejected(16, "label", "IC50 [µM]: '12 um' is not a number"),)
    assert labels.notes == (
        "numbers have a decimal comma",
        "not labels: 'Compound ID' (identifier by its name), 'Comment' (text)",
        "'IC50 [µM]': 1 values with ~ read as exact",
        "'IC50 [µM]': 3 of 17 values are bounds (> or <)",
    )


def test_ugly_classes() -> None:
    labels = infer_targets(read_table(DATA / "ugly_classes.csv"), "Canonical SMILES")
    assert (labels.names, labels.task_type) == (("hERG",), "classification")
    np.testing.assert_array_equal(labels.values[:, 0], [1, 1, 1, 0, 0, 0, 1, np.nan, 0, np.nan, 0, 1])


@pytest.mark.parametrize(
    ("name", "smiles", "tasks", "task_type", "positive"),
    [
        ("BBBP.csv", "smiles", 1, "classification", 1567),
        ("HIV.csv", "smiles", 1, "classification", 1443),
        ("sider.csv.gz", "smiles", 27, "classification", 21868),
        ("tox21.csv", "smiles", 12, "classification", 5862),
        ("clintox.csv", "smiles", 2, "classification", 1502),
        ("Lipophilicity.csv", "smiles", 1, "regression", None),
    ],
)
def test_moleculenet_is_guessed(
    name: str, smiles: str, tasks: int, task_type: str, positive: int | None, real_data: Path
) -> None:
    labels = infer_targets(read_table(real_data / "moleculenet" / name), smiles)
    assert (len(labels.names), labels.task_type, labels.rejected) == (tasks, task_type, ())
    if positive is not None:
        assert np.nansum(labels.values) == positive


@pytest.mark.parametrize(
    ("name", "smiles"), [("bace.csv", "mol"), ("delaney-processed.csv", "smiles"), ("SAMPL.csv", "smiles")]
)
def test_moleculenet_with_several_candidates_asks(name: str, smiles: str, real_data: Path) -> None:
    with pytest.raises(MolftError, match="could be the label; name the labels with --target-columns"):
        infer_targets(read_table(real_data / "moleculenet" / name), smiles)
