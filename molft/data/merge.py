"""How several measurements of one molecule become one label.

Classes: the majority; with a tie there is no label. Numbers: the median of the exact ones. A bound only
speaks where no exact number does: of several ``>`` the highest holds for all, of several ``<`` the lowest;
``>`` together with ``<`` has no label, because a label is one number. A bound that contradicts the median
of the exact numbers is reported, and the exact ones stand.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from molft.data.labels import TaskType

Merged = tuple[float, int, str]

_SAME = 1e-6  # relative: one number written with different digits


def merge_task(values: npt.NDArray[np.float64], bounds: npt.NDArray[np.int8], task_type: TaskType) -> Merged:
    """Merge the labels that the rows of one molecule have for one task.

    Returns the label (NaN if there is none), its bound, and how a disagreement was settled ('' where there
    was none).
    Shapes: values float64 [K], NaN is missing; bounds int8 [K].

    >>> merge_task(np.array([5.0, 6.0, 9.0]), np.zeros(3, np.int8), "regression")
    (6.0, 0, 'median of 5, 6, 9')
    """
    present = np.isfinite(values)
    values, bounds = values[present], bounds[present]
    if len(values) == 0:
        return np.nan, 0, ""
    if task_type == "classification":
        return _majority(values)
    exact, above, below = (values[bounds == sign] for sign in (0, 1, -1))
    if len(exact):
        return _median(exact, above, below)
    if len(above) and len(below):
        how = "no single label" if above.max() < below.min() else "they contradict each other, no label"
        return np.nan, 0, f">{above.max():g} and <{below.min():g}: {how}"
    return (float(above.max()), 1, "") if len(above) else (float(below.min()), -1, "")


def _majority(values: npt.NDArray[np.float64]) -> Merged:
    ones, count = int(values.sum()), len(values)
    if ones in (0, count):
        return float(values[0]), 0, ""
    if 2 * ones == count:
        return np.nan, 0, f"a tie, {ones} to {ones}: no label"
    winner = int(2 * ones > count)
    return float(winner), 0, f"{winner} by majority, {max(ones, count - ones)} of {count}"


def _median(
    exact: npt.NDArray[np.float64], above: npt.NDArray[np.float64], below: npt.NDArray[np.float64]
) -> Merged:
    middle = float(np.median(exact))
    reasons = []
    if not np.allclose(exact, middle, rtol=_SAME, atol=0):
        reasons.append(f"median of {', '.join(f'{value:g}' for value in exact)}")
    broken = [f">{value:g}" for value in above if value > middle] + [
        f"<{value:g}" for value in below if value < middle
    ]
    if broken:
        reasons.append(f"{', '.join(broken)} contradicts {middle:g}, which was measured and stands")
    return middle, 0, "; ".join(reasons)
