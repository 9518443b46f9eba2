"""What a fine-tuning leaves beside the model: scores, predictions, curation report, and a page to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from molft.data.split import PARTS
from molft.files import write_atomic, write_json
from molft.use.columns import free_names
from molft.use.dataset import Dataset
from molft.use.evaluate import Evaluation
from molft.use.fitting import History
from molft.use.model import Model
from molft.use.output import write_rows
from molft.use.report import render_report


def write_record(
    directory: Path, model: Model, data: Dataset, evaluation: Evaluation, history: History
) -> None:
    """Write ``metrics.json``, ``predictions.csv``, ``curation.json`` and ``.txt``, and ``report.html``.

    Cells of ``predictions.csv`` that a spreadsheet could run as a formula are marked
    (:func:`molft.files.safe_cell`); our own readers take the mark off.
    """
    # Without times, so that the same table, options and seed give the same file.
    epochs = [
        [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in network] for network in history
    ]
    write_json(
        directory / "metrics.json",
        {"verdict": evaluation.verdict, "scores": evaluation.to_json(), "history": epochs},
    )
    report = data.assay.report
    write_json(directory / "curation.json", report.to_json())
    write_atomic(directory / "curation.txt", report.text(shown=report.rows) + "\n")
    table = pa.Table.from_pandas(prediction_table(model, data), preserve_index=False)
    write_rows(directory / "predictions.csv", [table])
    write_atomic(directory / "report.html", render_report(model, data, evaluation, history))


def prediction_table(model: Model, data: Dataset) -> pd.DataFrame:
    """The user's own rows in their order, then part, status, and the model's prediction for each task.

    A new column whose name the table already has gets ``_predicted`` after it.
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
    wanted = ("part", "status", *(f"{task}_predicted" for task in model.about.tasks))
    names = free_names(wanted, list(data.frame.columns))
    added = dict(zip(names, (part, status, *values.T), strict=True))
    return pd.concat([data.frame, pd.DataFrame(added, index=data.frame.index)], axis=1)
