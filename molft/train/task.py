"""What a fine-tuning is given, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molft.chem.graphs import Graphs
from molft.model.network import Network
from molft.train.budget import Budget
from molft.train.plan import Plan


@dataclass(frozen=True)
class Examples:
    """Molecules with labels.

    Shapes: labels float32 [B, T], NaN where missing (0 and 1 for classes, standardised values for
    regression); bounds int8 [B, T], +1 for ``>``, -1 for ``<``, 0 for an exact label.
    """

    graphs: Graphs
    labels: NDArray[np.float32]
    bounds: NDArray[np.int8]

    def __len__(self) -> int:
        """Number of molecules."""
        return len(self.graphs)


Score = Callable[[Examples, NDArray[np.float32]], float | None]
"""Validation score of raw outputs, higher is better; None where it is undefined."""


@dataclass
class Progress:
    """How far a training is: finished epochs, their records, and the best one (-1: none yet).

    ``share`` is that of the fine-tuned weights in the final encoder; below 1, the best score is the
    average's.
    """

    epoch: int = 0
    best_epoch: int = -1
    best_score: float = -float("inf")
    share: float = 1.0
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kept_epoch(self) -> int:
        """The epoch whose weights are kept: the best, or the last where no validation score is defined."""
        return self.best_epoch if self.best_epoch >= 0 else self.epoch

    def to_json(self) -> dict[str, Any]:
        """Plain values; JSON has no infinity, so without a best epoch the best score is None."""
        return {**vars(self), "best_score": self.best_score if self.best_epoch >= 0 else None}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Progress:
        """The inverse of :meth:`to_json`."""
        score = values["best_score"]
        return cls(**{**values, "best_score": -float("inf") if score is None else score})


@dataclass(frozen=True)
class Task:
    """One training: the network to adapt (already on its device), its data, plan and seed.

    ``half``: layers are computed in 16 bits while training (:mod:`molft.model.half`), never when judging.
    ``budget``: memory to keep within, if any (:mod:`molft.train.ways`); ``may_halve``: 16 bits are allowed
    where it takes them.
    """

    network: Network
    train: Examples
    valid: Examples
    plan: Plan
    score: Score
    seed: int
    half: bool = False
    budget: Budget | None = None
    may_halve: bool = False
