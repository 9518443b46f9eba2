"""Losses over the labels that exist.

A missing label is NaN and is left out by selection (multiplying NaN by 0 would still give NaN gradients).
A batch without any label gives 0 with a gradient of 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from molft.errors import MolftError

CLASS_LOSSES = ("bce", "weighted", "focal")
GAMMA = 2.0
_HEAVIEST = 50.0  # no class weighs more than this, however rare

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class ClassBalance:
    """Positive and negative labels of each task: int64 [T] each."""

    positive: NDArray[np.int64]
    negative: NDArray[np.int64]

    @classmethod
    def of(cls, labels: NDArray[np.floating]) -> ClassBalance:
        """Count a label matrix [B, T] of 0, 1 and NaN."""
        return cls((labels == 1).sum(axis=0), (labels == 0).sum(axis=0))

    @property
    def minority(self) -> float:
        """The share of the rarer class over all tasks together; 0.5 without labels."""
        positive, negative = int(self.positive.sum()), int(self.negative.sum())
        total = positive + negative
        return min(positive, negative) / total if total else 0.5

    def prevalence(self) -> NDArray[np.float64]:
        """Share of positives of each task, float64 [T]; 0.5 for a task without labels."""
        total = self.positive + self.negative
        return np.where(total > 0, self.positive / np.maximum(total, 1), 0.5)


def build_loss(name: str, balance: ClassBalance | None) -> Loss:
    """The loss called ``name``: ``bce``, ``weighted``, ``focal`` (these need ``balance``) or ``huber``.

    Shapes of the result: outputs [B, T], labels [B, T] with NaN, bounds int8 [B, T]; returns a scalar.
    """
    if name == "huber":
        return huber
    if name not in CLASS_LOSSES:
        raise MolftError(f"loss {name!r} is unknown; expected one of {', '.join((*CLASS_LOSSES, 'huber'))}")
    if balance is None:
        raise MolftError(f"loss {name!r} needs the class counts of the training labels")
    if name == "bce":
        return lambda logits, labels, bounds: cross_entropy(logits, labels)
    if name == "weighted":
        ratio = np.clip(balance.negative / np.maximum(balance.positive, 1), 1 / _HEAVIEST, _HEAVIEST)
        weight = torch.from_numpy(ratio.astype(np.float32))
        return lambda logits, labels, bounds: cross_entropy(logits, labels, weight)
    alpha = torch.from_numpy(np.clip(1 - balance.prevalence(), 0.25, 0.75).astype(np.float32))
    return lambda logits, labels, bounds: focal(logits, labels, alpha)


def cross_entropy(logits: Tensor, labels: Tensor, positive_weight: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy; a positive of task t counts ``positive_weight[t]`` times.

    Shapes: logits, labels [B, T], positive_weight [T]; returns a scalar.
    """
    known = torch.isfinite(labels)
    if not known.any():
        return _nothing(logits)
    weight = None if positive_weight is None else positive_weight.to(logits).expand_as(logits)[known]
    return F.binary_cross_entropy_with_logits(logits[known], labels[known], pos_weight=weight)


def focal(logits: Tensor, labels: Tensor, alpha: Tensor, gamma: float = GAMMA) -> Tensor:
    """Focal loss, -alpha_t (1 - p_t)^gamma log p_t (Lin et al., ICCV 2017, equation 5), times 4.

    ``alpha`` [T] weighs the positives and 1 - alpha the negatives. With the factor 4, alpha 0.5 and gamma 2
    an undecided logit has 1.2 times the gradient of cross-entropy, so one learning rate serves both.

    Shapes: logits, labels [B, T]; returns a scalar.
    """
    known = torch.isfinite(labels)
    if not known.any():
        return _nothing(logits)
    z, y = logits[known], labels[known]
    weight = alpha.to(logits).expand_as(logits)[known]
    loss = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    missed = 1 - torch.exp(-loss)  # 1 - p_t
    return (4 * (weight * y + (1 - weight) * (1 - y)) * missed**gamma * loss).mean()


def huber(values: Tensor, labels: Tensor, bounds: Tensor) -> Tensor:
    """Mean Huber loss (delta 1) of standardised values; a censored label only counts when it is violated.

    A label ``>10`` (bound +1) costs nothing once the prediction is above 10, ``<0.1`` (bound -1) once it is
    below: the one-sided loss of Tobit-like regression without a noise model.

    Shapes: values, labels [B, T], bounds int8 [B, T]; returns a scalar.
    """
    known = torch.isfinite(labels)
    if not known.any():
        return _nothing(values)
    error = values[known] - labels[known]
    side = bounds[known]
    error = torch.where(side > 0, error.clamp(max=0), torch.where(side < 0, error.clamp(min=0), error))
    return F.huber_loss(error, torch.zeros_like(error))


def _nothing(outputs: Tensor) -> Tensor:
    """0, connected to the outputs so that backward() works."""
    return (outputs * 0).sum()
