"""A model or encoder folder in words."""

import json
from pathlib import Path

import pytest
import torch

from molft.errors import MolftError
from molft.model.encoder import Encoder
from molft.model.weights import save_encoder
from molft.use.assay import finetune
from molft.use.estimators import MoleculeClassifier
from molft.use.info import describe
from molft.use.model import ANSWERS, CONFIG, WEIGHTS
from tests.series import has_halogen, pyridines
from tests.small import ENCODER, save_small_encoder, small_options, write_assay


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the folders ``encoder`` and ``model``."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("info")
    save_small_encoder(folder / "encoder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("molft.use.record.render_report", lambda *_: "<html></html>")
        finetune(write_assay(folder / "t.csv"), folder / "model", small_options(folder / "encoder"))
    return folder


def test_a_model_says_what_it_is_and_how_good(folders: Path) -> None:
    lines = describe(str(folders / "model")).splitlines()
    assert lines[0] == "classification of halogen"
    assert lines[1].startswith("answer: ")
    assert lines[2] == "networks: 1 x gin 2 x 16"
    assert lines[3].startswith("trained on: t.csv (40 rows, sha256 ")
    assert lines[4] == "split: random"
    assert lines[5].startswith("plan: lp-ft; 32 labelled training molecules")
    assert [line.split(":")[0] for line in lines[6:]] == [
        f"{part}, {answer}" for part in ("valid", "test") for answer in ANSWERS
    ]
    assert "roc_auc " in lines[6] and "nan" not in "\n".join(lines)


def test_an_encoder_says_what_it_is(folders: Path) -> None:
    lines = describe(str(folders / "encoder")).splitlines()
    assert lines[0] == f"encoder {folders / 'encoder'}"
    assert {"  conv: gin", "  layers: 2", "  width: 16", "  scheme: snap"} <= set(lines)
    assert lines[-2:] == ["card", "  about: random weights, seed 0"]


def test_cards_within_cards_are_indented(tmp_path: Path) -> None:
    save_encoder(Encoder(ENCODER), tmp_path, {"data": {"name": "x", "rows": 3}, "epochs": 2})
    assert describe(str(tmp_path)).endswith("card\n  data:\n    name: x\n    rows: 3\n  epochs: 2")


def test_an_undefined_score_is_called_so(folders: Path, tmp_path: Path) -> None:
    table = write_assay(tmp_path / "t.csv", y=["1"] * 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("molft.use.record.render_report", lambda *_: "<html></html>")
        finetune(table, tmp_path / "model", small_options(folders / "encoder", target_columns=("y",)))
    assert "test, network: roc_auc undefined, pr_auc undefined" in describe(str(tmp_path / "model"))


def test_a_model_saved_from_python_is_described_too(folders: Path, tmp_path: Path) -> None:
    smiles = pyridines(40)
    made = MoleculeClassifier(str(folders / "encoder"), epochs=1, ensemble_size=1, trees=20, workers=0)
    made.fit(smiles, has_halogen(smiles)).model_.save(tmp_path)
    lines = describe(str(tmp_path)).splitlines()
    assert lines[0] == "classification of task_1"
    assert "trained on: 40 rows" in lines


@pytest.mark.parametrize("name", ["none", "nowhere", ""])
def test_what_is_nothing_is_refused(name: str) -> None:
    with pytest.raises(MolftError, match="no encoder"):
        describe(name)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"format": "molft-model-9"}', '{"format": "molft-model-1"}']
)
def test_a_folder_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(MolftError, match=CONFIG):
        describe(str(tmp_path))


@pytest.mark.parametrize("kind", ["model", "encoder"])
def test_a_damaged_folder_is_not_described(folders: Path, tmp_path: Path, kind: str) -> None:
    config = json.loads((folders / kind / CONFIG).read_text())
    weights = WEIGHTS if kind == "model" else "encoder.safetensors"
    (tmp_path / CONFIG).write_text(json.dumps(config))
    (tmp_path / weights).write_bytes((folders / kind / weights).read_bytes()[:-8])
    with pytest.raises(MolftError, match="not the weights that were saved"):
        describe(str(tmp_path))
