"""Pre-trained encoders by name, and what they make of molecules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molft.chem.graphs import Graphs
from molft.chem.prepare import Recipe, prepare
from molft.errors import MolftError
from molft.files import read_json
from molft.model.encoder import Encoder
from molft.model.inference import FoldedEncoder
from molft.model.network import Network, build_reader, vector_width
from molft.model.recurring import Recurring
from molft.model.weights import CONFIG, load_encoder_files
from molft.train.loop import PREDICTED, fold_each, keep_recurring, predict_each
from molft.use.model import FORMATS, load

SHIPPED = ("default", "small")
"""Encoders that come with molft: the best, and one of a quarter of its parameters."""
_FOLDER = Path(__file__).resolve().parents[1] / "model" / "pretrained"


@dataclass(frozen=True)
class MoleculeEncoder:
    """An encoder with the recipe by which it reads molecules, and its card (what it was trained on).

    ``rows`` molecules go through it at a time. With ``half`` its layers are computed in 16 bits where they
    can be folded (:mod:`molft.model.inference`). ``kept`` is what the states of surroundings that recur from
    call to call may take (:mod:`molft.model.recurring`), in bytes; None where no call follows.
    """

    encoder: Encoder
    recipe: Recipe
    card: dict[str, Any]
    rows: int = PREDICTED
    kept: int | None = None
    half: bool = False

    @property
    def width(self) -> int:
        """Width D of the vectors."""
        return vector_width(self.encoder.config)

    def embed(self, smiles: Sequence[str]) -> NDArray[np.float32]:
        """One vector for each SMILES, in order, float32 [B, D]; NaN for one that can't be read.

        The encoder's summary (:class:`molft.model.summary.Summary`), or, if it has none, the mean of the
        final atom vectors.
        """
        if isinstance(smiles, str):
            raise MolftError(f"embed takes a list of SMILES; for one molecule give [{smiles!r}]")
        block = prepare(list(smiles), self.recipe)
        out = np.full((len(smiles), self.width), np.nan, np.float32)
        out[block.index] = self.vectors(block.graphs)
        return out

    def vectors(self, graphs: Graphs) -> NDArray[np.float32]:
        """One vector for each packed molecule, float32 [B, D]."""
        return predict_each([self._network], graphs, self.rows, self._folded, self._recurring)[0]

    @cached_property
    def _network(self) -> Network:
        return build_reader(self.encoder)

    @cached_property
    def _folded(self) -> list[FoldedEncoder | None]:
        # Once, not for each block of a library.
        return fold_each([self._network], self.half)

    @cached_property
    def _recurring(self) -> Recurring | None:
        return None if self.kept is None else keep_recurring(self._folded, self.kept)


def load_encoder(name: str | Path = "default") -> MoleculeEncoder:
    """Open an encoder for embedding; see :func:`find_encoder` for the names.

    That of a fine-tuned model reads molecules as the model does.
    """
    folder = encoder_folder(name)
    if _is_model(folder):
        return _first_encoder(folder)
    encoder, card = load_encoder_files(folder)
    return MoleculeEncoder(encoder, Recipe(scheme=encoder.config.scheme), card)


def find_encoder(name: str | Path) -> tuple[Encoder, dict[str, Any]]:
    """An encoder, in eval mode, and its card.

    ``default`` and ``small`` are those shipped with molft; else the folder of an encoder, or of a fine-tuned
    model, whose first network's encoder is taken. What is neither is a :class:`MolftError`.
    """
    found = load_encoder(name)
    return found.encoder, found.card


def encoder_folder(name: str | Path) -> Path:
    """The folder that holds ``config.json`` of an encoder or model; none is a :class:`MolftError`."""
    if str(name) == "none":
        raise MolftError("'none' is no encoder; give 'default', 'small', an encoder folder or a model folder")
    shipped = str(name) in SHIPPED
    folder = _FOLDER / name if shipped else Path(name)
    if (folder / CONFIG).is_file():
        return folder
    if shipped:
        raise MolftError(
            f"this installation came without the pre-trained encoder ({folder}); install molft from its "
            "wheel, or give an encoder folder (molft pretrain and molft import-snap make one)"
        )
    raise MolftError(
        f"{folder}: no encoder there (no {CONFIG}); give 'default', 'small', an encoder or a model folder"
    )


def _is_model(folder: Path) -> bool:
    record = read_json(folder / CONFIG)
    return isinstance(record, dict) and record.get("format") in FORMATS


def _first_encoder(folder: Path) -> MoleculeEncoder:
    """The encoder of a fine-tuned model's first network; its card names the tasks it was tuned on."""
    model = load(folder)
    card = {
        "tuned_on": list(model.about.tasks),
        "data": model.about.facts.get("data"),
        "encoder": model.about.facts.get("encoder"),
    }
    return MoleculeEncoder(model.networks[0].encoder, model.about.recipe, card)
