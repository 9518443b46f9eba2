"""Run with: pytest tests/test_forest_file.py"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from molft.errors import MolftError
from molft.use.forest import FEATURE_SET, Forest, fit_forest
from molft.use.forest_file import FORMAT, load_forest, save_forest


@pytest.fixture(scope="module")
def forest() -> Forest:
    features = np.random.default_rng(3).poisson(1.0, (80, 6)).astype(np.float32)
    labels = np.hstack([features[:, :1] > 1, features[:, 1:2] * 0]).astype(np.float64)
    return fit_forest(features, labels, "classification", ["active", "né"], trees=8)


@pytest.fixture
def saved(forest: Forest, tmp_path: Path) -> Path:
    save_forest(forest, tmp_path / "forest.safetensors")
    return tmp_path / "forest.safetensors"


def header(**changes: object) -> dict[str, Any]:
    known = {"format": FORMAT, "feature_set": FEATURE_SET, "task_type": "classification"}
    return {**known, "tasks": ["active", "né"], "width": 6, "notes": [], **changes}


def rewrite(path: Path, text: str, **arrays: np.ndarray) -> None:
    path.write_bytes(save({**load(path.read_bytes()), **arrays}, {"molft": text}))


def test_a_forest_comes_back_whole(forest: Forest, saved: Path) -> None:
    again = load_forest(saved)
    rows = np.random.default_rng(8).poisson(1.0, (50, 6)).astype(np.float32)
    np.testing.assert_array_equal(again.predict(rows), forest.predict(rows))
    assert (again.tasks, again.task_type, again.width, again.notes) == (
        ("active", "né"),
        "classification",
        6,
        ("né: all 80 labels are class 0; the forest answers 0 everywhere",),
    )


def test_the_same_forest_gives_the_same_bytes(forest: Forest, saved: Path) -> None:
    save_forest(forest, saved.with_name("again"))
    assert saved.read_bytes() == saved.with_name("again").read_bytes()


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(MolftError, match="there is no such file"):
        load_forest(tmp_path / "forest.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_cut_file(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(MolftError, match="can't be read as a forest"):
        load_forest(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("null", "its header is missing"),
        ("{", "can't be read as a forest"),
        (json.dumps(header(format="molft-forest-9")), "format is 'molft-forest-9', this molft reads"),
        (json.dumps(header(feature_set="other")), "feature_set is 'other', this molft reads"),
        (json.dumps(header(task_type="os.system")), "task type 'os.system'"),
        (json.dumps(header(width=None)), "its header is damaged"),
        (json.dumps(header(tasks=["one"])), "its tasks don't divide its trees"),
        (json.dumps(header(width=1)), "a feature that doesn't exist"),
    ],
)
def test_a_header_that_is_not_ours(saved: Path, text: str, message: str) -> None:
    rewrite(saved, text)
    with pytest.raises(MolftError, match=message):
        load_forest(saved)


def shifted(name: str, change: int) -> Any:  # noqa: ANN401  (a function of arrays)
    return lambda arrays: {name: arrays[name] + np.array(change, arrays[name].dtype)}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shifted("feature", 3), "a feature that doesn't exist|a branch leaves its tree"),
        (shifted("feature", -3), "a feature that doesn't exist"),
        (shifted("skip", 500), "a branch leaves its tree"),
        (shifted("skip", -500), "a branch leaves its tree"),
        (shifted("roots", 1), "its trees don't divide its nodes"),
        (shifted("task_trees", 1), "its tasks don't divide its trees"),
        (lambda arrays: {"number": arrays["number"][1:]}, "its arrays differ in length"),
        (lambda arrays: {"number": np.full_like(arrays["number"], np.nan)}, "a threshold is NaN"),
        (lambda arrays: {"skip": arrays["skip"].astype(np.int64)}, "holds the arrays"),
        (lambda arrays: {"extra": arrays["skip"]}, "holds the arrays"),
    ],
)
def test_arrays_that_are_no_trees(saved: Path, damage: Any, message: str) -> None:  # noqa: ANN401
    rewrite(saved, json.dumps(header()), **damage(load(saved.read_bytes())))
    with pytest.raises(MolftError, match=message):
        load_forest(saved)
