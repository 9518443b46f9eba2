"""A model's networks as one ONNX file, for programs without Python or torch."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import molft
from molft.chem.prepare import prepare
from molft.chem.standardize import RECIPE
from molft.data.batch import Batch, make_batch
from molft.errors import MolftError
from molft.files import atomic
from molft.model.edgewise import EdgewiseNetwork
from molft.use.model import Model, load

INPUTS = ("atoms", "bonds", "edge_index", "graph")
_EXAMPLES = ("CCO", "c1ccccc1", "C", "CC(=O)O")
_MOST_APART = 1e-4


class Exported(NamedTuple):
    """What was written. ``difference`` is the largest one from the model's own numbers on a few molecules."""

    path: Path
    size: int
    networks: int
    output: str
    difference: float
    answer: str

    def text(self) -> str:
        """One or two sentences for the user."""
        several = f"the mean of {self.networks} networks" if self.networks > 1 else "one network"
        told = (
            f"{self.path}: {self.size / 1e6:.1f} MB; inputs {', '.join(INPUTS)}; output {self.output}, "
            f"{several}; within {self.difference:.0e} of the model's on a few molecules"
        )
        if self.answer == "network":
            return told
        return f"{told}. The model answers by its {self.answer}, of which the file has the networks alone"


class _Answer(nn.Module):
    """What the networks of a model say together."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.networks = nn.ModuleList(EdgewiseNetwork(network) for network in model.networks)
        self.classes = model.about.task_type == "classification"
        self.register_buffer("centre", torch.tensor(model.about.centre))
        self.register_buffer("scale", torch.tensor(model.about.scale))

    def forward(self, atoms: Tensor, bonds: Tensor, edge_index: Tensor, graph: Tensor) -> Tensor:
        """Shapes: int64 atoms [N, Fa], bonds [E, Fb], edge_index [2, E], graph [N]; out [B, T]."""
        raw = [network(atoms, bonds, edge_index, graph) for network in self.networks]
        values = [one.sigmoid() if self.classes else one * self.scale + self.centre for one in raw]
        return torch.stack(values).mean(dim=0)


def export_onnx(model_dir: str | Path, output: str | Path, *, overwrite: bool = False) -> Exported:
    """Write the networks of a model, averaged inside one graph, as an ONNX file.

    Inputs, all int64: ``atoms`` [N, Fa] and ``bonds`` [E, Fb] (codes of the model's feature scheme; for
    ``ogb`` the ``node_feat`` and ``edge_feat`` of ``ogb.utils.smiles2graph``), ``edge_index`` [2, E] (each
    bond in both directions), ``graph`` [N], the molecule of each atom. N is at least 1, E may be 0. Output,
    float32 [B, T], B the highest molecule + 1: ``probabilities`` of class 1, or ``values`` in the labels'
    unit. A batch may be padded: atoms and bonds of an additional molecule don't change the others.
    Standardising molecules first is up to the program; the file's metadata names tasks, features and recipe.

    The file is run once before it gets its name; a missing extra, a readout other than mean and sum, and
    numbers that differ from the model's are a :class:`MolftError`.
    """
    path = Path(output)
    if path.suffix != ".onnx":
        raise MolftError(f"{path}: let the name end in .onnx")
    if path.exists() and not overwrite:
        raise MolftError(f"{path} is there already: choose another name; --overwrite replaces it")
    _require_extra()
    model = load(model_dir)
    graphs = prepare(_EXAMPLES, model.recipe).graphs
    batch = make_batch(graphs)
    name = "probabilities" if model.about.task_type == "classification" else "values"
    program = _trace(_Answer(model).eval(), batch, name)
    program.model.metadata_props.update(_describe(model))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        program.save(temporary, external_data=False)
        difference = float(np.abs(run_onnx(temporary, batch) - model.network_values(graphs)).max())
        if not difference <= _MOST_APART:
            raise MolftError(
                f"{path}: the file would answer otherwise than the model, by up to {difference:.2g}; use the "
                "versions of torch, onnxscript and onnxruntime in constraints.txt"
            )
    size = path.stat().st_size
    return Exported(path, size, len(model.networks), name, difference, model.about.answer)


def run_onnx(path: str | Path, batch: Batch) -> np.ndarray:
    """What an exported file says of a batch, float32 [B, T]."""
    _require_extra()
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    arrays = (batch.atoms, batch.bonds, batch.edge_index, batch.graph)
    answer: np.ndarray = session.run(None, {k: v.numpy() for k, v in zip(INPUTS, arrays, strict=True)})[0]
    return answer


def _require_extra() -> None:
    try:
        import onnx  # noqa: F401  (onnxscript writes files by it)
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MolftError(
            f"{error.name} is missing; install what export needs: pip install 'molft[onnx]'"
        ) from error


def _trace(answer: nn.Module, batch: Batch, name: str) -> Any:  # noqa: ANN401  (torch.onnx.ONNXProgram)
    """The graph of ``answer``, of any number of atoms, bonds and molecules."""
    atoms, bonds = torch.export.Dim("N", min=1), torch.export.Dim("E", min=0)
    with _quietly(), torch.no_grad():
        program: Any = torch.onnx.export(
            answer,
            (batch.atoms, batch.bonds, batch.edge_index, batch.graph),
            input_names=list(INPUTS),
            output_names=[name],
            dynamic_shapes=({0: atoms}, {0: bonds}, {1: bonds}, {0: atoms}),
            dynamo=True,
            verbose=False,
        )
    program.model.graph.outputs[0].shape[0] = "B"  # which the tracer calls "u0 + 1"
    return program


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the exporter's remarks on torchvision, which nobody asked for, and on its own internals."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _describe(model: Model) -> dict[str, str]:
    """What a program must know to use the file, as ONNX metadata."""
    about = model.about
    return {
        "molft": molft.__version__,
        "tasks": json.dumps(about.tasks),
        "task_type": about.task_type,
        "features": about.recipe.scheme,
        "standardize": RECIPE if about.recipe.standardize else "",
        "networks": str(len(model.networks)),
    }
