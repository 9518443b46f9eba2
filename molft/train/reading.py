"""How many molecules may be read at a time within a memory budget, where nothing is trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from molft.chem.graphs import Graphs
from molft.train.budget import Budget
from molft.train.ways import too_small


def rows_within(budget: Budget, graphs: Graphs, work: Callable[[Graphs], object], most: int) -> int:
    """How many consecutive molecules of ``graphs`` the work can do at a time: ``most``, or what fits.

    It is measured where ``most`` in a row have the largest number of atoms together. Where not even one
    molecule fits, a :class:`MolftError`.
    """
    sizes = np.diff(graphs.atom_ptr)
    most = min(most, len(sizes))
    if not most:
        return 1
    begin = int(np.argmax(_windows(sizes, most)))
    trial = graphs.take(np.arange(begin, begin + most))
    atoms = sizes[begin : begin + most]
    found = budget.most(atoms, lambda number: work(trial.take(np.arange(number)))).molecules
    if not found:
        raise too_small(budget, 1, int(atoms[0]))
    # Fewer than tried for: elsewhere so many may have more atoms than here.
    limit = int(atoms[:found].sum())
    while found > 1 and int(_windows(sizes, found).max()) > limit:
        found = max(1, found * 3 // 4)
    return found


def _windows(sizes: NDArray[np.integer], width: int) -> NDArray[np.integer]:
    """Sums of ``width`` consecutive sizes.

    >>> _windows(np.array([1, 2, 3, 4]), 2)
    array([3, 5, 7])
    """
    sums = np.concatenate([[0], np.cumsum(sizes)])
    return sums[width:] - sums[:-width]
