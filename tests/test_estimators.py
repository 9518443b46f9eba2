"""scikit-learn's conventions, restated for lists of SMILES."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from molft.errors import MolftError
from molft.use.estimators import MoleculeClassifier, MoleculeRegressor
from tests.series import has_halogen, pyridines
from tests.small import save_small_encoder

SMILES = pyridines(40)
CLASSES = has_halogen(SMILES)
VALUES = np.array([len(text) for text in SMILES], float) / 4 + CLASSES
BAD = ["c1cc", "", "CCО", "CC(C)(C)(C)C", "C" * 6000]

Estimator = MoleculeClassifier | MoleculeRegressor
Make = Callable[..., Estimator]
KINDS = [MoleculeClassifier, MoleculeRegressor]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    encoder = str(save_small_encoder(tmp_path_factory.mktemp("encoder")))

    def build(kind: type[Estimator], **options: object) -> Estimator:
        chosen = {
            "encoder": encoder,
            "epochs": 2,
            "ensemble_size": 1,
            "trees": 20,
            "valid_size": 0.2,
            "workers": 0,
        } | options
        return kind(**chosen)  # type: ignore[arg-type]

    return build


@pytest.fixture(scope="module")
def classifier(make: Make) -> MoleculeClassifier:
    found = make(MoleculeClassifier).fit(SMILES, CLASSES)
    assert isinstance(found, MoleculeClassifier)
    return found


@pytest.fixture(scope="module")
def regressor(make: Make) -> MoleculeRegressor:
    found = make(MoleculeRegressor).fit(SMILES, VALUES)
    assert isinstance(found, MoleculeRegressor)
    return found


def labels_of(kind: type[Estimator]) -> np.ndarray:
    return CLASSES if kind is MoleculeClassifier else VALUES


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_kept_as_they_are_given(kind: type[Estimator]) -> None:
    names = [name for name in inspect.signature(kind).parameters]
    assert set(kind().get_params()) == set(names) == set(vars(kind()))
    odd: dict[str, Any] = {name: object() for name in names}
    made = kind(**odd)  # nothing may be checked or changed before fit
    assert all(made.get_params()[name] is value for name, value in odd.items())
    assert made.set_params(epochs=7) is made and made.get_params()["epochs"] == 7
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        made.set_params(epoch=7)


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_plain_values(kind: type[Estimator]) -> None:
    for parameter in inspect.signature(kind).parameters.values():
        assert isinstance(parameter.default, str | int | float | None)
    assert repr(kind()) == f"{kind.__name__}()"
    assert repr(kind(epochs=3)) == f"{kind.__name__}(epochs=3)"


def test_a_clone_has_the_parameters_and_nothing_learned(classifier: MoleculeClassifier) -> None:
    other = clone(classifier)
    assert other.get_params() == classifier.get_params()
    assert not [name for name in vars(other) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        other.predict(SMILES)


@pytest.mark.parametrize("kind", KINDS)
def test_unfitted_ones_say_so(kind: type[Estimator]) -> None:
    with pytest.raises(NotFittedError, match=f"this {kind.__name__} is not fitted yet; call fit first"):
        kind().predict(["CCO"])


@pytest.mark.parametrize("kind", KINDS)
def test_fit_leaves_the_parameters_and_the_input_alone(make: Make, kind: type[Estimator]) -> None:
    estimator, smiles, labels = make(kind), list(SMILES), labels_of(kind).copy()
    before = estimator.get_params()
    assert estimator.fit(smiles, labels) is estimator
    assert estimator.get_params() == before
    assert smiles == SMILES
    np.testing.assert_array_equal(labels, labels_of(kind))
    learned = set(vars(estimator)) - set(before)
    assert learned == {"report_", "model_", "evaluation_", "history_", "n_tasks_"} | (
        {"classes_"} if kind is MoleculeClassifier else set()
    )
    state = {name: id(value) for name, value in vars(estimator).items()}
    estimator.predict(smiles)
    assert {name: id(value) for name, value in vars(estimator).items()} == state


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_numbers(make: Make, kind: type[Estimator]) -> None:
    torch.manual_seed(5)
    first = make(kind).fit(SMILES, labels_of(kind))
    torch.manual_seed(6)  # nobody else's random numbers are used
    second = make(kind).fit(SMILES, labels_of(kind))
    other = make(kind, random_state=1).fit(SMILES, labels_of(kind))
    probes = pyridines(60)[40:]
    networks = [e.model_.predict(probes).iloc[:, 2].to_numpy() for e in (first, second, other)]
    assert networks[0].tobytes() == networks[1].tobytes()
    assert (networks[0] != networks[2]).any()
    again = first.fit(SMILES, labels_of(kind)).model_.predict(probes).iloc[:, 2].to_numpy()
    assert again.tobytes() == networks[0].tobytes()


def test_one_task_gives_two_columns_of_probabilities(classifier: MoleculeClassifier) -> None:
    found = classifier.predict_proba(SMILES)
    assert found.shape == (40, 2) and found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert ((found >= 0) & (found <= 1)).all()
    assert classifier.classes_.tolist() == [0, 1] and classifier.n_tasks_ == 1
    calls = classifier.predict(SMILES)
    assert calls.shape == (40,) and set(calls) <= {0.0, 1.0}
    threshold = classifier.model_.about.thresholds[0]
    np.testing.assert_array_equal(calls, found[:, 1] >= threshold)
    assert classifier.score(SMILES, CLASSES) == (calls == CLASSES).mean()


def test_values_come_one_for_each_molecule(regressor: MoleculeRegressor) -> None:
    found = regressor.predict(SMILES)
    assert found.shape == (40,) and found.dtype == np.float64
    assert VALUES.min() - 3 < found.min() and found.max() < VALUES.max() + 3
    assert np.isfinite(regressor.score(SMILES, VALUES))


@pytest.mark.parametrize("kind", KINDS)
def test_many_tasks_give_a_column_each(make: Make, kind: type[Estimator]) -> None:
    labels = np.stack([labels_of(kind), labels_of(kind)[::-1], labels_of(kind)], axis=1).astype(float)
    labels[::3, 1] = np.nan
    estimator = make(kind).fit(SMILES, labels)
    assert estimator.n_tasks_ == 3
    assert estimator.predict(SMILES[:5]).shape == (5, 3)
    if isinstance(estimator, MoleculeClassifier):
        assert estimator.predict_proba(SMILES[:5]).shape == (5, 3)


def test_a_column_of_labels_is_one_task(make: Make) -> None:
    estimator = make(MoleculeClassifier).fit(SMILES, CLASSES[:, None])
    assert isinstance(estimator, MoleculeClassifier)
    assert estimator.predict(SMILES).shape == (40,)
    assert estimator.predict_proba(SMILES).shape == (40, 2)


@pytest.mark.parametrize("place", [[0], [2], [5], list(range(6))])
def test_bad_molecules_keep_their_place(
    classifier: MoleculeClassifier, regressor: MoleculeRegressor, place: list[int]
) -> None:
    smiles = SMILES[:6]
    for number, row in enumerate(place):
        smiles[row] = BAD[number % len(BAD)]
    for values, whole in (
        (classifier.predict_proba(smiles)[:, 1], classifier.predict_proba(SMILES[:6])[:, 1]),
        (classifier.predict(smiles), classifier.predict(SMILES[:6])),
        (regressor.predict(smiles), regressor.predict(SMILES[:6])),
    ):
        assert np.flatnonzero(np.isnan(values)).tolist() == place
        good = ~np.isnan(values)
        np.testing.assert_allclose(values[good], whole[good], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_training_molecules_are_left_out_with_a_warning(make: Make, kind: type[Estimator]) -> None:
    labels = np.concatenate([labels_of(kind), [1, 1]])
    estimator = make(kind)
    with pytest.warns(UserWarning, match=r"2 of 42 molecules were left out, the first: 'c1cc', parse: not a"):
        estimator.fit([*SMILES, "c1cc", ""], labels)
    assert [line.rows for line in estimator.report_.rejected] == [(41,), (42,)]
    assert len(estimator.predict([*SMILES, "c1cc", ""])) == 42


@pytest.mark.parametrize("kind", KINDS)
def test_missing_labels_are_no_labels(make: Make, kind: type[Estimator]) -> None:
    labels = labels_of(kind).astype(float)
    labels[::4] = np.nan
    estimator = make(kind).fit(SMILES, labels)
    assert len(estimator.report_.unlabelled) == 10 and estimator.report_.molecules == 30
    assert np.isfinite(estimator.predict(SMILES)).all()


@pytest.mark.parametrize(
    "smiles",
    [
        np.array(SMILES),
        np.array(SMILES, dtype=object),
        pd.Series(SMILES, index=range(100, 140)),
        tuple(SMILES),
        iter(SMILES),
    ],
    ids=["array", "objects", "series", "tuple", "iterator"],
)
def test_any_sequence_of_strings_will_do(classifier: MoleculeClassifier, smiles: Any) -> None:  # noqa: ANN401
    np.testing.assert_array_equal(classifier.predict(smiles), classifier.predict(SMILES))


@pytest.mark.parametrize(
    ("smiles", "message"),
    [
        ([], "X holds no molecule"),
        (np.array([]), "X holds no molecule"),
        ("CCO", "X must be a list of SMILES strings"),
        (["CCO", None], "X must be a list of SMILES strings"),
        (["CCO", float("nan")], "X must be a list of SMILES strings"),
        ([["CCO"], ["CCN"]], "X must be a list of SMILES strings"),
        (np.array([["CCO"], ["CCN"]]), "X must be a list of SMILES strings"),
        (np.zeros((3, 2)), "X must be a list of SMILES strings"),
        (3, "X must be a list of SMILES strings"),
        (None, "X must be a list of SMILES strings"),
    ],
)
def test_what_is_no_list_of_smiles_is_refused(
    make: Make,
    regressor: MoleculeRegressor,
    smiles: Any,  # noqa: ANN401
    message: str,
) -> None:
    with pytest.raises(MolftError, match=message):
        regressor.predict(smiles)
    with pytest.raises(MolftError, match=message):
        make(MoleculeRegressor).fit(smiles, [1.0, 2.0])


@pytest.mark.parametrize(
    ("kind", "labels", "message"),
    [
        (
            MoleculeClassifier,
            CLASSES[:39],
            r"y has shape \(39,\) for 40 molecules; expected \[40\] or \[40, tasks",
        ),
        (MoleculeRegressor, VALUES[None, :], r"y has shape \(1, 40\) for 40 molecules"),
        (MoleculeRegressor, np.zeros((40, 1, 1)), "y has shape"),
        (MoleculeRegressor, np.zeros((40, 0)), "y has shape"),
        (MoleculeRegressor, 1.0, r"y has shape \(\)"),
        (MoleculeRegressor, None, "y"),
        (MoleculeRegressor, ["high"] * 40, "y must hold numbers"),
        (MoleculeClassifier, ["active", "inactive"] * 20, "y must hold numbers"),
        (MoleculeRegressor, [[1.0], [1.0, 2.0]] * 20, "y must hold numbers"),
        (MoleculeRegressor, np.where(VALUES > 4, np.inf, VALUES), "y holds inf"),
        (MoleculeRegressor, np.where(VALUES > 4, 1e300, VALUES), r"y holds 1e\+300"),
        (MoleculeClassifier, VALUES, r"y holds .*; classes are 0 and 1 \(NaN where missing\)"),
        (MoleculeClassifier, CLASSES * 2 - 1, "y holds -1; classes are 0 and 1"),
        (MoleculeRegressor, np.full(40, np.nan), "none of the 40 rows gives a molecule with a label"),
    ],
)
def test_what_are_no_labels_is_refused(
    make: Make,
    kind: type[Estimator],
    labels: Any,  # noqa: ANN401
    message: str,
) -> None:
    with pytest.raises(MolftError, match=message):
        make(kind).fit(SMILES, labels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder": "nowhere"}, "nowhere: no encoder there"),
        ({"split": "set"}, "split 'set' is neither a column"),
        ({"valid_size": 0.0}, "no validation part"),
        ({"valid_size": 1.0}, "three fractions that sum to 1"),
        ({"valid_size": -0.1}, "three fractions that sum to 1"),
        ({"strategy": "thawed"}, "strategy 'thawed' is unknown"),
        ({"random_state": None}, "seed is None; expected an int"),
        ({"random_state": -1}, "seed is -1"),
        ({"trees": 0}, "trees is 0"),
        ({"epochs": 0}, "epochs is 0"),
    ],
)
def test_options_are_checked_by_fit(make: Make, options: dict[str, object], message: str) -> None:
    with pytest.raises(MolftError, match=message):
        make(MoleculeClassifier, **options).fit(SMILES, CLASSES)


@pytest.mark.parametrize("smiles", [["CCO"], ["CCO", "CCN"], ["CCO"] * 20])
def test_too_few_molecules_are_refused(make: Make, smiles: list[str]) -> None:
    with pytest.raises(MolftError, match=r"empty|at least two"):
        make(MoleculeRegressor).fit(smiles, np.arange(len(smiles), dtype=float))


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_only_is_predicted_and_its_score_undefined(make: Make, label: float) -> None:
    estimator = make(MoleculeClassifier).fit(SMILES, np.full(40, label))
    assert isinstance(estimator, MoleculeClassifier)
    found = estimator.predict_proba(SMILES)
    assert found.shape == (40, 2) and np.isfinite(found).all()
    assert set(estimator.predict(SMILES)) <= {0.0, 1.0}
    assert "undefined" in estimator.evaluation_.verdict


def test_predictions_do_not_depend_on_order_or_company(classifier: MoleculeClassifier) -> None:
    whole = classifier.predict_proba(SMILES)
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_allclose(classifier.predict_proba([SMILES[i] for i in order]), whole[order], atol=1e-6)
    alone = np.concatenate([classifier.predict_proba([text]) for text in SMILES[:10]])
    np.testing.assert_allclose(alone, whole[:10], atol=1e-6)


def test_fitting_leaves_nothing_behind(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make(MoleculeClassifier).fit(SMILES, CLASSES)
    assert list(tmp_path.iterdir()) == []
