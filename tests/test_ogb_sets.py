"""OGB's molecule sets: read through OGB's own loader, scored by its Evaluator, and told how to get."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from molft.data.ogb_sets import evaluate_ogb, find_ogb, load_ogb
from molft.data.split import fingerprint
from molft.errors import MolftError
from molft.use.protocols import Setting
from molft.use.reproduce import reproduce
from tests.benchmark_sets import SMILES
from tests.small import save_small_encoder


def write_set(
    folder: Path,
    smiles: list[str],
    labels: list[int],
    parts: tuple[list[int], ...] = ([4, 0, 1], [2], [5, 3]),
) -> Path:
    """``ogbg_molhiv`` as OGB's archive unpacks, without the graphs; ``parts`` are train, valid and test."""
    root = folder / "ogbg_molhiv"
    files = {
        "mapping/mol.csv.gz": ["HIV_active,smiles,mol_id"]
        + [f"{label},{text},m{row}" for row, (text, label) in enumerate(zip(smiles, labels, strict=True))],
        "raw/graph-label.csv.gz": [str(label) for label in labels],
    }
    for name, rows in zip(("train", "valid", "test"), parts, strict=True):
        files[f"split/scaffold/{name}.csv.gz"] = [str(row) for row in rows]
    for name, lines in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    (root / "RELEASE_v1.txt").write_text("")
    return root


@pytest.fixture(autouse=True)
def _no_other_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOLFT_DATA", raising=False)


def test_molecules_labels_and_split_are_ogbs(tmp_path: Path) -> None:
    write_set(tmp_path / "ogb", ["CCO", "not", "c1ccccc1", "CC", "[Pt]<-N", "CCN"], [0, 1, 1, 0, 1, 1])
    found, split = load_ogb("ogbg-molhiv", tmp_path)
    assert found.smiles == ["CCO", "c1ccccc1", "CC", "[Pt]<-N", "CCN"]
    assert (found.rows.tolist(), found.labels[:, 0].tolist()) == ([0, 2, 3, 4, 5], [0, 1, 0, 1, 1])
    assert (found.tasks, found.metric) == (("HIV_active",), "roc_auc")
    assert [bad.row for bad in found.rejected] == [1]
    # File rows 4 0 1, 2 and 5 3; row 1 was dropped, and those after it moved up.
    assert [part.tolist() for part in split] == [[3, 0], [1], [4, 2]]


def test_a_set_that_is_not_here_is_told_how_to_get(tmp_path: Path) -> None:
    with pytest.raises(MolftError, match=r"ogbg-molpcba is not here.*GraphPropPredDataset.*--data-dir"):
        find_ogb("ogbg-molpcba", tmp_path)
    with pytest.raises(MolftError, match="no OGB set known here"):
        load_ogb("ogbg-code2", tmp_path)


def test_half_a_set_is_named(tmp_path: Path) -> None:
    root = write_set(tmp_path, ["CCO"] * 6, [0] * 6)
    (root / "raw" / "graph-label.csv.gz").unlink()
    with pytest.raises(MolftError, match=r"no whole copy of ogbg-molhiv: raw/graph-label.csv.gz missing"):
        load_ogb("ogbg-molhiv", tmp_path)


def test_a_set_is_reproduced_and_scored_by_the_evaluator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = [int(text.startswith(("F", "Cl"))) for text in SMILES]
    rows = np.random.default_rng(0).permutation(60).tolist()
    write_set(tmp_path, SMILES, labels, (rows[:40], rows[40:50], rows[50:]))
    setting = Setting("snap", str(save_small_encoder(tmp_path / "small")), epochs=1, trees=5)
    given = [0.25, 0.75]
    monkeypatch.setattr(
        "molft.use.benchmark_data.evaluate_ogb", lambda name, *_: given[name == "ogbg-molhiv"]
    )
    (record,) = reproduce(["ogbg-molhiv"], tmp_path / "out", setting, seeds=1, data_dir=tmp_path)
    assert {found["test"] for found in record["scores"].values()} == {0.75}
    assert record["split_sizes"] == [40, 10, 10] and record["split_is_known"] is None
    assert record["split"]["test"] == fingerprint(rows[50:])


def test_the_evaluator_agrees_with_sklearn() -> None:
    rng = np.random.default_rng(0)
    labels, values = (rng.random((50, 1)) < 0.3).astype(np.float32), rng.random((50, 1))
    assert evaluate_ogb("ogbg-molhiv", labels, values) == pytest.approx(roc_auc_score(labels, values))
    many = (rng.random((50, 128)) < 0.3).astype(np.float32)
    many[:, 1] = np.nan
    guesses = rng.random((50, 128))
    expected = np.mean([average_precision_score(many[:, t], guesses[:, t]) for t in range(128) if t != 1])
    assert evaluate_ogb("ogbg-molpcba", many, guesses) == pytest.approx(expected)
    assert evaluate_ogb("ogbg-molhiv", np.zeros((3, 1)), np.zeros((3, 1))) is None
