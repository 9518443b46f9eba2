"""What a user may choose about a fine-tuning, and how a run tells what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from molft.data.groups import SIZES, Sizes
from molft.errors import MolftError
from molft.train.precision import check_precision


@dataclass(frozen=True)
class Options:
    """What a user may choose; the defaults choose by the data. ``ensemble_size`` 0 means by size.

    ``memory`` is what training may hold, in bytes (:mod:`molft.train.ways`); None: as much as it takes.
    """

    smiles_column: str | None = None
    target_columns: tuple[str, ...] = ()
    task_type: Literal["auto", "classification", "regression"] = "auto"
    encoder: str = "default"
    split: str = "auto"
    split_sizes: Sizes = SIZES
    strategy: str = "auto"
    loss: str = "auto"
    oversample: bool = False
    ensemble_size: int = 0
    epochs: int | None = None
    batch_size: int | None = None
    trees: int = 500
    max_atoms: int = 500
    seed: int = 0
    device: str = "cpu"
    precision: str = "auto"
    workers: int = 2
    memory: int | None = None

    def __post_init__(self) -> None:
        """Refuse, by a :class:`MolftError`, numbers that nothing can be made with."""
        limits = {
            "ensemble_size": (0, 1000),
            "trees": (1, 100_000),
            "seed": (0, 2**32 - 1),
            "workers": (0, 4096),
        }
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= most:
                what = name.replace("_", " ")
                raise MolftError(f"{what} is {value!r}; expected an int from {least} to {most}")
        if self.memory is not None and self.memory < 1:
            raise MolftError(f"memory is {self.memory} bytes; expected at least 1, or None")
        check_precision(self.precision)


class Reporter(Protocol):
    """How a run tells what it does: a line, a table, and progress of one named piece of work."""

    def line(self, text: str) -> None:
        """A sentence."""

    def rows(self, title: str, rows: Sequence[tuple[str, ...]]) -> None:
        """A small table."""

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` steps of ``what``."""


class Silent:
    """A reporter that says nothing."""

    def line(self, text: str) -> None:
        """Say nothing."""

    def rows(self, title: str, rows: Sequence[tuple[str, ...]]) -> None:
        """Show nothing."""

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Draw nothing."""
