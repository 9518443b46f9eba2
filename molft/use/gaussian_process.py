"""The Gaussian process beside networks and forest: a third opinion where labels are few.

It takes two molecules to behave alike as far as they are alike, by their descriptors and by their vectors
from the pre-trained encoder: the kernel is a Matérn function (smoothness 3/2) of the one distance plus one of
the other. A forest knows no trend and answers at most what it has seen; this goes on with one.

The numbers of the kernel come from scikit-learn; the rest is a product of arrays, so that a saved one is a
safetensors file (no pickle), and predicts without scikit-learn.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), algorithm 2.1; classes by
least squares, as in their section 6.5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from molft.errors import MolftError
from molft.model.network import Network
from molft.use.metrics import TaskType

MOST = 2000
"""Molecules up to which a process is fitted: time goes with their cube, and the network needs it less."""

_SEARCHED = 500  # molecules by which the kernel's numbers are found; the answers read all
_FARTHEST = 6.0  # standard deviations: a molecule odder than that is as odd as that
_ROWS_AT_ONCE = 256  # bounds the memory of a prediction
_SHARPNESS = 100.0  # how closely squash follows a value between 0 and 1


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """One process per task over the same M training molecules.

    Shapes: F columns in G groups (descriptors, and the encoder's vectors if there is one), T tasks.

    groups: number of columns of each group.
    centre, scale: float32 [F], by which columns are standardised.
    rows: float32 [M, F], the standardised training molecules.
    weights: float64 [M, T], what each of them adds; 0 without a label.
    amplitudes, lengths: float64 [G, T] of the kernels.
    offsets: float64 [T], the mean label, which is the answer far from everything; NaN without a label.
    reader: what gives the vectors, if there are any: the pre-trained encoder with its readout.
    """

    task_type: TaskType
    tasks: tuple[str, ...]
    groups: tuple[int, ...]
    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    rows: NDArray[np.float32]
    weights: NDArray[np.float64]
    amplitudes: NDArray[np.float64]
    lengths: NDArray[np.float64]
    offsets: NDArray[np.float64]
    reader: Network | None = None

    def predict(
        self, descriptors: NDArray[np.float32], vectors: NDArray[np.float32] | None
    ) -> NDArray[np.float64]:
        """Return the probability of class 1, or the value, for each molecule and task.

        A task that had no label is NaN. Columns of another number are a :class:`MolftError`.

        Shapes: float32 [B, D], [B, W] or None without a reader -> float64 [B, T].
        """
        table = _join(descriptors, vectors)
        if table.shape[1] != sum(self.groups):
            raise MolftError(f"{table.shape[1]} columns, but the process was fitted on {sum(self.groups)}")
        table = _standardize(table, self.centre, self.scale)
        answers = np.empty((len(table), len(self.tasks)))
        for start in range(0, len(table), _ROWS_AT_ONCE):
            answers[start : start + _ROWS_AT_ONCE] = self._predict_some(table[start : start + _ROWS_AT_ONCE])
        return squash_linear(answers) if self.task_type == "classification" else answers

    def _predict_some(self, table: NDArray[np.float32]) -> NDArray[np.float64]:
        distances = group_distances(table, self.rows, self.groups)
        answers = [
            kernel_of(distances, amplitudes, lengths) @ weights + offset
            for amplitudes, lengths, weights, offset in zip(
                self.amplitudes.T, self.lengths.T, self.weights.T, self.offsets, strict=True
            )
        ]
        return np.stack(answers, axis=1)


def fit_process(
    descriptors: NDArray[np.float32],
    vectors: NDArray[np.float32] | None,
    labels: NDArray[np.floating],
    task_type: TaskType,
    tasks: Sequence[str],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> GaussianProcess:
    """Fit one process per task on the molecules that have a label (NaN is none).

    ``vectors`` are those of an encoder that hasn't seen the labels; None to go without. The kernel's numbers
    are found on at most 500 molecules drawn by ``seed``. A task all of whose labels are equal is that
    constant, one without labels is NaN. ``progress`` is told after each task how many of how many are done.

    Shapes: descriptors float32 [M, D], vectors float32 [M, W], labels float [M, T].
    """
    table = _join(descriptors, vectors)
    groups = (descriptors.shape[1],) if vectors is None else (descriptors.shape[1], vectors.shape[1])
    centre, spread = table.mean(axis=0), table.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0).astype(np.float32)
    table = _standardize(table, centre, scale)
    shape = (len(groups), len(tasks))
    weights, offsets = np.zeros(labels.shape), np.full(len(tasks), np.nan)
    amplitudes, lengths = np.zeros(shape), np.ones(shape)
    for task, column in enumerate(np.asarray(labels, np.float64).T):
        known = np.flatnonzero(np.isfinite(column))
        if len(known):
            offsets[task] = column[known].mean()
        if len(known) and np.ptp(column[known]) > 0:
            found = _fit_task(table[known], column[known], groups, seed)
            weights[known, task], amplitudes[:, task], lengths[:, task] = found
        if progress:
            progress(task + 1, len(tasks))
    return GaussianProcess(
        task_type, tuple(tasks), groups, centre, scale, table, weights, amplitudes, lengths, offsets
    )


def _fit_task(
    table: NDArray[np.float32], labels: NDArray[np.float64], groups: tuple[int, ...], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Weights of the molecules, amplitudes and lengths of the kernels."""
    from scipy.linalg import cho_factor, cho_solve

    from molft.use.kernel_search import search_kernel

    centre, scale = labels.mean(), labels.std()
    wanted = (labels - centre) / scale
    some = np.random.default_rng(seed).permutation(len(table))[:_SEARCHED]
    amplitudes, lengths, noise = search_kernel(table[some].astype(np.float64), wanted[some], groups)
    kernel = kernel_of(group_distances(table, table, groups), amplitudes, lengths)
    noisy = kernel + noise * np.eye(len(table))
    return scale * cho_solve(cho_factor(noisy, lower=True), wanted), amplitudes, lengths


def group_distances(
    some: NDArray[np.floating], others: NDArray[np.floating], groups: tuple[int, ...]
) -> list[NDArray[np.float64]]:
    """Euclidean distance of every pair in each group of columns.

    In 64 bits: where there is little noise, large weights of either sign make much of a small error.

    Shapes: [X, F], [Y, F] -> G times [X, Y].
    """
    found = []
    for first, last in zip(np.cumsum([0, *groups[:-1]]), np.cumsum(groups), strict=True):
        left, right = (table[:, first:last].astype(np.float64) for table in (some, others))
        squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
        found.append(np.sqrt(np.maximum(squares, 0)))  # rounding may give a little less than 0
    return found


def kernel_of(
    distances: Sequence[NDArray[np.float64]], amplitudes: NDArray[np.float64], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum over the groups of ``amplitude (1 + r) exp(-r)`` with ``r = sqrt(3) distance / length``.

    Shapes: G times [X, Y], [G], [G] -> [X, Y].
    """
    total = np.zeros_like(distances[0])
    for distance, amplitude, length in zip(distances, amplitudes, lengths, strict=True):
        r = distance * (np.sqrt(3) / length)
        total += amplitude * (1 + r) * np.exp(-r)
    return total


def squash_linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values as probabilities: nearly themselves between 0 and 1, and beyond never equal, so in order.

    >>> squash_linear(np.array([-0.2, 0.0, 0.5, 1.0, 1.2])).round(3).tolist()
    [0.0, 0.007, 0.5, 0.993, 1.0]
    """
    with np.errstate(invalid="ignore"):  # a task without labels is NaN, and stays so
        above_zero = np.logaddexp(0, _SHARPNESS * values)
        above_one = np.logaddexp(0, _SHARPNESS * (values - 1))
    # The difference of two large numbers may be rounded to a little more than 1.
    probabilities: NDArray[np.float64] = np.clip((above_zero - above_one) / _SHARPNESS, 0.0, 1.0)
    return probabilities


def _join(descriptors: NDArray[np.float32], vectors: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Descriptors, of which some grow with a molecule's size squared, by their logarithm; then vectors."""
    logarithms = np.sign(descriptors) * np.log1p(np.abs(descriptors))
    return logarithms if vectors is None else np.concatenate((logarithms, vectors), axis=1)


def _standardize(
    table: NDArray[np.float32], centre: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    return np.clip((table - centre) / scale, -_FARTHEST, _FARTHEST)
