"""A table in, a model folder out: what is refused, and that a killed run ends as if nothing had happened."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rdkit import Chem

from molft.errors import MolftError
from molft.files import read_json
from molft.use import assay
from molft.use.assay import finetune
from molft.use.model import CONFIG, FOREST, PROCESS, TRAINING, WEIGHTS, load
from molft.use.options import Options
from tests import killed_finetunes
from tests.series import has_halogen, pyridines
from tests.small import save_small_encoder, small_options, write_assay

ROOT = Path(__file__).resolve().parents[1]
RECORD = ("metrics.json", "predictions.csv", "curation.json", "curation.txt")
WRITTEN = (CONFIG, WEIGHTS, FOREST, PROCESS, TRAINING, *RECORD)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page to read takes longer than all the rest, and has tests of its own."""
    monkeypatch.setattr("molft.use.record.render_report", lambda *_: "<html></html>")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return save_small_encoder(tmp_path / "encoder")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_assay(tmp_path / "assay.csv")


def read_csv(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def begin(table: Path, folder: Path, options: Options) -> None:
    """A run that was interrupted when it had just begun."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assay, "fit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            finetune(table, folder, options)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_model_folder_holds_everything_and_no_leftovers(table: Path, encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model, evaluation = finetune(table, folder, small_options(encoder))
    assert sorted(path.name for path in folder.iterdir()) == sorted((*WRITTEN, "report.html"))
    smiles = pyridines(60)
    again = load(folder)
    assert again.predict(smiles).equals(model.predict(smiles))
    trained = {line["smiles"] for line in read_csv(folder) if line["part"] == "train"}
    assert again.neighbours is not None and len(trained) == 32
    assert set(again.neighbours.smiles) == {Chem.CanonSmiles(text) for text in trained}
    facts = again.about.facts
    assert facts["data"]["file"] == "assay.csv" and facts["data"]["rows"] == 40
    assert facts["split"] == "random" and facts["seed"] == 0
    assert facts["encoder"] == {"name": str(encoder), "about": "random weights, seed 0"}
    assert facts["plan"]["epochs"] == 12  # ten of the head alone
    metrics = read_json(folder / "metrics.json")
    assert metrics["verdict"] == evaluation.verdict
    assert set(metrics["scores"]) == {"valid", "test"}
    assert set(metrics["scores"]["test"]) == {"network", "forest", "gp", "blend"}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Runs that were killed before each of the files they write; the folder, and how many there are."""
    folder = tmp_path_factory.mktemp("killed")
    arguments = [str(write_assay(folder / "assay.csv")), str(save_small_encoder(folder / "encoder"))]
    command = [sys.executable, str(Path(killed_finetunes.__file__)), *arguments, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, int(done.stdout)


def test_a_killed_run_goes_on_to_the_same_bits(killed: tuple[Path, int]) -> None:
    folder, moments = killed
    # The run's own record, two checkpoints and the end of each network, and ten files of the model.
    assert moments == 1 + 2 * 3 + 10
    found = {path.suffix for path in folder.glob("*/run/network-*")}
    assert found == {".checkpoint", ".safetensors"}
    for moment in range(1, moments + 1):
        killed_folder = folder / str(moment)
        assert not (killed_folder / CONFIG).exists()
        killed_finetunes.run(folder / "assay.csv", str(folder / "encoder"), killed_folder, resume=True)
        for name in WRITTEN:
            assert (killed_folder / name).read_bytes() == (folder / "0" / name).read_bytes(), (moment, name)
        assert not (killed_folder / "run").exists()
    assert load(folder / "1").about.members == 2


def test_a_finished_network_is_not_trained_again(
    table: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, options = tmp_path / "model", small_options(encoder)
    with monkeypatch.context() as patch:
        patch.setattr("molft.use.fitting.evaluate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            finetune(table, folder, options)
    monkeypatch.setattr("molft.use.ensemble.finetune", interrupt)
    finetune(table, folder, options, resume=True)
    assert (folder / CONFIG).exists()


def test_a_damaged_finished_network_is_refused(table: Path, encoder: Path, tmp_path: Path) -> None:
    folder, options = tmp_path / "model", small_options(encoder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("molft.use.fitting.evaluate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            finetune(table, folder, options)
    (network,) = (folder / "run").glob("network-*")
    data = bytearray(network.read_bytes())
    data[-3] ^= 1
    network.write_bytes(data)
    with pytest.raises(
        MolftError, match=r"can't be read as a checkpoint .* remove it to start the run again"
    ):
        finetune(table, folder, options, resume=True)


def test_the_same_seed_gives_the_same_files_and_another_one_others(
    table: Path, encoder: Path, tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        finetune(table, tmp_path / name, small_options(encoder, seed=seed))
    for name in WRITTEN:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert (tmp_path / "a" / WEIGHTS).read_bytes() != (tmp_path / "c" / WEIGHTS).read_bytes()


def test_a_folder_in_use_is_refused(table: Path, encoder: Path, tmp_path: Path) -> None:
    folder, options = tmp_path / "model", small_options(encoder)
    begin(table, folder, options)
    with pytest.raises(
        MolftError, match=r"holds an unfinished run; go on with --resume, or remove the folder"
    ):
        finetune(table, folder, options)
    finetune(table, folder, options, resume=True)
    for resume in (False, True):
        with pytest.raises(MolftError, match="holds a finished model; choose another folder"):
            finetune(table, folder, options, resume=resume)


@pytest.mark.parametrize("name", ["thesis.tex", "run/notes.txt", ".hidden"])
def test_a_folder_of_other_files_is_refused_and_left_alone(table: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("mine")
    for resume in (False, True):
        with pytest.raises(MolftError, match="is not empty and holds no molft run"):
            finetune(table, folder, small_options(), resume=resume)
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / name]


@pytest.mark.parametrize("place", ["assay.csv", "assay.csv/model"])
def test_a_folder_that_can_not_be_made_is_told(table: Path, tmp_path: Path, place: str) -> None:
    with pytest.raises(MolftError, match="can't be made a folder"):
        finetune(table, tmp_path / place, small_options())


def test_a_run_killed_before_its_first_file_can_be_begun_again(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "run").mkdir(parents=True)
    (folder / "run" / ".tmp-0123456789ab-run.json").write_text("{")
    begin(table, folder, small_options())
    assert (folder / "run" / "run.json").exists()


def test_nothing_to_resume_begins(table: Path, encoder: Path, tmp_path: Path) -> None:
    finetune(table, tmp_path / "model", small_options(encoder), resume=True)
    assert (tmp_path / "model" / CONFIG).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 3}, r"other options \(epochs was 2\)"),
        ({"seed": 1, "split": "auto"}, r"split was 'random', seed was 0"),
        ({"split_sizes": (0.7, 0.2, 0.1)}, r"split_sizes was \[0.8, 0.1, 0.1\]"),
        ({"target_columns": ("halogen",)}, r"target_columns was \[\]"),
        ({"encoder": "none"}, "encoder was"),
        ({"trees": 21}, "trees was 20"),
    ],
)
def test_other_options_are_refused(
    table: Path, encoder: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    begin(table, tmp_path / "model", small_options(encoder))
    with pytest.raises(MolftError, match=message):
        finetune(table, tmp_path / "model", replace(small_options(encoder), **change), resume=True)  # type: ignore[arg-type]


def test_what_changes_only_the_speed_may_differ(table: Path, encoder: Path, tmp_path: Path) -> None:
    begin(table, tmp_path / "model", small_options(encoder))
    finetune(table, tmp_path / "model", replace(small_options(encoder), workers=1), resume=True)
    finetune(table, tmp_path / "other", small_options(encoder))
    assert (tmp_path / "model" / WEIGHTS).read_bytes() == (tmp_path / "other" / WEIGHTS).read_bytes()


def test_another_table_is_refused(table: Path, encoder: Path, tmp_path: Path) -> None:
    begin(table, tmp_path / "model", small_options(encoder))
    table.write_text(table.read_text() + "CCO,1\n")
    with pytest.raises(MolftError, match=r"assay.csv has changed since the run in .* was begun"):
        finetune(table, tmp_path / "model", small_options(encoder), resume=True)


def test_another_encoder_of_the_same_name_is_refused(table: Path, encoder: Path, tmp_path: Path) -> None:
    begin(table, tmp_path / "model", small_options(encoder))
    save_small_encoder(encoder, seed=1)
    with pytest.raises(MolftError, match=r"encoder has changed since the run in .* was begun"):
        finetune(table, tmp_path / "model", small_options(encoder), resume=True)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"table": "0", "encoder": null, "options": []}'])
def test_a_record_of_another_kind_is_refused(table: Path, tmp_path: Path, text: str) -> None:
    begun = tmp_path / "model" / "run" / "run.json"
    begun.parent.mkdir(parents=True)
    begun.write_text(text)
    with pytest.raises(MolftError, match=r"run\.json"):
        finetune(table, tmp_path / "model", small_options(), resume=True)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("missing.csv", {}, "missing.csv: no such file"),
        ("assay.csv", {"encoder": "nowhere"}, "nowhere: no encoder there"),
        ("assay.csv", {"encoder": "none", "strategy": "frozen"}, "frozen needs a pre-trained encoder"),
        ("assay.csv", {"target_columns": ("y",)}, "no label column 'y'"),
        ("assay.csv", {"loss": "huber"}, "'huber' is for regression"),
        ("assay.csv", {"epochs": 0}, "epochs is 0; it must be at least 1"),
        ("assay.csv", {"ensemble_size": -1}, "ensemble size is -1"),
        ("assay.csv", {"trees": 0}, "trees is 0; expected an int from 1"),
    ],
)
def test_what_can_not_be_used_is_said_and_leaves_no_model(
    table: Path, tmp_path: Path, name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(MolftError, match=message):
        finetune(table.with_name(name), tmp_path / "model", small_options(**options))  # type: ignore[arg-type]
    assert not (tmp_path / "model" / CONFIG).exists()


def test_a_model_can_be_where_the_next_one_starts(table: Path, encoder: Path, tmp_path: Path) -> None:
    finetune(table, tmp_path / "first", small_options(encoder))
    model, _ = finetune(table, tmp_path / "second", small_options(tmp_path / "first"))
    assert model.about.facts["encoder"]["tuned_on"] == ["halogen"]
    json.dumps(read_json(tmp_path / "second" / CONFIG))


def test_rows_that_can_not_be_used_stop_nothing(encoder: Path, tmp_path: Path) -> None:
    table = write_assay(tmp_path / "t.csv")
    labels = has_halogen(pyridines(40))
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0], "xyz,1", *lines[1:], ",0", f"CCО,{labels[0]:.0f}"]) + "\n")
    finetune(table, tmp_path / "model", small_options(encoder))
    assert len((tmp_path / "model" / "predictions.csv").read_text().splitlines()) == 1 + 43


def test_a_table_that_can_not_be_used_leaves_no_folder(tmp_path: Path) -> None:
    table = tmp_path / "two.csv"
    table.write_text("smiles,a,b\n" + "".join(f"{'C' * n},{n / 7},{n / 3}\n" for n in range(1, 30)))
    with pytest.raises(MolftError, match="--target-columns"):
        finetune(table, tmp_path / "model", Options(encoder="none"))
    assert not (tmp_path / "model").exists()
