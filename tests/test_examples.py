"""The examples run as they stand, on small data."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "EPOCHS": "1"}


def run(*words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [str(word) for word in words]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done


def test_finetune_then_screen(tmp_path: Path) -> None:
    model = tmp_path / "model"
    told = run("bash", "examples/1_finetune.sh", "data/example_assay.csv", model).stdout
    assert "regression of pIC50" in told and "trained on: example_assay.csv (150 rows" in told
    run("bash", "examples/2_screen.sh", "data/example_library.smi", model, tmp_path)
    everything, best = pd.read_csv(tmp_path / "all.csv"), pd.read_csv(tmp_path / "best.csv")
    assert len(everything) == 200 and len(best) == 10
    wanted = everything["pIC50"].sort_values(ascending=False)[:10]
    assert best["pIC50"].tolist() == wanted.tolist()
    failed = run("bash", "examples/1_finetune.sh", "data/example_assay.csv", model, check=False)
    assert failed.returncode == 1 and "holds a finished model" in failed.stderr


def test_moleculenet(real_data: Path, tmp_path: Path) -> None:
    told = run(sys.executable, "examples/3_moleculenet.py", "bbbp", "--data-dir", real_data / "moleculenet",
               "--out", tmp_path / "out", "--rows", 100, "--seeds", 1, "--epochs", 1).stdout  # fmt: skip
    assert told.startswith("bbbp: 11 rows dropped")
    assert "test rows c89598201b7a, as known" in told
    assert "bbbp seed 0: test network " in told and "65.8±4.5" in told


def test_python() -> None:
    lines = run(sys.executable, "examples/4_python.py", 1).stdout.splitlines()
    assert lines[0].startswith("CCCCCO: ")
    assert lines[1:] == ["not a molecule: nan", "embedding: 2 molecules x 512 numbers"]


def test_network() -> None:
    lines = run(sys.executable, "examples/5_network.py").stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "network",
        "logistic regression on attributes",
        "logistic regression on attributes over two hops",
        "probabilities",
    ]
    assert lines[-1] == "probabilities: 34 nodes x 4 classes"
