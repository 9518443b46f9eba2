"""What can be chosen about a pre-training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from molft.errors import MolftError
from molft.train.objectives.context import MODES
from molft.train.precision import check_precision

OBJECTIVES = (
    *("masking", "descriptors", "fingerprints"),
    *("bonds", "structure", "edges", "infomax", "context", "contrastive", "labels", "distillation"),
)
MOLECULES = ("descriptors", "fingerprints", "labels", "distillation")
"""Objectives that are read from the encoder's summary of a molecule."""


@dataclass(frozen=True)
class PretrainConfig:
    """Options of a run; ``objectives`` maps a name to its weight in the loss.

    batch_size: molecules of one step, over all processes.
    parts: a step is computed in so many parts (over all processes), to save memory; batch normalisation and
        contrasts see one part.
    masked_share: share of the molecules with hidden atoms or bonds; the encoder sees whole ones too.
    precision: "bf16" computes layers in 16 bits; "auto" does so on CUDA and on CPUs with units for it.
    summary: width of the molecule vector that the objectives of whole molecules read; without any of these
        the encoder has none.
    init: sha256 of the encoder to start from, or ""; teacher: of that to learn from by distillation.
    """

    objectives: Mapping[str, float]
    epochs: int = 1
    batch_size: int = 256
    parts: int = 1
    learning_rate: float = 1e-3
    warmup: float = 0.05
    masked_share: float = 0.5
    context_mode: str = "cbow"
    conv: str = "gin"
    layers: int = 5
    width: int = 300
    jk: str = "last"
    summary: int = 512
    precision: str = "auto"
    init: str = ""
    teacher: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse unknown objectives by name, and what gives no training at all."""
        unknown = sorted(set(self.objectives) - set(OBJECTIVES))
        if unknown or not self.objectives:
            raise MolftError(f"objectives {unknown or 'none'}: expected some of {', '.join(OBJECTIVES)}")
        counts = {"epochs": self.epochs, "batch_size": self.batch_size, "parts": self.parts}
        counts["summary"] = self.summary
        for name, value in (counts | dict(self.objectives)).items():
            if not value > 0:
                raise MolftError(f"{name} is {value}; it must be above 0")
        if self.parts > 1 and self.batch_size < 2 * self.parts:
            raise MolftError(
                f"batch_size {self.batch_size} can't be computed in {self.parts} parts of 2 or more"
            )
        if self.context_mode not in MODES:
            raise MolftError(f"context_mode is {self.context_mode!r}; expected one of {', '.join(MODES)}")
        check_precision(self.precision)

    def to_json(self) -> dict[str, object]:
        """Plain values for a JSON file."""
        return {**asdict(self), "objectives": dict(self.objectives)}
