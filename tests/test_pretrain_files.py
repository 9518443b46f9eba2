"""Pre-training from files: what is packed, what is refused, and what lies in the folder afterwards."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from molft.chem.leakage import hold_out
from molft.cli import app
from molft.data.packed_corpus import open_corpus
from molft.errors import MolftError
from molft.files import sha256
from molft.model.weights import load_encoder_files, save_encoder
from molft.train.encoders import new_encoder
from molft.use import corpus as module
from molft.use.corpus import CorpusOptions, pretrain_on_files
from molft.use.options import Silent
from tests.series import has_halogen, pyridines
from tests.train_deeds import SMALL

OPTIONS = CorpusOptions(features="snap", workers=0)


class Listener(Silent):
    """Keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def smiles(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.smi"
    path.write_text("".join(f"{text}\n" for text in [*pyridines(60), "CC[Se]C", "xyz"]))
    return path


def run(
    paths: list[Path],
    folder: Path,
    options: CorpusOptions = OPTIONS,
    **changes: Any,  # noqa: ANN401
) -> list[str]:
    """Pre-train SMALL (with ``changes`` of it) on files; the lines that were told."""
    named = {name: changes.pop(name) for name in ("init", "teacher", "resume") if name in changes}
    listener = Listener()
    config = replace(SMALL, **changes)
    pretrain_on_files(paths, folder, config, options, **({"resume": False} | named), reporter=listener)
    return listener.lines


def test_the_folder_of_a_run(smiles: Path, tmp_path: Path) -> None:
    lines = run(
        [smiles], tmp_path / "run", replace(OPTIONS, elements=("C", "N", "O", "F", "Cl", "Br", "I", "S"))
    )
    folder = tmp_path / "run"
    assert {path.name for path in folder.iterdir()} == {
        *("store", "corpus.json", "checkpoint.safetensors", "metrics.jsonl", "metrics.png", "encoder")
    }
    assert lines[0].startswith(
        "corpus: 60 molecules of 62 rows: 0 double, 1 refused (parse), 1 left out (elements)"
    )
    encoder, card = load_encoder_files(folder / "encoder")
    assert (encoder.config.layers, encoder.config.width, encoder.config.scheme) == (2, 16, "snap")
    assert card["objectives"] == dict(SMALL.objectives)
    assert card["corpus"]["filtered"] == {"elements": 1}
    assert card["corpus"]["kept"] == 60 and card["corpus"]["bytes_per_molecule"] > 300
    assert card["held_out"]["step"] == card["held_out"]["steps"] == 4


def test_a_run_goes_on_from_its_own_folder_alone(smiles: Path, tmp_path: Path) -> None:
    run([smiles], tmp_path / "run")
    with pytest.raises(MolftError, match="not empty; go on with --resume"):
        run([smiles], tmp_path / "run")
    card = load_encoder_files(tmp_path / "run" / "encoder")[1]
    run([smiles], tmp_path / "run", resume=True)
    assert load_encoder_files(tmp_path / "run" / "encoder")[1]["held_out"] == card["held_out"] != {}
    with pytest.raises(MolftError, match="another corpus or other options"):
        run([smiles], tmp_path / "run", replace(OPTIONS, fewest_atoms=2), resume=True)
    smiles.write_text(smiles.read_text() + "CCO\n")
    with pytest.raises(MolftError, match="another corpus or other options"):
        run([smiles], tmp_path / "run", resume=True)


def test_a_store_without_its_record_is_made_again(smiles: Path, tmp_path: Path) -> None:
    run([smiles], tmp_path / "run")
    for name in ("corpus.json", "checkpoint.safetensors", "store/atoms.npy"):
        (tmp_path / "run" / name).unlink()
    run([smiles], tmp_path / "run", resume=True)
    assert len(open_corpus(tmp_path / "run" / "store")) == 61


def labelled(path: Path) -> Path:
    rows = zip(pyridines(40), has_halogen(pyridines(40)), strict=True)
    path.write_text("smiles,halogen\n" + "".join(f"{text},{label:g}\n" for text, label in rows))
    return path


def test_with_labels_benchmarks_are_left_out(
    smiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "benchmark_molecules", lambda **_: hold_out(pyridines(5)))
    options = replace(OPTIONS, labels=(labelled(tmp_path / "labels.csv"),))
    lines = run([smiles], tmp_path / "run", options, objectives={"labels": 1.0, "masking": 1.0})
    assert lines[0] == "labels: 1 tasks, 40 different SMILES in labels.csv"
    assert lines[1] == "to be left out: 5 fragments of benchmarks' test molecules"
    record = json.loads((tmp_path / "run" / "corpus.json").read_text())
    assert record["filtered"] == {"held out": 10}  # five of the table, the same five of the corpus
    assert (record["labelled"], record["kept"], record["tasks"]) == (35, 56, ["halogen"])
    corpus = open_corpus(tmp_path / "run" / "store")
    labels = corpus.take_labels(np.arange(56))[:, 0]
    np.testing.assert_array_equal(labels[:35], has_halogen(pyridines(40))[5:])
    assert np.isnan(labels[35:]).all()


def test_without_labels_benchmarks_are_left_out_when_asked(
    smiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "benchmark_molecules", lambda **_: hold_out(pyridines(5)))
    run([smiles], tmp_path / "run", replace(OPTIONS, leave_out_benchmarks=True))
    assert json.loads((tmp_path / "run" / "corpus.json").read_text())["filtered"] == {"held out": 5}


def test_a_second_stage_begins_from_the_first(smiles: Path, tmp_path: Path) -> None:
    encoder = new_encoder("snap", layers=3, width=8)
    save_encoder(encoder, tmp_path / "first", {})
    run([smiles], tmp_path / "run", init=tmp_path / "first", learning_rate=1e-9)
    after, card = load_encoder_files(tmp_path / "run" / "encoder")
    assert (after.config.layers, after.config.width) == (3, 8)
    assert len(card["options"]["init"]) == 64
    torch.testing.assert_close(after.x_embedding1.weight, encoder.x_embedding1.weight, atol=1e-6, rtol=0)
    with pytest.raises(MolftError, match="was begun with other options"):
        run([smiles], tmp_path / "run", resume=True)


def test_the_card_of_a_student_names_its_teacher(smiles: Path, tmp_path: Path) -> None:
    save_encoder(new_encoder("snap", layers=2, width=24, summary=8), tmp_path / "teacher", {})
    changes = {"objectives": {"distillation": 1.0}, "teacher": tmp_path / "teacher"}
    run([smiles], tmp_path / "run", **changes)
    student, card = load_encoder_files(tmp_path / "run" / "encoder")
    assert student.config.width == SMALL.width
    assert card["options"]["teacher"] == sha256(tmp_path / "teacher" / "encoder.safetensors")


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        (replace(OPTIONS, elements=("C", "Xx")), {}, "'Xx' is no element"),
        (OPTIONS, {"objectives": {"labels": 1.0}}, "need each other"),
        (replace(OPTIONS, labels=(Path(__file__),)), {}, "need each other"),
        (
            replace(OPTIONS, labels=(Path("nowhere.csv"),)),
            {"objectives": {"labels": 1.0}},
            "nowhere.csv: there is no",
        ),
        (replace(OPTIONS, features="mfp"), {}, "feature scheme 'mfp' is unknown"),
        (OPTIONS, {"init": Path("nowhere")}, "nowhere"),
        (OPTIONS, {"objectives": {"distillation": 1.0}}, "an encoder to learn from"),
        (OPTIONS, {"teacher": "default"}, "an encoder to learn from"),
    ],
)
def test_what_makes_no_sense_is_refused(
    options: CorpusOptions, changes: dict[str, Any], message: str, smiles: Path, tmp_path: Path
) -> None:
    with pytest.raises(MolftError, match=message):
        run([smiles], tmp_path / "run", options, **changes)


def test_a_missing_file_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(MolftError, match="there is no such file"):
        run([tmp_path / "missing.smi"], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_command(smiles: Path, tmp_path: Path) -> None:
    command = ["pretrain", str(smiles), "-o", str(tmp_path / "run"), "--objectives", "masking,edges:0.1"]
    options = (
        "--layers 2 --width 8 --epochs 1 --batch-size 32 --accumulate 2 --workers 0 --device cpu".split()
    )
    result = CliRunner().invoke(app, command + options)
    assert result.exit_code == 0, result.output
    _, card = load_encoder_files(tmp_path / "run" / "encoder")
    assert card["objectives"] == {"masking": 1.0, "edges": 0.1}
    assert card["options"]["parts"] == 2


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        (["--objectives", "masking:much"], 2, "the weight must be a number"),
        (["--objectives", "motifs"], 1, "expected some of masking"),
        (["--epochs", "0"], 2, "--epochs"),
    ],
)
def test_wrong_usage_of_the_command(
    extra: list[str], code: int, message: str, smiles: Path, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, ["pretrain", str(smiles), "-o", str(tmp_path / "run"), *extra])
    assert result.exit_code == code
    assert message in result.output.replace("\n", " ")
