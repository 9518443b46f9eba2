"""Encoders on disk: safetensors and JSON, checked when opened.

Opening a file runs no code. The weights' sha256 stands in ``config.json``, and the weights carry the
encoder's options, so that a changed byte in either file is noticed before it becomes a wrong number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as format_tensors
from torch import Tensor, nn

from molft.errors import MolftError
from molft.files import read_json, write_atomic, write_json
from molft.model.config import EncoderConfig
from molft.model.encoder import Encoder

WEIGHTS = "encoder.safetensors"
CONFIG = "config.json"
FORMAT = "molft-encoder-1"


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], about: Mapping[str, object]) -> str:
    """Write tensors and a JSON description into one safetensors file, whole or not at all.

    Gives the file's sha256.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = format_tensors(plain, metadata={"about": json.dumps(about, sort_keys=True, allow_nan=False)})
    write_atomic(path, data)
    return hashlib.sha256(data).hexdigest()


def read_tensors(path: str | Path, digest: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and description written by :func:`write_tensors`.

    What is checked is what is used: the file is read once. Another sha256 than ``digest`` and anything that
    isn't a sound safetensors file is a :class:`MolftError`.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise MolftError(f"{path}: can't be read: {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise MolftError(
            f"{path}: not the weights that were saved: {len(data)} bytes with sha256 {found[:12]}..., "
            f"expected {digest[:12]}...; the file was cut or changed, copy it again from where it came"
        )
    try:
        tensors = parse_tensors(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return tensors, json.loads(header["__metadata__"]["about"])
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MolftError(f"{path}: not a safetensors file written by molft: {error}") from error


def check_fit(module: nn.Module, tensors: Mapping[str, Tensor], source: str | Path) -> None:
    """Refuse, by a :class:`MolftError` that names them, tensors that aren't exactly those of a module.

    Every name, shape and kind of number must agree, and every value be finite.
    """
    wanted = module.state_dict()
    wrong = [f"{name} is missing" for name in wanted if name not in tensors]
    wrong += [f"{name} is unknown" for name in tensors if name not in wanted]
    for name in wanted.keys() & tensors.keys():
        have, want = tensors[name], wanted[name]
        if have.shape != want.shape or have.is_floating_point() != want.is_floating_point():
            wrong.append(
                f"{name} is {have.dtype} {tuple(have.shape)}, expected {want.dtype} {tuple(want.shape)}"
            )
        elif not bool(torch.isfinite(have).all()):
            wrong.append(f"{name} has values that are not finite")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise MolftError(f"{source}: the weights don't fit the model: {'; '.join(sorted(wrong)[:5])}{more}")


def save_encoder(encoder: Encoder, directory: str | Path, card: Mapping[str, object]) -> None:
    """Write ``encoder.safetensors`` and ``config.json`` into a directory (made where it is missing).

    ``card`` is what a reader should know of the weights (data, objectives, versions); JSON values.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    config = encoder.config.to_json()
    digest = write_tensors(folder / WEIGHTS, encoder.state_dict(), config)
    write_json(folder / CONFIG, {"format": FORMAT, "encoder": config, "card": dict(card), "sha256": digest})


def load_encoder_files(directory: str | Path) -> tuple[Encoder, dict[str, Any]]:
    """Encoder (in eval mode) and card written by :func:`save_encoder`.

    A missing, changed or foreign file, unknown options and weights of another shape are a
    :class:`MolftError`.
    """
    folder = Path(directory)
    record = read_json(folder / CONFIG)
    keys = {"format": str, "encoder": dict, "card": dict, "sha256": str}
    if not isinstance(record, dict) or any(not isinstance(record.get(k), t) for k, t in keys.items()):
        raise MolftError(f"{folder / CONFIG}: not an encoder's configuration: expected {', '.join(keys)}")
    if record["format"] != FORMAT:
        raise MolftError(
            f"{folder / CONFIG}: format is {record['format']!r}, this molft reads {FORMAT!r}; "
            "install a newer molft"
        )
    tensors, about = read_tensors(folder / WEIGHTS, record["sha256"])
    if about != record["encoder"]:
        raise MolftError(
            f"{folder / CONFIG}: the encoder's options differ from those its weights were saved with"
        )
    return make_encoder(EncoderConfig.from_json(about), tensors, folder / WEIGHTS), record["card"]


def make_encoder(config: EncoderConfig, tensors: Mapping[str, Tensor], source: str | Path) -> Encoder:
    """Encoder of the given weights, in eval mode; weights that don't fit are a :class:`MolftError`."""
    if config.layers > len(tensors):
        raise MolftError(f"{source}: {len(tensors)} tensors can't be the weights of {config.layers} layers")
    # Without storage at first: options that don't match the weights must not make us fill the memory, and
    # initial weights would only use up the caller's random numbers.
    with torch.device("meta"):
        encoder = Encoder(config)
    check_fit(encoder, tensors, source)
    encoder.to_empty(device="cpu").load_state_dict(dict(tensors), strict=True)
    return encoder.eval()


def import_snap(path: str | Path, conv: str | None = None) -> Encoder:
    """Encoder (in eval mode) of a ``.pth`` file of Hu et al.; only tensors are read from it, no code is run.

    GIN and GAT are known by their names of tensors. GCN and GraphSAGE have the same names and shapes:
    ``conv`` or else the file's name must say which. Anything else is a :class:`MolftError`.
    """
    tensors = read_pickle(path)
    possible = possible_convs(tensors, Path(path).name)
    if conv is None and len(possible) > 1:
        raise MolftError(
            f"{path}: {' and '.join(possible)} files look alike; say which it is (conv={possible[0]!r}, ...)"
        )
    if conv not in (None, *possible_convs(tensors)):
        raise MolftError(f"{path}: asked for {conv}, but the tensors are those of {' or '.join(possible)}")
    conv = conv or possible[0]
    table = tensors.get("x_embedding1.weight", torch.empty(0, 0))
    layers = sum(name.startswith("batch_norms.") and name.endswith(".running_mean") for name in tensors)
    if table.dim() != 2 or table.shape[1] < 1 or layers < 1:
        raise MolftError(f"{path}: no encoder of Hu et al.: x_embedding1.weight or batch_norms is missing")
    return make_encoder(EncoderConfig(conv=conv, layers=layers, width=table.shape[1]), tensors, path)


def read_pickle(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a state dict written by ``torch.save``; anything else is a :class:`MolftError`."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise MolftError(f"{path}: can't be read: {error.strerror}") from error
    except Exception as error:
        # A damaged file makes torch raise almost anything; its message advises to allow code, ours doesn't.
        raise MolftError(
            f"{path}: damaged, or not a file of plain tensors written by torch.save ({type(error).__name__})"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise MolftError(f"{path}: not a state dict: expected names with tensors")
    return dict(state)


def possible_convs(tensors: Mapping[str, Tensor], name: str = "") -> tuple[str, ...]:
    """Convolutions a state dict can belong to by its names of tensors; a file's name may decide.

    >>> possible_convs({"gnns.0.att": torch.empty(0)}), possible_convs({}), possible_convs({}, "my_gcn.pth")
    (('gat',), ('gcn', 'graphsage'), ('gcn',))
    """
    if "gnns.0.mlp.0.weight" in tensors:
        return ("gin",)
    if "gnns.0.att" in tensors:
        return ("gat",)
    named = tuple(conv for conv, word in (("gcn", "gcn"), ("graphsage", "sage")) if word in name.lower())
    return named if len(named) == 1 else ("gcn", "graphsage")
