"""Run with: pytest tests/test_forest.py"""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rdkit import Chem
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

import molft.use.forest as forest_module
from molft.chem.descriptors import describe, fingerprint_counts
from molft.errors import MolftError
from molft.use.forest import TaskType, fit_forest, join_features

NAN = float("nan")


def toy(rows: int = 120, width: int = 9) -> NDArray[np.float32]:
    return np.random.default_rng(3).poisson(1.0, (rows, width)).astype(np.float32)


def binary(features: NDArray[np.float32]) -> NDArray[np.float64]:
    noise = np.random.default_rng(4).normal(size=len(features))
    return (features[:, 0] + noise > 1.2).astype(np.float64)[:, None]


def test_probabilities_equal_scikit_learns() -> None:
    features = toy()
    labels = binary(features)
    oracle = RandomForestClassifier(40, max_features="sqrt", random_state=5).fit(features, labels[:, 0])
    forest = fit_forest(features, labels, "classification", ["y"], trees=40, seed=5)
    unseen = toy(300)[120:] + 0.3
    np.testing.assert_allclose(forest.predict(unseen)[:, 0], oracle.predict_proba(unseen)[:, 1], atol=1e-6)


def test_many_molecules_give_scikit_learns_forest_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above a number of rows only what is not zero is read."""
    features = np.where(toy(400, 30) > 2, toy(400, 30), 0).astype(np.float32)
    labels = binary(features)
    forests = []
    for dense in (400, 399):
        monkeypatch.setattr(forest_module, "_DENSE", dense)
        forests.append(fit_forest(features, labels, "classification", ["y"], trees=40, seed=5))
    oracle = RandomForestClassifier(40, max_features="sqrt", random_state=5).fit(features, labels[:, 0])
    for found in forests:
        assert all(map(np.array_equal, found.nodes, forests[0].nodes))
        np.testing.assert_allclose(
            found.predict(features)[:, 0], oracle.predict_proba(features)[:, 1], atol=1e-6
        )


@pytest.mark.parametrize("offset", [0.0, -3000.0])
def test_values_equal_scikit_learns(offset: float) -> None:
    features = toy()
    labels = features[:, :1] * 2.5 + offset + np.random.default_rng(1).normal(size=(120, 1))
    oracle = RandomForestRegressor(40, max_features=1 / 3, random_state=5, min_samples_leaf=2)
    oracle.fit(features, labels[:, 0])
    forest = fit_forest(features, labels, "regression", ["y"], trees=40, seed=5, min_samples_leaf=2)
    np.testing.assert_allclose(forest.predict(features)[:, 0], oracle.predict(features), rtol=1e-6, atol=1e-6)


def test_balanced_equals_scikit_learns() -> None:
    features = toy()
    labels = (features[:, :1] > 2).astype(np.float64)
    oracle = RandomForestClassifier(
        20, max_features="sqrt", random_state=0, class_weight="balanced", min_samples_leaf=5
    ).fit(features, labels[:, 0])
    forest = fit_forest(
        features, labels, "classification", ["y"], trees=20, balanced=True, min_samples_leaf=5
    )
    np.testing.assert_allclose(
        forest.predict(features)[:, 0], oracle.predict_proba(features)[:, 1], atol=1e-6
    )


def test_real_molecules_equal_scikit_learns(real_data: Path) -> None:
    with (real_data / "moleculenet" / "delaney-processed.csv").open(newline="") as file:
        table = list(csv.DictReader(file))[::4]
    mols = [Chem.MolFromSmiles(row["smiles"]) for row in table]
    solubility = np.array([[float(row["measured log solubility in mols per litre"])] for row in table])
    features = join_features(fingerprint_counts(mols), describe(mols))
    forest = fit_forest(features[::2], solubility[::2], "regression", ["logS"], trees=20)
    oracle = RandomForestRegressor(20, max_features=1 / 3, random_state=0)
    oracle.fit(features[::2], solubility[::2, 0])
    found = forest.predict(features[1::2])
    np.testing.assert_allclose(found[:, 0], oracle.predict(features[1::2]), atol=1e-6)
    error = np.sqrt(np.mean((found - solubility[1::2]) ** 2))
    assert error < 0.7 * solubility.std(), "the forest learns solubility"


def test_missing_labels_are_absent_for_their_task_only() -> None:
    features = toy()
    labels = np.hstack([binary(features), 1 - binary(features)])
    labels[:70, 1] = NAN
    both = fit_forest(features, labels, "classification", ["a", "b"], trees=10)
    alone = fit_forest(features[70:], labels[70:, 1:], "classification", ["b"], trees=10)
    np.testing.assert_array_equal(both.predict(features)[:, 1:], alone.predict(features))


def test_one_class_is_a_constant_and_said() -> None:
    features = toy()
    labels = np.hstack([binary(features), np.ones((120, 1)), np.full((120, 1), NAN)])
    labels[5:, 1] = NAN
    forest = fit_forest(features, labels, "classification", ["a", "b", "c"], trees=5)
    answers = forest.predict(features)
    assert (answers[:, 1] == 1).all()
    assert np.isnan(answers[:, 2]).all()
    assert forest.notes == (
        "b: all 5 labels are class 1; the forest answers 1 everywhere",
        "c: no label to learn from; the forest has no answer",
    )


def test_same_seed_same_forest_whatever_the_jobs() -> None:
    features = toy()
    one, two, other = (
        fit_forest(features, binary(features), "classification", ["y"], trees=12, seed=seed, jobs=jobs)
        for seed, jobs in ((1, 1), (1, 2), (2, 1))
    )
    np.testing.assert_array_equal(one.nodes.number, two.nodes.number)
    assert one.nodes.number.tolist() != other.nodes.number.tolist()


def test_progress_counts_tasks_constant_ones_too() -> None:
    features, told = toy(), list[tuple[int, int]]()
    labels = np.concatenate((binary(features), np.ones((120, 1)), np.full((120, 1), NAN)), axis=1)
    fit_forest(
        features, labels, "classification", ["a", "b", "c"], trees=2, progress=lambda *at: told.append(at)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_an_answer_does_not_depend_on_the_rows_beside_it() -> None:
    features = toy(600)
    labels = features[:, :1] + np.random.default_rng(1).normal(size=(600, 1))
    forest = fit_forest(features, labels, "regression", ["y"], trees=60)
    together = forest.predict(features)
    alone = np.vstack([forest.predict(features[i : i + 1]) for i in range(0, 600, 29)])
    np.testing.assert_array_equal(alone, together[::29])
    np.testing.assert_array_equal(forest.predict(features[::-1])[::-1], together)
    assert forest.predict(features[:0]).shape == (0, 1)


def test_join_features_puts_counts_first() -> None:
    joined = join_features(np.array([[3, 255]], np.uint8), np.array([[0.5]], np.float32))
    assert joined.dtype == np.float32
    assert joined.tolist() == [[3, 255, 0.5]]
    with pytest.raises(MolftError, match="2 rows of fingerprint counts, but 3 of descriptors"):
        join_features(np.zeros((2, 4), np.uint8), np.zeros((3, 4), np.float32))


@pytest.mark.parametrize(
    ("labels", "task_type", "message"),
    [
        ([[0.0], [2.0]], "classification", "a class label is 2, expected 0 or 1"),
        ([[NAN], [NAN]], "classification", "no label to fit the forest on"),
        ([[1.0], [float("inf")]], "regression", "a label is infinite"),
        ([[1.0, 0.0], [0.0, 1.0]], "classification", r"labels of shape \(2, 2\), expected \(2, 1\)"),
        ([[1.0], [0.0], [1.0]], "classification", r"labels of shape \(3, 1\), expected \(2, 1\)"),
        ([[1.0], [0.0]], "ranking", "task type 'ranking', expected 'classification' or 'regression'"),
    ],
)
def test_labels_that_cannot_be_learned(labels: list[list[float]], task_type: TaskType, message: str) -> None:
    with pytest.raises(MolftError, match=message):
        fit_forest(toy(2), np.array(labels), task_type, ["y"], trees=2)


def test_balanced_regression_is_refused() -> None:
    with pytest.raises(MolftError, match="balanced weighs classes"):
        fit_forest(toy(2), np.zeros((2, 1)), "regression", ["y"], balanced=True)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((3, 8), np.float32), r"features of shape \(3, 8\), expected \[molecules, 9\]"),
        (np.zeros(9, np.float32), r"features of shape \(9,\), expected"),
        (np.full((1, 9), NAN, np.float32), "features hold NaN or infinity"),
        (np.full((1, 9), np.inf, np.float32), "features hold NaN or infinity"),
    ],
)
def test_features_that_cannot_be_read(features: NDArray[np.float32], message: str) -> None:
    forest = fit_forest(toy(), binary(toy()), "classification", ["y"], trees=2)
    with pytest.raises(MolftError, match=message):
        forest.predict(features)


def test_too_many_features_for_the_file_format() -> None:
    with pytest.raises(MolftError, match="40000 features, at most 32767"):
        fit_forest(np.zeros((2, 40000), np.float32), np.array([[0.0], [1.0]]), "classification", ["y"])
