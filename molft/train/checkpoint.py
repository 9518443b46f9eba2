"""The state of a training run in one file: tensors and plain facts, no code.

A checkpoint is a safetensors file whose header carries the facts as JSON, and the sha256 of everything. It
is written whole or not at all, so a killed run resumes from the last complete one.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from molft.errors import MolftError
from molft.files import atomic

_FACTS, _DIGEST = "facts", "sha256"


def save_checkpoint(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and JSON-able facts atomically."""
    # A tensor that shares its memory with another one (or isn't contiguous) can't be written as it is.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(facts)
    with atomic(path) as temporary:
        save_file(plain, temporary, metadata={_FACTS: text, _DIGEST: _digest(plain, text)})


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_checkpoint` wrote; a file with one changed bit is a :class:`MolftError`."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if header[_DIGEST] != _digest(tensors, header[_FACTS]):
            raise ValueError("its sha256 is not the one it was written with")
        return tensors, json.loads(header[_FACTS])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise MolftError(
            f"{path} can't be read as a checkpoint ({error}); remove it to start the run again"
        ) from error


def _digest(tensors: dict[str, Tensor], facts: str) -> str:
    digest = hashlib.sha256(facts.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors by parameter number: ``3.exp_avg`` and so on."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, entry in state.items()
        for name, value in entry.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put the tensors of :func:`optimizer_state` back; the parameter groups must be the same."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, every name behind ``prefix/``."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def part(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names stand behind ``prefix/``, without it."""
    head = f"{prefix}/"
    return {name[len(head) :]: tensor for name, tensor in tensors.items() if name.startswith(head)}
