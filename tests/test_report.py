"""What the chemist reads about the table."""

import json

import numpy as np
import pytest

from molft.data.report import Line, Report, count_labels, describe_task


def report(**changes: object) -> Report:
    empty: dict[str, object] = {
        "rows": 3, "molecules": 2, "tasks": (), "notes": (), "rejected": (), "unlabelled": (), "cells": (),
        "changed": (), "as_written": (), "merged": (), "conflicts": (),
    }  # fmt: skip
    return Report(**(empty | changes))  # type: ignore[arg-type]


def test_nothing_to_say() -> None:
    assert report().text() == "3 rows, 2 molecules with labels"


def test_text_names_rows_and_reasons() -> None:
    text = report(
        notes=("numbers have a decimal comma",),
        rejected=(Line((2,), "xyz", "parse: not a SMILES: 'xyz'"),),
        conflicts=(Line((1, 3), "CCO", "y: median of 5, 6"),),
    ).text()
    assert text.split("\n")[1:] == [
        "  note: numbers have a decimal comma",
        "rows dropped, no molecule: 1",
        "  row 2: xyz: parse: not a SMILES: 'xyz'",
        "conflicts between the rows of one molecule: 1",
        "  rows 1, 3: CCO: y: median of 5, 6",
    ]


def test_text_is_bounded_and_json_is_whole() -> None:
    lines = tuple(Line((row,), "C" * 5000, "text: " + "x" * 500) for row in range(1, 1001))
    full = report(rejected=lines)
    assert full.text().split("\n")[-1] == "  ... and 990 more"
    assert len(full.text()) < 5000
    plain = json.loads(json.dumps(full.to_json(), allow_nan=False))
    assert len(plain["rejected"]) == 1000
    assert plain["rejected"][0]["rows"] == [1]
    assert plain["rejected"][0]["smiles"] == "C" * 5000


def test_labels_are_counted() -> None:
    labels = np.array([[1, 5.0], [0, np.nan], [1, 7.0]], np.float32)
    bounds = np.array([[0, 1], [0, 0], [0, 0]], np.int8)
    classes = count_labels(labels[:, :1], bounds[:, :1], ("a",), "classification")
    assert classes == ({"name": "a", "labels": 3, "missing": 0, "positive": 2, "negative": 1},)
    numbers = count_labels(labels[:, 1:], bounds[:, 1:], ("b",), "regression")
    assert describe_task(numbers[0]) == "b: 2 labels (1 missing), 5 to 7, median 6, 1 are bounds"


def test_a_task_without_labels() -> None:
    counted = count_labels(
        np.full((2, 1), np.nan, np.float32), np.zeros((2, 1), np.int8), ("y",), "regression"
    )
    assert describe_task(counted[0]) == "y: 0 labels (2 missing)"
    json.dumps(counted, allow_nan=False)


@pytest.mark.parametrize(
    ("shown", "present", "absent"),
    [
        (10, "row 10: C: parse: no", "row 11"),
        (12, "row 12: C: parse: no", "more"),
        (0, "rows dropped, no molecule: 12", "row 1:"),
    ],
)
def test_so_many_lines_of_a_kind_are_shown(shown: int, present: str, absent: str) -> None:
    lines = tuple(Line((row,), "C", "parse: no") for row in range(1, 13))
    text = report(rejected=lines).text(shown=shown)
    assert present in text and absent not in text
