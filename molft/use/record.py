"""What a fine-tuning leaves beside the model: scores, predictions, curation report, and a page to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from molft.data.split import PARTS
from molft.files import safe_cell, write_atomic, write_json
from molft.use.dataset import Dataset
from molft.use.evaluate import Evaluation
from molft.use.model import Model
from molft.use.report import render_report

HISTORY = list[list[dict[str, Any]]]


def write_record(
    directory: Path, model: Model, data: Dataset, evaluation: Evaluation, history: HISTORY
) -> None:
    """Write ``metrics.json``, ``predictions.csv``, ``curation.json`` and ``.txt``, and ``report.html``."""
    write_json(
        directory / "metrics.json",
        {"verdict": evaluation.verdict, "scores": evaluation.to_json(), "history": history},
    )
    write_json(directory / "curation.json", data.assay.report.to_json())
    write_atomic(directory / "curation.txt", data.assay.report.text() + "\n")
    table = prediction_table(model, data)
    write_atomic(directory / "predictions.csv", table.map(_cell).to_csv(index=False, lineterminator="\n"))
    write_atomic(directory / "report.html", render_report(model, data, evaluation, history))


def prediction_table(model: Model, data: Dataset) -> pd.DataFrame:
    """The user's own rows in their order, then part, status, and the model's prediction for each task.

    All rows of one molecule get its part and prediction; rows left out have the reason as their status.
    Predictions of training rows are of molecules the model has seen, which the column ``part`` says.
    """
    rows = len(data.frame)
    part = np.full(rows, "", dtype=object)
    status = np.full(rows, "left out: no label", dtype=object)
    values = np.full((rows, len(model.about.tasks)), np.nan)
    for line in data.assay.report.rejected:
        status[[row - 1 for row in line.rows]] = line.reason
    answers = model.answer(data.block)
    for name, molecules in zip(PARTS, data.split, strict=True):
        for molecule in molecules.tolist():
            own = list(data.assay.rows[molecule])
            part[own], status[own], values[own] = name, "ok", answers[molecule]
    table = data.frame.copy()
    table["part"], table["status"] = part, status
    for task, column in zip(model.about.tasks, values.T, strict=True):
        table[f"{task}_predicted"] = column
    return table


def _cell(value: object) -> object:
    return safe_cell(value) if isinstance(value, str) else value
