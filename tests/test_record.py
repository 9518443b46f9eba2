"""What lies beside the model: one row for every row of the table, in order, safe to open and to read back."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch

from molft.data.formats import read_table
from molft.files import read_json
from molft.use.dataset import Dataset, read_dataset
from molft.use.evaluate import Evaluation, evaluate
from molft.use.model import Model
from molft.use.molecules import take_rows
from molft.use.options import Silent
from molft.use.record import prediction_table, write_record
from tests.series import has_halogen, pyridines
from tests.small import small_model, small_options

DATA = Path(__file__).parent / "data"
HISTORY = [[{"epoch": 1, "train_loss": 0.5, "valid_score": None, "seconds": 1.23, "molecules": 30}]]
DANGEROUS = ["=1+1", "+cmd|'/C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''", "＝1+1"]


class Made(NamedTuple):
    """A model, its data and scores, without any training."""

    model: Model
    data: Dataset
    evaluation: Evaluation


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("molft.use.record.render_report", lambda *_: "<html></html>")


def make(folder: Path, frame: pd.DataFrame | None = None, **options: object) -> Made:
    """The data of a table of pyridines (or of ``frame``), and an untrained model of its tasks."""
    if frame is None:
        smiles = pyridines(40)
        frame = pd.DataFrame({"smiles": smiles, "halogen": [f"{v:.0f}" for v in has_halogen(smiles)]})
    frame.to_csv(folder / "assay.csv", index=False, quoting=csv.QUOTE_ALL)
    data = read_dataset(folder / "assay.csv", small_options(**options), "snap", Silent())  # type: ignore[arg-type]
    model = small_model(data.assay.task_type, "blend", data.assay.names)
    parts = {
        name: (take_rows(data.block, rows), data.examples(rows))
        for name, rows in (("valid", data.split.valid), ("test", data.split.test))
    }
    return Made(model, data, evaluate(model, parts, "roc_auc")[1])


def write(made: Made, folder: Path) -> pd.DataFrame:
    """All files, and ``predictions.csv`` as our own reader finds it."""
    write_record(folder, *made, HISTORY)
    return read_table(folder / "predictions.csv")


def ugly_rows() -> pd.DataFrame:
    """Thirty good molecules, among them a duplicate, two bad ones, two without a label, and odd cells."""
    smiles = pyridines(30)
    labels = [f"{v:.0f}" for v in has_halogen(smiles)]
    smiles[3], smiles[29] = "c1cc", "CCО"
    smiles[7], labels[7] = smiles[6], labels[6]
    labels[12] = labels[13] = ""
    notes = [f"row {row}" for row in range(30)]
    notes[: len(DANGEROUS)] = DANGEROUS
    notes[15:20] = ["a,b", 'a "b"', "line\nbreak", "return\ronly", " blanks "]
    notes[20:24] = ["00123", "1E5", "NA", "None"]
    return pd.DataFrame({"note": notes, "smiles": smiles, "halogen": labels})


def test_one_row_for_every_row_in_order(tmp_path: Path) -> None:
    made = make(tmp_path, ugly_rows(), target_columns=("halogen",))
    table = prediction_table(made.model, made.data)
    assert list(table.columns) == ["note", "smiles", "halogen", "part", "status", "halogen_predicted"]
    assert table["smiles"].tolist() == ugly_rows()["smiles"].tolist()
    bad = {3: "parse: not a SMILES: 'c1cc'", 29: "text: character 'О' (U+041E) is not ASCII"}
    bad |= dict.fromkeys((12, 13), "left out: no label")
    for row in range(30):
        assert table["status"][row] == bad.get(row, "ok")
        assert np.isnan(table["halogen_predicted"][row]) == (row in bad)
        assert (table["part"][row] in ("train", "valid", "test")) == (row not in bad)


def test_predictions_are_those_of_the_model_and_parts_those_of_the_split(tmp_path: Path) -> None:
    made = make(tmp_path, ugly_rows(), target_columns=("halogen",))
    table = prediction_table(made.model, made.data)
    expected = made.model.predict(table["smiles"].tolist())["halogen"].to_numpy()
    ok = (table["status"] == "ok").to_numpy()
    np.testing.assert_allclose(table["halogen_predicted"][ok], expected[ok], atol=1e-6)
    assert table["halogen_predicted"][6] == table["halogen_predicted"][7]
    assert table["part"][6] == table["part"][7]
    for name, molecules in zip(("train", "valid", "test"), made.data.split, strict=True):
        rows = [row for molecule in molecules for row in made.data.assay.rows[molecule]]
        assert sorted(rows) == np.flatnonzero(table["part"] == name).tolist()


def test_the_file_gives_back_every_cell_of_the_table(tmp_path: Path) -> None:
    made = make(tmp_path, ugly_rows(), target_columns=("halogen",))
    found = write(made, tmp_path)
    for name in ("note", "smiles", "halogen"):
        assert found[name].tolist() == made.data.frame[name].tolist()
    expected = prediction_table(made.model, made.data)["halogen_predicted"].to_numpy()
    read = np.array([float(cell or "nan") for cell in found["halogen_predicted"]])
    np.testing.assert_allclose(read, expected, rtol=1e-7)


def test_no_cell_of_the_file_is_a_formula(tmp_path: Path) -> None:
    write(make(tmp_path, ugly_rows(), target_columns=("halogen",)), tmp_path)
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert "'=1+1" in cells and "'\t=1" in cells and "'＝1+1" in cells
    for cell in cells:
        assert not cell.startswith(("=", "+", "@", "\t", "\r", "＝"))
        assert not cell.startswith("-") or float(cell) < 0


def test_a_header_is_no_formula_either(tmp_path: Path) -> None:
    frame = ugly_rows().rename(columns={"note": "=cmd()"})
    write(make(tmp_path, frame, target_columns=("halogen",)), tmp_path)
    assert (tmp_path / "predictions.csv").read_text().startswith("'=cmd(),smiles,halogen,part,status,")


def test_columns_of_the_same_name_are_not_lost(tmp_path: Path) -> None:
    frame = ugly_rows().rename(columns={"note": "status"})
    frame["part"], frame["halogen_predicted"] = "mine", "0.5"
    made = make(tmp_path, frame, target_columns=("halogen",))
    found = write(made, tmp_path)
    assert list(found.columns) == [
        *("status", "smiles", "halogen", "part", "halogen_predicted"),
        *("part_predicted", "status_predicted", "halogen_predicted_predicted"),
    ]
    assert found["status"].tolist() == made.data.frame["status"].tolist()
    assert set(found["part"]) == {"mine"} and set(found["halogen_predicted"]) == {"0.5"}


@pytest.mark.parametrize(("name", "lost"), [("ugly.csv", 7), ("ugly_classes.csv", 4)])
def test_ugly_tables_come_back_row_for_row(tmp_path: Path, name: str, lost: int) -> None:
    data = read_dataset(DATA / name, small_options(), "snap", Silent())
    table = prediction_table(small_model(data.assay.task_type, "network", data.assay.names), data)
    original = read_table(DATA / name)
    pd.testing.assert_frame_equal(table[original.columns], original)
    assert (table["status"] != "ok").sum() == lost
    assert table[table["status"] == "ok"].iloc[:, -1].notna().all()
    if name == "ugly_classes.csv":  # propanol and n-propanol are one molecule, active and inactive
        assert table["status"][2] == table["status"][3] == "left out: no label"


def test_metrics_hold_scores_and_epochs_without_times(tmp_path: Path) -> None:
    made = make(tmp_path)
    write(made, tmp_path)
    metrics = read_json(tmp_path / "metrics.json")
    assert metrics["verdict"] == made.evaluation.verdict
    assert metrics["scores"] == made.evaluation.to_json()
    assert metrics["history"] == [[{"epoch": 1, "train_loss": 0.5, "valid_score": None, "molecules": 30}]]
    assert HISTORY[0][0]["seconds"] == 1.23


def test_undefined_scores_are_null_in_the_file(tmp_path: Path) -> None:
    smiles = pyridines(30)
    frame = pd.DataFrame({"smiles": smiles, "y": ["1"] * 30})
    made = make(tmp_path, frame, target_columns=("y",))
    write(made, tmp_path)
    text = (tmp_path / "metrics.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    mean = read_json(tmp_path / "metrics.json")["scores"]["test"]["network"]["mean"]
    assert mean["roc_auc"]["value"] is None
    assert "undefined, so nothing could choose" in text


def test_the_curation_is_told_in_full(tmp_path: Path) -> None:
    made = make(tmp_path, ugly_rows(), target_columns=("halogen",))
    write(made, tmp_path)
    curation = read_json(tmp_path / "curation.json")
    assert [line["rows"] for line in curation["rejected"]] == [[4], [30]]
    assert [line["rows"] for line in curation["unlabelled"]] == [[13], [14]]
    assert [line["rows"] for line in curation["merged"]] == [[7, 8]]
    assert "row 4: c1cc: parse: not a SMILES" in (tmp_path / "curation.txt").read_text()
