"""The Gaussian process: against scikit-learn's, on trends a chemist knows, and with little to learn."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from molft.chem.prepare import Block
from molft.errors import MolftError
from molft.use.gaussian_process import (
    GaussianProcess,
    fit_process,
    group_distances,
    kernel_of,
    squash_linear,
)
from molft.use.kernel_search import search_kernel
from tests.series import block_of, has_halogen, pyridines

RNG = np.random.default_rng(5)


def descriptors(smiles: list[str]) -> np.ndarray:
    block: Block = block_of(smiles, forest=True)
    assert block.descriptors is not None
    return block.descriptors


def fit(
    smiles: list[str], labels: list[float] | np.ndarray, task_type: str = "regression"
) -> GaussianProcess:
    column = np.asarray(labels, np.float32).reshape(len(smiles), -1)
    tasks = [str(task) for task in range(column.shape[1])]
    return fit_process(descriptors(smiles), None, column, task_type, tasks)  # type: ignore[arg-type]


def test_it_answers_as_scikit_learn_s() -> None:
    table = RNG.normal(size=(60, 5)).astype(np.float32)
    labels = np.sin(table[:, 0]) + 0.3 * table[:, 1] ** 2 + 0.3 * RNG.normal(size=60)
    process = fit_process(table[:40], None, labels[:40, None], "regression", ["value"])
    logarithms = np.sign(table) * np.log1p(np.abs(table))
    scaled = (logarithms - logarithms[:40].mean(axis=0)) / logarithms[:40].std(axis=0)
    kernel = ConstantKernel(1.0) * Matern(10**0.5, nu=1.5) + WhiteKernel(0.1)
    expected = GaussianProcessRegressor(kernel, normalize_y=True).fit(scaled[:40], labels[:40])
    np.testing.assert_allclose(
        process.predict(table[40:], None)[:, 0], expected.predict(scaled[40:]), atol=2e-3
    )


def test_the_kernel_is_scikit_learn_s_sum_over_groups_of_columns() -> None:
    some, others = (RNG.normal(size=(count, 7)).astype(np.float32) for count in (4, 6))
    distances = group_distances(some, others, (3, 4))
    found = kernel_of(distances, np.array([0.5, 2.0]), np.array([1.5, 4.0]))
    expected = 0.5 * Matern(1.5, nu=1.5)(some[:, :3], others[:, :3])
    expected = expected + 2.0 * Matern(4.0, nu=1.5)(some[:, 3:], others[:, 3:])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_search_finds_which_columns_matter() -> None:
    table = RNG.normal(size=(150, 8))
    labels = np.sin(2 * table[:, 0]) + np.cos(table[:, 1])
    labels = (labels - labels.mean()) / labels.std()
    found = search_kernel(table, labels, (2, 6))
    assert found.amplitudes[0] > 100 * found.amplitudes[1]
    assert found.noise < 0.01


def test_labels_that_follow_from_nothing_teach_nothing() -> None:
    table, labels = RNG.normal(size=(200, 8)).astype(np.float32), RNG.normal(size=(150, 1))
    process = fit_process(table[:150], None, labels, "regression", ["noise"])
    found = process.predict(table[150:], None)
    assert found.std() < 0.3 * labels.std()
    np.testing.assert_allclose(found.mean(), labels.mean(), atol=0.1)


def test_a_trend_goes_on_beyond_what_was_seen() -> None:
    """Alkanes: each carbon adds the same to the boiling point's stand-in, and so do the next ones."""
    process = fit(["C" * n for n in range(2, 16)], [10.0 * n for n in range(2, 16)])
    beyond = process.predict(descriptors(["C" * 17, "C" * 18]), None)[:, 0]
    assert beyond[0] > 155 and beyond[1] > beyond[0]
    within = process.predict(descriptors(["C" * n for n in range(2, 16)]), None)[:, 0]
    np.testing.assert_allclose(within, [10.0 * n for n in range(2, 16)], atol=3)


def test_vectors_are_read_beside_descriptors() -> None:
    same = np.zeros((30, 4), np.float32)
    vectors = RNG.normal(size=(30, 3)).astype(np.float32)
    labels = vectors[:, :1] * 2 + 1
    process = fit_process(same[:25], vectors[:25], labels[:25], "regression", ["value"])
    assert process.groups == (4, 3)
    found = process.predict(same[25:], vectors[25:])
    assert np.abs(found - labels[25:]).max() < 0.5 * labels[:25].std()
    with pytest.raises(MolftError, match="4 columns, but the process was fitted on 7"):
        process.predict(same, None)


def test_classes_are_told_apart_by_probabilities() -> None:
    smiles = pyridines(120)
    labels = has_halogen(smiles)
    process = fit(smiles[:80], labels[:80], "classification")
    found = process.predict(descriptors(smiles[80:]), None)[:, 0]
    assert ((found > 0) & (found < 1)).all()
    assert found[labels[80:] == 1].mean() > 0.7 > 0.3 > found[labels[80:] == 0].mean()


def test_squashing_keeps_the_order_far_beyond_both_ends() -> None:
    values = squash_linear(np.array([-5.0, -0.2, -0.1, 0.1, 0.5, 0.9]))
    assert (np.diff(values) > 0).all() and (values >= 0).all()
    wide = squash_linear(np.linspace(-9, 9, 10_001))
    assert (wide >= 0).all() and (wide <= 1).all() and (np.diff(wide) > -1e-15).all()
    np.testing.assert_allclose(values[3:], [0.1, 0.5, 0.9], atol=1e-5)
    assert np.isnan(squash_linear(np.array([np.nan]))).all()


def test_tasks_with_little_to_learn() -> None:
    smiles = pyridines(12)
    nan = np.nan
    labels = np.array([[1.0, nan, 4.0, 0.0]] * 11 + [[3.0, nan, 4.0, nan]])
    labels[0, 3] = 1.0
    process = fit(smiles, labels)
    found = process.predict(descriptors(smiles[:3]), None)
    assert np.isnan(found[:, 1]).all()
    assert found[:, 2].tolist() == [4.0, 4.0, 4.0]
    assert np.isfinite(found[:, [0, 3]]).all()
    assert (process.weights[11, 3], process.weights[:, 1].any()) == (0.0, False)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_handful_of_molecules(count: int) -> None:
    process = fit(pyridines(count), np.arange(count, dtype=float))
    found = process.predict(descriptors(pyridines(9)), None)
    assert np.isfinite(found).all() and (np.abs(found) <= count + 1).all()


def test_a_molecule_unlike_all_others_gets_the_mean() -> None:
    process = fit(pyridines(40), np.arange(40.0))
    table = descriptors(["C" * 400, "[He]"])
    assert np.isfinite(process.predict(table, None)).all()
    assert (np.abs(process.predict(table, None) - 19.5) < 40).all()


def test_the_same_seed_gives_the_same_bytes_and_company_changes_nothing() -> None:
    smiles, labels = pyridines(60), np.sin(np.arange(60.0))
    process, again = fit(smiles, labels), fit(smiles, labels)
    table = descriptors(pyridines(225) * 3)
    together = process.predict(table, None)
    assert together.tobytes() == again.predict(table, None).tobytes()
    alone = np.concatenate([process.predict(table[row : row + 1], None) for row in range(5)])
    np.testing.assert_allclose(alone, together[:5], atol=1e-5)
    assert process.predict(table[:0], None).shape == (0, 1)


def test_progress_counts_tasks() -> None:
    told: list[tuple[int, int]] = []
    table, labels = descriptors(pyridines(10)), np.zeros((10, 3))
    fit_process(table, None, labels, "regression", "abc", progress=lambda *step: told.append(step))
    assert told == [(1, 3), (2, 3), (3, 3)]
