"""The random forest beside every network: fitted by scikit-learn, kept and applied as plain arrays.

A fitted forest is three flat arrays over the nodes of all trees, so that a saved one is a safetensors file
(no pickle, opening it runs no code), outlives scikit-learn versions, and predicts without importing it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from molft.chem.descriptors import DESCRIPTOR_SET, FINGERPRINT_BITS
from molft.errors import MolftError
from molft.use.metrics import TaskType, check_classes
from molft.use.trees import Nodes, make_leaf, pack_tree, sum_trees

if TYPE_CHECKING:
    from scipy import sparse
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

FEATURE_SET = f"ecfp4-counts-{FINGERPRINT_BITS}+{DESCRIPTOR_SET}"
"""Name of what :func:`join_features` gives; a forest file says on which set it was fitted."""

# Rows that walk down the trees together; bounds the memory of a prediction.
_ROWS_AT_ONCE = 256
# Molecules up to which a forest of classes is quicker on all numbers than on those that are not zero.
_DENSE = 1500


@dataclass(frozen=True, eq=False)
class Forest:
    """One random forest per task, over the same features.

    Shapes: K nodes, R trees of all tasks together, T tasks.
    """

    task_type: TaskType
    tasks: tuple[str, ...]
    width: int
    """Number of features it was fitted on."""
    nodes: Nodes
    roots: NDArray[np.int64]
    """[R + 1] first node of each tree, then K."""
    task_trees: NDArray[np.int64]
    """[T + 1] first tree of each task, then R."""
    notes: tuple[str, ...] = ()
    """What a reader of its numbers must know: tasks that are a constant, and why."""

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of class 1, or the value, for each molecule and task.

        A row's answer is the same to the last bit whatever rows stand beside it. A task that had no
        label is NaN (see ``notes``). Features of another width, or not finite, give :class:`MolftError`.

        Shapes: float32 [B, F] -> float64 [B, T]; the memory in between is at most a quarter of the features'.
        """
        table = _check_features(features, self.width)
        answers = np.empty((len(table), len(self.tasks)))
        for start in range(0, len(table), _ROWS_AT_ONCE):
            rows = table[start : start + _ROWS_AT_ONCE]
            for task in range(len(self.tasks)):
                first, last = self.task_trees[task : task + 2]
                roots = self.roots[first:last]
                answers[start : start + len(rows), task] = sum_trees(self.nodes, roots, rows) / len(roots)
        return answers


def join_features(counts: NDArray[np.uint8], descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put fingerprint counts and descriptors side by side, as the forest reads them.

    Shapes: uint8 [B, 2048], float32 [B, D] -> float32 [B, 2048 + D].
    """
    if len(counts) != len(descriptors):
        raise MolftError(f"{len(counts)} rows of fingerprint counts, but {len(descriptors)} of descriptors")
    return np.concatenate((counts.astype(np.float32), descriptors.astype(np.float32)), axis=1)


def fit_forest(
    features: NDArray[np.float32],
    labels: NDArray[np.floating],
    task_type: TaskType,
    tasks: Sequence[str],
    *,
    trees: int = 500,
    min_samples_leaf: int = 1,
    balanced: bool = False,
    seed: int = 0,
    jobs: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Forest:
    """Fit one forest per task on the molecules that have a label (NaN is none).

    The defaults are Breiman's (Machine Learning 45, 5 (2001)) as Svetnik et al. (J. Chem. Inf. Comput.
    Sci. 43, 1947 (2003)) confirmed them for molecules: full-grown trees; each split looks at sqrt(F)
    features for classes and F / 3 for values. F / 3 matters: of 2,048 counts most are nearly constant,
    and a value needs the few that carry signal (RMSE on random fifths of FreeSolv, ESOL, Lipophilicity:
    1.39, 0.56, 0.69 with F / 3, but 1.77, 0.62, 0.78 with sqrt(F)); for classes it buys nothing (BACE)
    and costs six times the time. ``balanced`` weighs classes inversely to their frequency.

    A task with one class only is that constant, a task without labels is NaN; both are said in ``notes``.
    No label at all, a class other than 0 and 1, infinities and shapes that disagree give
    :class:`MolftError`. The same seed gives the same forest whatever ``jobs`` is. ``progress`` is told after
    each task how many of how many are done.

    Shapes: float32 [B, F], float [B, T] -> forest of T tasks.
    """
    if task_type not in ("classification", "regression"):
        raise MolftError(f"task type {task_type!r}, expected 'classification' or 'regression'")
    if balanced and task_type == "regression":
        raise MolftError("balanced weighs classes; a regression has none")
    table = _check_features(features, None)
    wanted = _check_labels(labels, len(table), task_type, tasks)
    grown: list[list[Nodes]] = []
    notes: list[str] = []
    for name, column in zip(tasks, wanted.T, strict=True):
        known = ~np.isnan(column)
        constant = _constant(column[known], task_type)
        if constant is None:
            model = _estimator(task_type, trees, min_samples_leaf, balanced, seed, jobs)
            grown.append(_grow(model, table[known], column[known], task_type))
        else:
            grown.append([make_leaf(constant)])
            notes.append(_explain(name, constant, int(known.sum())))
        if progress:
            progress(len(grown), len(tasks))
    return _join_trees(task_type, tuple(tasks), table.shape[1], grown, tuple(notes))


def _estimator(
    task_type: TaskType, trees: int, min_samples_leaf: int, balanced: bool, seed: int, jobs: int
) -> RandomForestClassifier | RandomForestRegressor:
    # Here and not above: a screen only predicts, and scikit-learn takes a second to import.
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    shared = {
        "n_estimators": trees,
        "min_samples_leaf": min_samples_leaf,
        "random_state": seed,
        "n_jobs": jobs,
    }
    if task_type == "regression":
        return RandomForestRegressor(max_features=1 / 3, **shared)
    return RandomForestClassifier(
        max_features="sqrt", class_weight="balanced" if balanced else None, **shared
    )


def _grow(
    model: RandomForestClassifier | RandomForestRegressor,
    table: NDArray[np.float32],
    labels: NDArray[np.float64],
    task_type: TaskType,
) -> list[Nodes]:
    model.fit(_lay_out(table, task_type), labels)
    return [pack_tree(estimator.tree_, task_type == "classification") for estimator in model.estimators_]


def _lay_out(table: NDArray[np.float32], task_type: TaskType) -> NDArray[np.float32] | sparse.csc_matrix:
    """The table as it is read quickest; for classes the trees are the same whichever way.

    A split on few features reads down the columns, one on a third of them along the rows: the other order
    in memory takes 1.4 to 1.7 times as long. Of many rows, nearly all of them zero in a column, only the
    others are read: a third to a fifth less time, and a tenth of the memory (for values it takes longer).
    """
    from scipy import sparse

    if task_type == "regression":
        return np.asarray(table, order="C")
    return sparse.csc_matrix(table) if len(table) > _DENSE else np.asarray(table, order="F")


def _constant(known: NDArray[np.float64], task_type: TaskType) -> float | None:
    """Answer of a task that can't be learned: NaN without labels, the class where there is one only."""
    if not len(known):
        return float("nan")
    if task_type == "classification" and (known == known[0]).all():
        return float(known[0])
    return None


def _explain(name: str, constant: float, rows: int) -> str:
    if np.isnan(constant):
        return f"{name}: no label to learn from; the forest has no answer"
    return f"{name}: all {rows} labels are class {constant:.0f}; the forest answers {constant:.0f} everywhere"


def _join_trees(
    task_type: TaskType, tasks: tuple[str, ...], width: int, grown: list[list[Nodes]], notes: tuple[str, ...]
) -> Forest:
    trees = [tree for forest in grown for tree in forest]
    sizes = [len(tree.feature) for tree in trees]
    return Forest(
        task_type,
        tasks,
        width,
        Nodes(*(np.concatenate(parts) for parts in zip(*trees, strict=True))),
        np.cumsum([0, *sizes], dtype=np.int64),
        np.cumsum([0, *map(len, grown)], dtype=np.int64),
        notes,
    )


def _check_features(features: NDArray[np.float32], width: int | None) -> NDArray[np.float32]:
    table = np.ascontiguousarray(features, np.float32)
    if table.ndim != 2 or (width is not None and table.shape[1] != width):
        raise MolftError(f"features of shape {table.shape}, expected [molecules, {width or 'features'}]")
    if table.shape[1] > np.iinfo(np.int16).max:
        raise MolftError(f"{table.shape[1]} features, at most {np.iinfo(np.int16).max} are possible")
    if not np.isfinite(table).all():
        raise MolftError("features hold NaN or infinity; the forest reads finite numbers only")
    return table


def _check_labels(
    labels: NDArray[np.floating], rows: int, task_type: TaskType, tasks: Sequence[str]
) -> NDArray[np.float64]:
    table = np.asarray(labels, np.float64)
    if table.shape != (rows, len(tasks)):
        raise MolftError(f"labels of shape {table.shape}, expected {(rows, len(tasks))}: [molecules, tasks]")
    known = table[~np.isnan(table)]
    if not len(known):
        raise MolftError("no label to fit the forest on: every one is missing")
    if np.isinf(known).any():
        raise MolftError("a label is infinite; leave it empty or give the number")
    if task_type == "classification":
        check_classes(table)
    return table
