"""The command line as a user meets it: what it prints, and its exit codes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from molft import cli
from molft.cli import app
from molft.train.losses import CLASS_LOSSES
from molft.train.plan import STRATEGIES
from tests.series import has_halogen, pyridines
from tests.small import save_small_encoder


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def assay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("assay") / "assay.csv"
    smiles = pyridines(40)
    pd.DataFrame(
        {"smiles": [*smiles, "not a molecule"], "active": [*has_halogen(smiles).astype(int), 1]}
    ).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def model(assay: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    done = run("finetune", assay, "-o", folder, "--encoder", encoder, "--split", "random", "--epochs", 2,
               "--ensemble-size", 1, "--workers", 0)  # fmt: skip
    assert done.exit_code == 0, done.output
    for told in ("41 rows", "rows dropped, no molecule: 1", "plan", "ROC-AUC", "network", "forest", "blend"):
        assert told in done.output
    return folder


def test_help_answers_without_the_heavy_libraries() -> None:
    heavy = ("torch", "rdkit", "pandas", "sklearn")
    code = f"import sys, molft.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert all(
        name in run("--help").output for name in ("demo", "finetune", "screen", "embed", "import-snap")
    )


def test_a_screen_gives_every_row_back(model: Path, tmp_path: Path) -> None:
    library = tmp_path / "library.smi"
    library.write_text("c1ccncc1F a\nnonsense b\nCCO c\n")
    done = run("screen", library, "-m", model, "-o", tmp_path / "out.csv", "--workers", 0)
    assert done.exit_code == 0, done.output
    assert "3 rows: 2 ok, 1 refused (parse 1)" in done.output.replace("\n", " ")
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["smiles"].tolist() == ["c1ccncc1F", "nonsense", "CCO"]
    assert table["status"].tolist()[::2] == ["ok", "ok"] and table["status"][1].startswith("parse: ")
    assert table["active"].notna().tolist() == [True, False, True]


def test_a_screen_does_without_pandas(model: Path, tmp_path: Path) -> None:
    (tmp_path / "library.csv").write_text("smiles\nCCO\nC1CC\n")
    code = (
        "import sys; from molft.use.screen import screen; "
        "screen(*sys.argv[1:], workers=1); print('pandas' in sys.modules)"
    )
    names = [model, tmp_path / "library.csv", tmp_path / "out.csv"]
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_embeddings_and_info(model: Path, encoder: Path, tmp_path: Path) -> None:
    library = tmp_path / "library.smi"
    library.write_text("CCO a\nCC b\n")
    done = run("embed", library, "-o", tmp_path / "e.npz", "--encoder", encoder, "--workers", 0)
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "e.npz") as file:
        assert file["vectors"].shape == (2, 16)
    again = run("embed", library, "-o", tmp_path / "e.npz", "--encoder", encoder, "--workers", 0)
    assert again.exit_code == 1 and "--overwrite" in again.output
    assert "classification of active" in run("info", model).output
    assert "random weights, seed 0" in run("info", encoder).output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["finetune", "absent.csv", "-o", "m"], "absent.csv: no such file"),
        (["finetune", "ASSAY", "-o", "m", "--target-columns", "activ"], "did you mean 'active'?"),
        (["finetune", "ASSAY", "-o", "m", "--smiles-column", "x"], "no column 'x'"),
        (["finetune", "ASSAY", "-o", "m", "--split", "when"], "split 'when' is neither a column"),
        (["finetune", "ASSAY", "-o", "m", "--encoder", "absent"], "absent"),
        (["finetune", "ASSAY", "-o", "m", "--encoder", "none", "--strategy", "frozen"], "pre-trained"),
        (["finetune", "ASSAY", "-o", "m", "--loss", "huber"], "huber"),
        (["finetune", "ASSAY", "-o", "m", "--device", "cuda:7"], "no CUDA device"),
        (["screen", "ASSAY", "-m", "absent", "-o", "x.csv"], "no molft model"),
        (["info", "absent"], "absent"),
        (["import-snap", "absent.pth", "-o", "e"], "absent.pth"),
    ],
)  # fmt: skip
def test_what_can_not_be_used_is_told_in_a_line(
    words: list[str], message: str, assay: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*[assay if word == "ASSAY" else word for word in words], *_quick(words))
    assert done.exit_code == 1, done.output
    assert message in done.output.replace("\n", " ")
    assert "Traceback" not in done.output
    assert not (tmp_path / "m" / "run").exists()


def test_the_choices_are_those_of_the_plan() -> None:
    assert tuple(cli.Strategy) == ("auto", *STRATEGIES)
    assert tuple(cli.Loss) == ("auto", *CLASS_LOSSES, "huber")


def _quick(words: list[str]) -> list[str]:
    return ["--workers", "0"] if words[0] in ("finetune", "screen") else []


@pytest.mark.parametrize(
    "words",
    [
        ["finetune"],
        ["finetune", "a.csv", "-o", "m", "--task-type", "ranking"],
        ["finetune", "a.csv", "-o", "m", "--split-sizes", "0.8,0.2"],
        ["finetune", "a.csv", "-o", "m", "--epochs", "0"],
        ["pretrain", "a.smi", "-o", "m", "--objectives", "masking:heavy"],
        ["screen", "a.csv", "-m", "m", "-o", "x.csv", "--top", "0"],
        ["fly"],
    ],
)
def test_wrong_usage_exits_with_2(words: list[str]) -> None:
    assert run(*words).exit_code == 2


def test_the_demo_is_a_finetune_and_a_screen(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, Path]] = []

    def finetune(assay: Path, out: Path, **_: object) -> None:
        seen.append(("finetune", assay))
        assert len(pd.read_csv(assay)) == 1017

    def screen(library: Path, model: Path, out: Path, **_: object) -> None:
        seen.append(("screen", library))
        out.write_text("smiles,status,pIC50\nCCO,ok,5.0\n")

    monkeypatch.setattr(cli, "_finetune", finetune)
    monkeypatch.setattr(cli, "_screen", screen)
    done = run("demo", "-o", tmp_path / "demo")
    assert done.exit_code == 0, done.output
    assert [name for name, _ in seen] == ["finetune", "screen"]
    assert "CCO,ok,5.0" in done.output and "report.html" in done.output
