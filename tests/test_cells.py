"""One column of label cells."""

import numpy as np
import pandas as pd
import pytest

from molft.data.cells import Cells, decimal_mark, parse_labels, read_relations

NAN = float("nan")


def read(*cells: str, decimal: str = ".", numbers_only: bool = False) -> Cells:
    return parse_labels(pd.Series(cells, dtype=str), decimal, numbers_only)


@pytest.mark.parametrize(
    ("cells", "values", "bounds"),
    [
        (["5.3", " 6", "-.5", "+1.", "1E2", "−2"], [5.3, 6, -0.5, 1, 100, -2], [0] * 6),
        ([">10", "> 10", ">=10", "≥10", ">>10"], [10] * 5, [1] * 5),
        (["<0.1", "<= 0.1", "≤0.1", "<<0.1"], [0.1] * 4, [-1] * 4),
        (["~7.5", "≈7.5", "=7.5", "'=7.5"], [7.5] * 4, [0] * 4),
        (["5", "", "NA", "n/a", "nan", "N.D.", "-", "?", "#N/A", "NULL"], [5] + [NAN] * 9, [0] * 10),
    ],
)
def test_numbers(cells: list[str], values: list[float], bounds: list[int]) -> None:
    got = read(*cells)
    assert (got.kind, got.unreadable) == ("number", {})
    np.testing.assert_array_equal(got.values, values)
    np.testing.assert_array_equal(got.bounds, bounds)
    assert got.bounds.dtype == np.int8


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["0", "1", "1.0", "0.0", ""], [0, 1, 1, 0, NAN]),
        (["active", "Inactive", "ACTIVE", "not tested"], [1, 0, 1, NAN]),
        (["yes", "No", "y", "N"], [1, 0, 1, 0]),
        (["TRUE", "false"], [1, 0]),
        (["positive", "neg"], [1, 0]),
        (["+", "-", ""], [1, 0, NAN]),
        (["-1", "1", "+1"], [0, 1, 1]),
        (["1", "1"], [1, 1]),
    ],
)
def test_classes(cells: list[str], values: list[float]) -> None:
    got = read(*cells)
    assert got.kind == "binary"
    np.testing.assert_array_equal(got.values, values)
    assert not got.bounds.any()


def test_how_classes_were_read_is_noted() -> None:
    assert read("Active", "-", "inactive").notes == ("'active' is 1, 'inactive' is 0",)
    assert read("1", "-1").notes == ("-1 read as 0",)
    assert read("0", "1").notes == ()


def test_approximate_numbers_are_noted() -> None:
    assert read("~2.5", "~2.5", "3.5").notes == ("2 values with ~ read as exact",)


@pytest.mark.parametrize("cells", [["0", "1", "2"], ["-1", "0", "1"], [">1", "0"], ["0.5", "1"]])
def test_numbers_that_are_no_classes(cells: list[str]) -> None:
    assert read(*cells).kind == "number"


def test_zero_and_one_can_be_numbers() -> None:
    assert read("0", "1", numbers_only=True).kind == "number"
    assert read("active", "inactive", numbers_only=True).kind == "text"


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("1,234", "a comma; decimal comma or thousands?"),
        ("1,234.5", "a comma"),
        ("1 234", "is not a number"),
        ("5 uM", "is not a number"),
        ("95%", "is not a number"),
        ("5-10", "is not a number"),
        ("5.2 ± 0.3", "is not a number"),
        ("1_000", "is not a number"),
        ("٣", "is not a number"),
        ("inf", "is not a number"),
        ("1e999", "is too large"),
        ("1e39", "is too large"),
        ("0x10", "is not a number"),
        ("not available?", "is not a number"),
    ],
)
def test_never_guessed(cell: str, reason: str) -> None:
    got = read("1.5", "2.5", "3.5", "4.5", "5.5", cell)
    assert got.kind == "number"
    assert list(got.unreadable) == [5]
    assert reason in got.unreadable[5]
    assert np.isnan(got.values[5])


def test_one_odd_class_is_unreadable() -> None:
    got = read("active", "inactive", "active", "active", "inconclusive")
    assert got.kind == "binary"
    assert got.unreadable == {4: "'inconclusive' is not a class (0/1, active/inactive, yes/no, +/-)"}


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1.5", "2.5", "3.5", "x"], "text"),  # 25 % unreadable
        (["1.5", "2.5", "3.5", "4.5", "x"], "number"),  # 20 %
        (["CI", "CM", "CA"], "text"),
        (["F", "M", "F"], "text"),
        (["", "NA"], "empty"),
        ([], "empty"),
    ],
)
def test_kind(cells: list[str], kind: str) -> None:
    assert read(*cells).kind == kind


@pytest.mark.parametrize(
    ("cells", "delimiter", "mark"),
    [
        (["5,31", ">6,2"], ",", ","),
        (["6,123", "7,234"], ";", ","),
        (["6,123", "7,234"], ",", "."),  # may be thousands
        (["6,123", "0,5"], ",", ","),
        (["6,123", "0.5"], ";", "."),
        (["1,2-diol", "5"], ";", "."),
        (["5", ""], ";", "."),
        (["1,234,567", "2"], ",", "."),
    ],
)
def test_decimal_mark(cells: list[str], delimiter: str, mark: str) -> None:
    assert decimal_mark([pd.Series(cells)], delimiter) == mark


def test_decimal_comma() -> None:
    got = read("5,3", ">10,5", ",5", "1", "2", "3.5", decimal=",")
    np.testing.assert_array_equal(got.values, [5.3, 10.5, 0.5, 1, 2, NAN])
    assert "a point among decimal commas" in got.unreadable[5]


def test_relations() -> None:
    got = read_relations(pd.Series(["'='", "'>'", "<", "", "~"]))
    assert got is not None
    assert got.tolist() == [0, 1, -1, 0, 0]


@pytest.mark.parametrize("cells", [["", ""], [">", "x"], [">5"]])
def test_no_relations(cells: list[str]) -> None:
    assert read_relations(pd.Series(cells)) is None
