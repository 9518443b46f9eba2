"""What a screen tells about its own numbers: how far networks disagree, and the nearest known molecule."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from molft.chem.prepare import Recipe, prepare
from molft.cli import app
from molft.errors import MolftError
from molft.use.model import TRAINING, load
from molft.use.neighbours import Neighbours
from molft.use.screen import screen
from tests.small import small_model

TRAINED = ("CCO", "c1ccccc1", "c1ccncc1F")
ROWS = ("c1ccccc1", "C1CC", "OCC", "c1ccncc1Cl")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    (tmp_path / "library.csv").write_text("smiles\n" + "\n".join(ROWS) + "\n")
    return tmp_path / "library.csv"


def save(folder: Path, **options: Any) -> Path:  # noqa: ANN401  (those of small_model)
    """A model folder; the model knows three molecules."""
    model = small_model(**options)
    model.neighbours = Neighbours.of(prepare(TRAINED, Recipe(fingerprints=True)), TRAINED)
    model.save(folder)
    return folder


def run(model: Path, library: Path, **options: Any) -> pd.DataFrame:  # noqa: ANN401  (those of screen)
    output = library.with_name("out.parquet")
    chosen: dict[str, Any] = {"block_rows": 3, "overwrite": True, "precision": "float32", **options}
    screen(model, library, output, workers=0, **chosen)
    return parquet.read_table(output).to_pandas()


def test_the_nearest_known_molecule(library: Path, tmp_path: Path) -> None:
    table = run(save(tmp_path / "model"), library, similarity=True)
    assert list(table) == ["smiles", "status", "halogen", "similarity", "nearest"]
    assert table["nearest"].fillna("").tolist() == ["c1ccccc1", "", "CCO", "c1ccncc1F"]
    assert table["similarity"][[0, 2]].tolist() == [1.0, 1.0]
    assert 0.2 < table["similarity"][3] < 1 and np.isnan(table["similarity"][1])


def test_the_same_in_text_where_a_refused_row_has_empty_cells(library: Path, tmp_path: Path) -> None:
    screen(save(tmp_path / "model"), library, tmp_path / "out.csv", workers=0, similarity=True, top=None)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[1].endswith(",1,c1ccccc1") and lines[2].endswith(",,,") and lines[3].endswith(",1,CCO")


def test_a_model_without_its_training_molecules_works_but_for_that(library: Path, tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    (folder / TRAINING).unlink()
    assert run(folder, library)["halogen"].notna().tolist() == [True, False, True, True]
    with pytest.raises(MolftError, match=r"has no training.safetensors.* fine-tune again, or leave"):
        run(folder, library, similarity=True)
    old = shutil.copytree(Path(__file__).parent / "data" / "model-0.1.0", tmp_path / "old")
    with pytest.raises(MolftError, match=r"made by an earlier molft"):
        run(old, library, similarity=True)


def test_a_changed_file_of_training_molecules_is_refused(library: Path, tmp_path: Path) -> None:
    folder = save(tmp_path / "model")
    (folder / TRAINING).write_bytes(b"\0" * 100)
    with pytest.raises(MolftError, match=r"training.safetensors: not the weights that were saved"):
        run(folder, library)


@pytest.mark.parametrize("answer", ["network", "blend"])
@pytest.mark.parametrize("task_type", ["classification", "regression"])
def test_the_spread_is_that_of_the_networks_answers(
    library: Path, tmp_path: Path, answer: str, task_type: str
) -> None:
    folder = save(tmp_path / "model", answer=answer, task_type=task_type, tasks=("a", "b"))
    table = run(folder, library, spread=True)
    assert list(table) == ["smiles", "status", "a", "b", "a_spread", "b_spread"]
    assert table["a_spread"].notna().tolist() == [True, False, True, True]
    model = load(folder)
    graphs = prepare(["OCC"], model.recipe).graphs
    one, other = (model.each_network(graphs)[number, 0] for number in (0, 1))
    # Of two numbers the standard deviation is half of their distance.
    assert table.loc[2, ["a_spread", "b_spread"]].tolist() == pytest.approx(abs(one - other) / 2, abs=1e-6)
    assert table[["a", "b"]].equals(run(folder, library)[["a", "b"]])


def test_all_columns_together_and_ranked(library: Path, tmp_path: Path) -> None:
    table = run(save(tmp_path / "model"), library, spread=True, similarity=True, top=2)
    assert list(table)[2:] == ["halogen", "halogen_spread", "similarity", "nearest"]
    assert len(table) == 2 and table["halogen"].is_monotonic_decreasing


def test_a_spread_that_would_say_nothing_is_refused(library: Path, tmp_path: Path) -> None:
    with pytest.raises(MolftError, match=r"one network, and it takes two to disagree.*--ensemble-size 3"):
        run(save(tmp_path / "one", members=1), library, spread=True)
    with pytest.raises(MolftError, match=r"answers by its forest alone"):
        run(save(tmp_path / "forest", answer="forest"), library, spread=True)


def test_a_run_begun_without_a_column_is_not_resumed_with_it(library: Path, tmp_path: Path) -> None:
    folder = save(tmp_path / "model")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder, library, progress=stop)
    with pytest.raises(MolftError, match=r"spread was false, now true"):
        screen(folder, library, tmp_path / "out.parquet", workers=0, block_rows=3, resume=True, spread=True)


def test_by_the_command(library: Path, tmp_path: Path) -> None:
    words = ["screen", library, "-m", save(tmp_path / "model"), "-o", tmp_path / "best.csv", "--workers", "0"]
    more = ["--top", "3", "--diverse", "--per-scaffold", "2", "--similarity", "--spread"]
    done = CliRunner().invoke(app, [str(word) for word in (*words, *more)])
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "best.csv")
    assert list(table)[2:] == ["halogen", "halogen_spread", "similarity", "nearest"] and len(table) == 3
