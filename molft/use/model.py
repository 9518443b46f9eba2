"""A fine-tuned model: what it is on disk, and what it says about molecules.

The folder holds ``config.json`` (what the model is), ``model.safetensors`` (the networks),
``forest.safetensors``, ``training.safetensors`` and the reports. Nothing in it is code. ``config.json``
names the sha256 of these files, so a changed or truncated one is refused. ``training.safetensors`` holds the
training molecules, to tell how near a new one is; a model can be given away without that file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rdkit
import torch
from numpy.typing import NDArray
from torch import Tensor

import molft
from molft.chem.features import find_scheme
from molft.chem.graphs import Graphs
from molft.chem.prepare import Block, Recipe, prepare
from molft.errors import MolftError
from molft.files import read_json, sha256, write_json
from molft.model.config import EncoderConfig, NetworkConfig
from molft.model.encoder import Encoder
from molft.model.inference import FoldedEncoder
from molft.model.network import Network
from molft.model.network import build_network as join_network
from molft.model.weights import check_fit, read_tensors, write_tensors
from molft.train.checkpoint import part, with_prefix
from molft.train.loop import PREDICTED, fold_each, predict_each
from molft.train.plan import TASK_TYPES
from molft.use.columns import free_names
from molft.use.forest import Forest, join_features
from molft.use.forest_file import load_forest, save_forest
from molft.use.neighbours import Neighbours, load_neighbours, save_neighbours

FORMAT = "molft-model-1"
CONFIG, WEIGHTS, FOREST = "config.json", "model.safetensors", "forest.safetensors"
TRAINING = "training.safetensors"
ANSWERS = ("network", "forest", "blend")


@dataclass(frozen=True)
class About:
    """Everything about a model but its weights; this is ``config.json``.

    ``centre`` and ``scale`` [T] turn a network's standardised value into the label's unit (0 and 1 for
    classes). ``answer`` says which of network, forest and blend (their mean) the model's prediction is.
    ``thresholds`` [T] turn a probability into a call. ``facts`` holds plan, split, data hash and the like.
    """

    tasks: tuple[str, ...]
    task_type: str
    answer: str
    recipe: Recipe
    encoder: EncoderConfig
    readout: str
    head: str
    members: int
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    thresholds: tuple[float, ...]
    facts: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "tasks": list(self.tasks),
            "task_type": self.task_type,
            "answer": self.answer,
            "recipe": self.recipe.to_json(),
            "encoder": self.encoder.to_json(),
            "readout": self.readout,
            "head": self.head,
            "members": self.members,
            "centre": list(self.centre),
            "scale": list(self.scale),
            "thresholds": list(self.thresholds),
            "facts": self.facts,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> About:
        """The inverse of :meth:`to_json`; what this molft can't follow is a :class:`MolftError`."""
        about = cls(
            tasks=tuple(values["tasks"]),
            task_type=values["task_type"],
            answer=values["answer"],
            recipe=Recipe.from_json(values["recipe"]),
            encoder=EncoderConfig.from_json(values["encoder"]),
            readout=values["readout"],
            head=values["head"],
            members=int(values["members"]),
            centre=tuple(values["centre"]),
            scale=tuple(values["scale"]),
            thresholds=tuple(values["thresholds"]),
            facts=values["facts"],
        )
        _check(about)
        return about


def _check(about: About) -> None:
    """Refuse, by a :class:`MolftError`, a description that contradicts itself."""
    tasks, numbers = about.tasks, (about.centre, about.scale, about.thresholds)
    faults = {
        f"task type {about.task_type!r}": about.task_type not in TASK_TYPES,
        f"answer {about.answer!r}": about.answer not in ANSWERS,
        f"tasks {tasks}": not tasks or len(set(tasks)) < len(tasks),
        f"{about.members} networks": about.members < 1,
        f"centre, scale, thresholds {numbers}": not all(_are_numbers(n, len(tasks)) for n in numbers),
        f"features {about.recipe.scheme!r} for an encoder of {about.encoder.scheme!r}": (
            find_scheme(about.recipe.scheme) != find_scheme(about.encoder.scheme)
        ),
        "facts without names": not isinstance(about.facts, dict),
    }
    wrong = [fault for fault, holds in faults.items() if holds]
    if wrong:
        raise MolftError(f"the model's description makes no sense: {'; '.join(wrong)}")


def _are_numbers(values: tuple[Any, ...], count: int) -> bool:
    return len(values) == count and all(isinstance(value, int | float) for value in values)


def build_network(about: About, encoder: Encoder | None = None) -> Network:
    """A network of the model's shape around ``encoder``, or around a new one."""
    shape = NetworkConfig(len(about.tasks), about.readout, about.head)
    return join_network(encoder or Encoder(about.encoder), shape)


@dataclass
class Model:
    """Networks (an ensemble) and a forest that answer together; the networks are trained no more.

    ``rows`` molecules go through them at a time. With ``half`` their layers are computed in 16 bits where
    they can be folded (:mod:`molft.model.inference`).
    """

    about: About
    networks: list[Network]
    forest: Forest | None
    directory: Path | None = None
    neighbours: Neighbours | None = None
    rows: int = PREDICTED
    half: bool = False

    @property
    def recipe(self) -> Recipe:
        """How this model wants molecules prepared."""
        return replace(self.about.recipe, forest=self.about.answer != "network")

    def predict(self, smiles: Sequence[str]) -> pd.DataFrame:
        """One row for every string, in order: ``smiles``, ``status`` (``ok`` or why not), one column a task.

        A task's column is the probability of class 1, or the value in the label's unit; NaN for a row that
        is not ``ok``. A task called ``smiles`` or ``status`` gets ``_predicted`` after its name.
        """
        if isinstance(smiles, str):
            raise MolftError(f"predict takes a list of SMILES; for one molecule give [{smiles!r}]")
        texts = list(smiles)
        block = prepare(texts, self.recipe)
        values = np.full((len(texts), len(self.about.tasks)), np.nan)
        values[block.index] = self.answer(block)
        status = pd.Series("ok", index=range(len(texts)), dtype=object)
        for bad in block.rejected:
            status[bad.row] = bad.status
        table = pd.DataFrame({"smiles": texts, "status": status})
        names = free_names(self.about.tasks, list(table.columns))
        return pd.concat([table, pd.DataFrame(values, columns=names)], axis=1)

    def answer(self, block: Block) -> NDArray[np.float64]:
        """Final predictions for the accepted molecules of a block, float64 [B, T]."""
        return self.answers(block)[self.about.answer]

    def answers(
        self, block: Block, every: bool = False, spread: bool = False
    ) -> dict[str, NDArray[np.float64]]:
        """Predictions by source, float64 [B, T] each: only what the answer needs, or ``every`` one.

        With ``spread`` also that: the standard deviation over the networks (:meth:`each_network`), around
        their mean, as of all there are.
        """
        wanted = ANSWERS if every and self.forest else (self.about.answer,)
        out: dict[str, NDArray[np.float64]] = {}
        if {"network", "blend"} & set(wanted) or every or spread:
            values = self.each_network(block.graphs)
            out["network"] = values.mean(axis=0)
            if spread:
                out["spread"] = values.std(axis=0)
        if {"forest", "blend"} & set(wanted):
            if self.forest is None or block.counts is None or block.descriptors is None:
                raise MolftError(
                    "this model's answer needs its forest, which is missing; copy the whole folder"
                )
            out["forest"] = self.forest.predict(join_features(block.counts, block.descriptors))
        if "blend" in wanted:
            out["blend"] = (out["network"] + out["forest"]) / 2
        return out

    def network_values(self, graphs: Graphs) -> NDArray[np.float64]:
        """Mean prediction of the networks, in probabilities or label units, float64 [B, T]."""
        values: NDArray[np.float64] = self.each_network(graphs).mean(axis=0)
        return values

    def each_network(self, graphs: Graphs) -> NDArray[np.float64]:
        """Prediction of each network alone, in probabilities or label units, float64 [members, B, T]."""
        if not len(graphs):
            return np.zeros((len(self.networks), 0, len(self.about.tasks)))
        each = predict_each(self.networks, graphs, self.rows, self._folded)
        return np.stack([finish(self.about, out) for out in each])

    @cached_property
    def _folded(self) -> list[FoldedEncoder | None]:
        # Once, not for each block of a library.
        return fold_each(self.networks, self.half)

    def save(self, directory: Path) -> None:
        """Write the folder; ``config.json`` comes last, so an unfinished folder is not a model."""
        directory.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {}
        for number, network in enumerate(self.networks):
            tensors |= with_prefix(str(number), network.state_dict())
        hashes = {WEIGHTS: write_tensors(directory / WEIGHTS, tensors, {"format": FORMAT})}
        if self.forest is not None:
            save_forest(self.forest, directory / FOREST)
            hashes[FOREST] = sha256(directory / FOREST)
        if self.neighbours is not None:
            hashes[TRAINING] = save_neighbours(self.neighbours, directory / TRAINING)
        versions = {"molft": molft.__version__, "rdkit": rdkit.__version__, "torch": torch.__version__}
        write_json(
            directory / CONFIG,
            {"format": FORMAT, "versions": versions, "sha256": hashes, "model": self.about.to_json()},
        )
        self.directory = directory


def finish(about: About, raw: NDArray[np.float32]) -> NDArray[np.float64]:
    """Raw network outputs [B, T] as probabilities or values in the label's unit, float64 [B, T]."""
    if about.task_type == "classification":
        return squash(raw)
    return raw.astype(np.float64) * np.asarray(about.scale) + np.asarray(about.centre)


def squash(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logits as probabilities, float64 of the same shape; extreme ones neither overflow nor tie at 1."""
    probabilities: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -30, 30)))
    return probabilities


def load(directory: str | Path) -> Model:
    """Open a model folder; a missing, damaged or foreign one is a :class:`MolftError`."""
    folder = Path(directory)
    if not (folder / CONFIG).is_file():
        hint = (
            "an unfinished run: go on with molft finetune --resume"
            if folder.is_dir()
            else "there is no such folder"
        )
        raise MolftError(f"{folder} is no molft model: no {CONFIG} ({hint})")
    config = read_json(folder / CONFIG)
    form = config.get("format") if isinstance(config, dict) else None
    if form != FORMAT:
        raise MolftError(f"{folder / CONFIG} has format {form!r}; this molft reads {FORMAT}")
    try:
        about = About.from_json(config["model"])
        hashes = config["sha256"]
        tensors, _ = read_tensors(folder / WEIGHTS, hashes[WEIGHTS])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MolftError(f"{folder / CONFIG} is not complete: {error}") from error
    networks = []
    for number in range(about.members):
        network, own = build_network(about), part(str(number), tensors)
        check_fit(network, own, folder / WEIGHTS)
        network.load_state_dict(own)
        networks.append(network.eval())
    forest = None
    if FOREST in hashes:
        if sha256(folder / FOREST) != hashes[FOREST]:
            raise MolftError(
                f"{folder / FOREST} is not the file that was saved (sha256 differs); copy it again"
            )
        forest = load_forest(folder / FOREST)
    neighbours = None
    if TRAINING in hashes and (folder / TRAINING).exists():
        neighbours = load_neighbours(folder / TRAINING, hashes[TRAINING])
    return Model(about, networks, forest, folder, neighbours)
