"""A Gaussian process, and the encoder that it reads molecules with, as one safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molft.chem.descriptors import DESCRIPTOR_SET
from molft.errors import MolftError
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder
from molft.model.network import Network, build_reader
from molft.model.weights import check_fit, read_tensors, write_tensors
from molft.train.checkpoint import part, with_prefix
from molft.use.gaussian_process import GaussianProcess

FORMAT = "molft-gaussian-process-1"
"""Name and version of the layout."""

_ENCODER = "encoder"
_ARRAYS = {
    "centre": torch.float32,
    "scale": torch.float32,
    "rows": torch.float32,
    "weights": torch.float64,
    "amplitudes": torch.float64,
    "lengths": torch.float64,
    "offsets": torch.float64,
}


def save_process(process: GaussianProcess, path: Path) -> str:
    """Write it, whole or not at all; gives the file's sha256."""
    tensors: dict[str, Tensor] = {name: torch.from_numpy(getattr(process, name)) for name in _ARRAYS}
    encoder = None
    if process.reader is not None:
        encoder = process.reader.encoder.config.to_json()
        tensors |= with_prefix(_ENCODER, process.reader.encoder.state_dict())
    header = {
        "format": FORMAT,
        "descriptors": DESCRIPTOR_SET,
        "task_type": process.task_type,
        "tasks": process.tasks,
        "groups": process.groups,
        "encoder": encoder,
    }
    return write_tensors(path, tensors, header)


def load_process(path: Path, digest: str) -> GaussianProcess:
    """Read what :func:`save_process` wrote.

    A file of another sha256 or layout, or whose arrays don't fit each other, is a :class:`MolftError`.
    """
    tensors, header = read_tensors(path, digest)
    for key, known in (("format", FORMAT), ("descriptors", DESCRIPTOR_SET)):
        if header.get(key) != known:
            raise MolftError(
                f"{path}: {key} is {header.get(key)!r}, this molft reads {known!r}; fine-tune again"
            )
    try:
        arrays = {name: _array(tensors[name], kind) for name, kind in _ARRAYS.items()}
        reader = _open_reader(header["encoder"], part(_ENCODER, tensors), path)
        tasks, groups = tuple(map(str, header["tasks"])), tuple(map(int, header["groups"]))
        process = GaussianProcess(header["task_type"], tasks, groups, **arrays, reader=reader)
    except (KeyError, TypeError, ValueError) as error:
        raise MolftError(f"{path}: not a Gaussian process of molft: {error!r}") from error
    if not _fits(process):
        raise MolftError(f"{path}: its arrays don't fit each other; copy the file again from where it came")
    return process


def _array(tensor: Tensor, kind: torch.dtype) -> NDArray[Any]:
    if tensor.dtype != kind:
        raise TypeError(f"{tensor.dtype} where {kind} was expected")
    return tensor.numpy()


def _open_reader(config: dict[str, Any] | None, weights: dict[str, Tensor], path: Path) -> Network | None:
    if config is None:
        return None
    encoder = Encoder(EncoderConfig.from_json(config))
    check_fit(encoder, weights, path)
    encoder.load_state_dict(weights)
    return build_reader(encoder).eval()


def _fits(process: GaussianProcess) -> bool:
    columns, tasks, groups = sum(process.groups), len(process.tasks), len(process.groups)
    shapes = {
        "centre": (columns,),
        "scale": (columns,),
        "rows": (len(process.rows), columns),
        "weights": (len(process.rows), tasks),
        "amplitudes": (groups, tasks),
        "lengths": (groups, tasks),
        "offsets": (tasks,),
    }
    known = all(getattr(process, name).shape == shape for name, shape in shapes.items())
    return known and bool(np.isfinite(process.rows).all() and (process.lengths > 0).all())
