"""A fine-tuned model: what it is on disk, and what it says about molecules.

The folder holds ``config.json`` (what the model is), ``model.safetensors`` (the networks),
``forest.safetensors``, ``gp.safetensors`` (the Gaussian process), ``training.safetensors`` and the reports.
Nothing in it is code. ``config.json`` names the sha256 of these files, so a changed or truncated one is
refused. ``training.safetensors`` holds the training molecules, to tell how near a new one is; a model can be
given away without that file. (The process holds their descriptors and vectors, but not what they are.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
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
from molft.model.recurring import Recurring
from molft.model.weights import check_fit, read_tensors, write_tensors
from molft.train.checkpoint import part, with_prefix
from molft.train.loop import PREDICTED, fold_each, keep_recurring, predict_each
from molft.train.plan import TASK_TYPES
from molft.use.columns import free_names
from molft.use.forest import Forest, join_features
from molft.use.forest_file import load_forest, save_forest
from molft.use.gaussian_process import GaussianProcess
from molft.use.gaussian_process_file import load_process, save_process
from molft.use.neighbours import Neighbours, load_neighbours, save_neighbours

if TYPE_CHECKING:  # a screen does without
    import pandas as pd

FORMATS = ("molft-model-1", "molft-model-2")
"""Without and with a Gaussian process: an older molft refuses the second, rather than leave it out."""
CONFIG, WEIGHTS, FOREST = "config.json", "model.safetensors", "forest.safetensors"
PROCESS, TRAINING = "gp.safetensors", "training.safetensors"
ANSWERS = ("network", "forest", "gp", "blend")


@dataclass(frozen=True)
class About:
    """Everything about a model but its weights; this is ``config.json``.

    ``centre`` and ``scale`` [T] turn a network's standardised value into the label's unit (0 and 1 for
    classes). ``answer`` says which of network, forest, Gaussian process (gp) and blend (the mean of those
    that there are) the model's prediction is.
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
    """Networks (an ensemble), a forest and a Gaussian process that answer together; none is trained any more.

    ``rows`` molecules go through them at a time. With ``half`` their layers are computed in 16 bits where
    they can be folded (:mod:`molft.model.inference`). ``kept`` is what the states of surroundings that recur
    from call to call may take (:mod:`molft.model.recurring`), in bytes; None where no call follows.
    """

    about: About
    networks: list[Network]
    forest: Forest | None
    directory: Path | None = None
    neighbours: Neighbours | None = None
    rows: int = PREDICTED
    half: bool = False
    process: GaussianProcess | None = None
    kept: int | None = None

    @property
    def recipe(self) -> Recipe:
        """How this model wants molecules prepared."""
        return replace(self.about.recipe, forest=self.about.answer != "network")

    @property
    def readers(self) -> list[Network]:
        """All that reads graphs: the networks, and the encoder of the process, if it has one."""
        reader = self.process.reader if self.process else None
        return self.networks if reader is None else [*self.networks, reader]

    def predict(self, smiles: Sequence[str]) -> pd.DataFrame:
        """One row for every string, in order: ``smiles``, ``status`` (``ok`` or why not), one column a task.

        A task's column is the probability of class 1, or the value in the label's unit; NaN for a row that
        is not ``ok``. A task called ``smiles`` or ``status`` gets ``_predicted`` after its name.
        """
        if isinstance(smiles, str):
            raise MolftError(f"predict takes a list of SMILES; for one molecule give [{smiles!r}]")
        import pandas as pd

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
        wanted = self._sources(every)
        networks = self.networks if "network" in wanted or spread else []
        reader = self.process.reader if self.process and "gp" in wanted else None
        raw = self._run([*networks, reader] if reader else networks, block.graphs)
        vectors = raw.pop() if reader else None
        each = np.array([finish(self.about, out) for out in raw])
        out = {"network": each.mean(axis=0)} if networks else {}
        if spread:
            out["spread"] = each.std(axis=0)
        if "forest" in wanted or "gp" in wanted:
            out |= self._read_fragments(block, vectors, wanted)
        if len(wanted) > 1:
            out["blend"] = np.mean([out[name] for name in wanted], axis=0)
        return out

    def network_values(self, graphs: Graphs) -> NDArray[np.float64]:
        """Mean prediction of the networks, in probabilities or label units, float64 [B, T]."""
        values: NDArray[np.float64] = self.each_network(graphs).mean(axis=0)
        return values

    def each_network(self, graphs: Graphs) -> NDArray[np.float64]:
        """Prediction of each network alone, in probabilities or label units, float64 [members, B, T]."""
        return np.array([finish(self.about, out) for out in self._run(self.networks, graphs)])

    def _sources(self, every: bool) -> list[str]:
        """The answers that are asked for or that the blend is the mean of; a missing one is an error."""
        there = {"network": True, "forest": self.forest is not None, "gp": self.process is not None}
        answer = self.about.answer
        # Every model that answers by a blend has a forest; not every one has a process.
        needed = "forest" if answer == "blend" else answer
        if not (every or there[needed]):
            raise MolftError(
                f"this model's answer needs its {needed}, which is missing; copy the whole folder"
            )
        return [name for name in there if there[name] and (every or answer in (name, "blend"))]

    def _read_fragments(
        self, block: Block, vectors: NDArray[np.float32] | None, wanted: Sequence[str]
    ) -> dict[str, NDArray[np.float64]]:
        """What forest and process say."""
        if block.counts is None or block.descriptors is None:
            raise MolftError("the molecules were prepared without fragments and descriptors (Recipe.forest)")
        out = {}
        if self.forest is not None and "forest" in wanted:
            out["forest"] = self.forest.predict(join_features(block.counts, block.descriptors))
        if self.process is not None and "gp" in wanted:
            out["gp"] = self.process.predict(block.descriptors, vectors)
        return out

    def _run(self, networks: Sequence[Network], graphs: Graphs) -> list[NDArray[np.float32]]:
        """Raw outputs of some of the networks and the reader, which share what they can, [B, ...] each."""
        folded = [self._folded[id(network)] for network in networks]
        recurring = None
        if self.kept is not None:
            asked = tuple(map(id, networks))
            recurring = self._recurring.get(asked) or keep_recurring(folded, self.kept)
            self._recurring[asked] = recurring
        return predict_each(networks, graphs, self.rows, folded, recurring)

    @cached_property
    def _recurring(self) -> dict[tuple[int, ...], Recurring | None]:
        # By the networks that are asked: they have to read every block together.
        return {}

    @cached_property
    def _folded(self) -> dict[int, FoldedEncoder | None]:
        # Once, not for each block of a library.
        return dict(zip(map(id, self.readers), fold_each(self.readers, self.half), strict=True))

    def save(self, directory: Path) -> None:
        """Write the folder; ``config.json`` comes last, so an unfinished folder is not a model."""
        directory.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Tensor] = {}
        for number, network in enumerate(self.networks):
            tensors |= with_prefix(str(number), network.state_dict())
        hashes = {WEIGHTS: write_tensors(directory / WEIGHTS, tensors, {"format": FORMATS[0]})}
        if self.forest is not None:
            save_forest(self.forest, directory / FOREST)
            hashes[FOREST] = sha256(directory / FOREST)
        if self.process is not None:
            hashes[PROCESS] = save_process(self.process, directory / PROCESS)
        if self.neighbours is not None:
            hashes[TRAINING] = save_neighbours(self.neighbours, directory / TRAINING)
        form = FORMATS[self.process is not None]
        versions = {"molft": molft.__version__, "rdkit": rdkit.__version__, "torch": torch.__version__}
        write_json(
            directory / CONFIG,
            {"format": form, "versions": versions, "sha256": hashes, "model": self.about.to_json()},
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
    if form not in FORMATS:
        raise MolftError(f"{folder / CONFIG} has format {form!r}; this molft reads {', '.join(FORMATS)}")
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
    if (form == FORMATS[1]) != (PROCESS in hashes):
        raise MolftError(f"{folder / CONFIG} of format {form} doesn't agree with its files; copy it again")
    process = load_process(folder / PROCESS, hashes[PROCESS]) if PROCESS in hashes else None
    neighbours = None
    if TRAINING in hashes and (folder / TRAINING).exists():
        neighbours = load_neighbours(folder / TRAINING, hashes[TRAINING])
    return Model(about, networks, forest, folder, neighbours, process=process)
