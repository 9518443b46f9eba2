"""A forest as one safetensors file: arrays and a JSON header, checked when opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from molft.errors import MolftError
from molft.files import write_atomic
from molft.use.forest import FEATURE_SET, Forest
from molft.use.trees import Nodes

FORMAT = "molft-forest-1"
"""Name and version of the layout."""

_ARRAYS = {
    "feature": np.int16,
    "number": np.float32,
    "skip": np.int32,
    "roots": np.int64,
    "task_trees": np.int64,
}


def save_forest(forest: Forest, path: str | Path) -> None:
    """Write a forest, whole or not at all; ten bytes a node."""
    header = {
        "format": FORMAT,
        "feature_set": FEATURE_SET,
        "task_type": forest.task_type,
        "tasks": forest.tasks,
        "width": forest.width,
        "notes": forest.notes,
    }
    arrays = {**forest.nodes._asdict(), "roots": forest.roots, "task_trees": forest.task_trees}
    write_atomic(path, save(arrays, {"molft": json.dumps(header)}))


def load_forest(path: str | Path) -> Forest:
    """Read what :func:`save_forest` wrote.

    A file that is absent, cut short, of another layout or feature set, or whose numbers don't describe
    trees gives :class:`MolftError`; no code in it can run. A changed threshold can't be seen here: that
    is what the sha256 in the model's folder is for.
    """
    header, arrays = _read(Path(path))
    for key, known in (("format", FORMAT), ("feature_set", FEATURE_SET)):
        if header.get(key) != known:
            raise MolftError(
                f"{path}: {key} is {header.get(key)!r}, this molft reads {known!r}; fit the forest again"
            )
    nodes = Nodes(arrays["feature"], arrays["number"], arrays["skip"])
    forest = _build(Path(path), header, nodes, arrays["roots"], arrays["task_trees"])
    fault = _find_fault(forest)
    if fault:
        raise MolftError(f"{path}: not a forest: {fault}; copy the file again from where it came")
    return forest


def _read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    if not path.is_file():
        raise MolftError(f"{path}: there is no such file; a forest is fitted together with its network")
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get("molft", "null"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError, ValueError) as error:
        raise MolftError(f"{path}: can't be read as a forest: {error}") from error
    if not isinstance(header, dict):
        raise MolftError(f"{path}: not a forest file of molft: its header is missing")
    found = {name: array.dtype for name, array in arrays.items() if array.ndim == 1}
    if found != {name: np.dtype(kind) for name, kind in _ARRAYS.items()}:
        raise MolftError(f"{path}: holds the arrays {sorted(arrays)}, expected {sorted(_ARRAYS)}")
    return header, arrays


def _build(
    path: Path, header: dict[str, Any], nodes: Nodes, roots: NDArray[np.int64], task_trees: NDArray[np.int64]
) -> Forest:
    try:
        task_type, width = header["task_type"], int(header["width"])
        tasks, notes = tuple(map(str, header["tasks"])), tuple(map(str, header["notes"]))
    except (KeyError, TypeError, ValueError) as error:
        raise MolftError(f"{path}: its header is damaged: {error!r}") from error
    if task_type not in ("classification", "regression"):
        raise MolftError(f"{path}: its header is damaged: task type {task_type!r}")
    return Forest(task_type, tasks, width, nodes, roots, task_trees, notes)


def _find_fault(forest: Forest) -> str:
    """Say why a walk could leave its tree; empty where it can't."""
    nodes, roots, size = forest.nodes, forest.roots, len(forest.nodes.feature)
    if len(nodes.number) != size or len(nodes.skip) != size:
        return "its arrays differ in length"
    if not _is_division(roots, size):
        return "its trees don't divide its nodes"
    if len(forest.task_trees) != len(forest.tasks) + 1 or not _is_division(forest.task_trees, len(roots) - 1):
        return "its tasks don't divide its trees"
    here = np.arange(size)
    end = np.repeat(roots[1:], np.diff(roots))
    inner = nodes.feature != -1
    if ((nodes.feature < -1) | (nodes.feature >= forest.width)).any():
        return "a node asks for a feature that doesn't exist"
    if (inner & ((nodes.skip < 2) | (here + nodes.skip >= end))).any():
        return "a branch leaves its tree"
    if np.isnan(nodes.number[inner]).any():
        return "a threshold is NaN"
    return ""


def _is_division(bounds: NDArray[np.int64], size: int) -> bool:
    """Tell whether the bounds cut ``size`` things into pieces, none of them empty."""
    return len(bounds) > 1 and bounds[0] == 0 and bounds[-1] == size and bool((np.diff(bounds) > 0).all())
