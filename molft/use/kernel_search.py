"""The numbers of a Gaussian process's kernel, found by scikit-learn where the labels are likeliest.

Apart from :mod:`molft.use.gaussian_process`, because a screen only predicts, and scikit-learn takes a second
to import.
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, Sum, WhiteKernel

# Of the variance of the labels: less noise than a thousandth of it is in no assay.
_SHARES = (1e-3, 1e3)
# In units of a usual distance: with a shorter length, every molecule would be a world of its own.
_LENGTHS = (0.1, 100.0)


class KernelNumbers(NamedTuple):
    """Amplitude and length [G] for each group of columns, and the variance of the noise.

    All for labels of mean 0 and variance 1.
    """

    amplitudes: NDArray[np.float64]
    lengths: NDArray[np.float64]
    noise: float


class _OnColumns(Matern):
    """A Matérn function of the distance in some of the columns only."""

    def __init__(
        self,
        first: int = 0,
        last: int = 1,
        length_scale: float = 1.0,
        length_scale_bounds: tuple[float, float] = _LENGTHS,
        nu: float = 1.5,
    ) -> None:
        super().__init__(length_scale, length_scale_bounds, nu)
        self.first, self.last = first, last

    def __call__(
        self,
        X: NDArray[np.floating],
        Y: NDArray[np.floating] | None = None,
        eval_gradient: bool = False,
    ) -> Any:  # noqa: ANN401  (an array, or two with the gradient)
        own = slice(self.first, self.last)
        return super().__call__(X[:, own], None if Y is None else Y[:, own], eval_gradient)


def search_kernel(
    table: NDArray[np.floating], labels: NDArray[np.floating], groups: tuple[int, ...]
) -> KernelNumbers:
    """The amplitudes, lengths and noise under which the labels are likeliest, from one start.

    Shapes: table [B, F] of ``groups`` of columns side by side, labels [B] of mean 0 and variance 1.
    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), section 5.4.1.
    """
    edges = np.cumsum([0, *groups]).tolist()
    parts = [
        ConstantKernel(1 / len(groups), _SHARES) * _of_columns(first, last) for first, last in pairwise(edges)
    ]
    kernel = parts[0]
    for part in parts[1:]:
        kernel = Sum(kernel, part)
    with warnings.catch_warnings():
        # A number at its bound says that one group of columns is of no use; that is an answer.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = GaussianProcessRegressor(Sum(kernel, WhiteKernel(0.1, _SHARES))).fit(table, labels)
    found = np.exp(fitted.kernel_.theta)
    return KernelNumbers(found[0:-1:2], found[1:-1:2], float(found[-1]))


def _of_columns(first: int, last: int) -> _OnColumns:
    usual = float(np.sqrt(2 * (last - first)))  # distance of two rows of standardised columns
    return _OnColumns(first, last, usual, (_LENGTHS[0] * usual, _LENGTHS[1] * usual))
