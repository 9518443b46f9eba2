"""Supervised pre-training on many assays at once, most labels missing (Hu, Liu et al., ICLR 2020, 3.2.1)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

_ROWS = 8192


class SupervisedLabels(nn.Module):
    """Read the known labels of each molecule from its summary, linearly.

    Classes (0 and 1) by cross-entropy; numbers by smooth-L1 on values brought to mean 0 and deviation 1 for
    each task.
    """

    def __init__(self, width: int, mean: Tensor, deviation: Tensor, classes: bool) -> None:
        super().__init__()
        self.classes = classes
        self.head = nn.Linear(width, len(mean))
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, summary: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss over the known labels, and a score; a batch without labels gives 0 and 0.

        The score is the share of classes that are right, or of the numbers' variance that is explained.
        Shapes: summary [B, width]; labels [B, T], NaN where missing.
        """
        known = torch.isfinite(labels)
        out = self.head(summary)[known]
        if len(out) == 0:
            nothing = summary.sum() * 0
            return nothing, nothing.detach()
        if self.classes:
            loss = F.binary_cross_entropy_with_logits(out, labels[known])
            return loss, ((out > 0) == (labels[known] > 0)).float().mean()
        target = ((labels - self.get_buffer("mean")) / self.get_buffer("deviation"))[known]
        residual = (out.detach() - target).square().mean()
        return F.smooth_l1_loss(out, target), 1 - residual / target.square().mean().clamp(min=1e-9)


def label_scale(labels: NDArray[np.floating]) -> tuple[Tensor, Tensor, bool]:
    """Mean and deviation of each task over its known labels, float32 [T] each; whether all are classes.

    A task without two different labels has deviation 1, without any label mean 0. The labels may be
    memory-mapped: a few rows at a time are read. Shapes: labels [L, T].
    """
    counts, total, squares = (np.zeros(labels.shape[1]) for _ in range(3))
    classes = True
    for values, known in _pieces(labels):
        counts += known.sum(axis=0)
        total += values.sum(axis=0)
        classes = classes and bool(np.isin(values[known], (0.0, 1.0)).all())
    mean = total / np.maximum(counts, 1)
    for values, known in _pieces(labels):
        squares += (np.where(known, values - mean, 0.0) ** 2).sum(axis=0)
    deviation = np.sqrt(squares / np.maximum(counts, 1))
    deviation = np.where(deviation > 0, deviation, 1.0)
    return torch.from_numpy(mean.astype(np.float32)), torch.from_numpy(deviation.astype(np.float32)), classes


def _pieces(labels: NDArray[np.floating]) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Labels (0 where missing) and which are known, some rows at a time."""
    for start in range(0, len(labels), _ROWS):
        values = labels[start : start + _ROWS].astype(np.float64)
        known = np.isfinite(values)
        yield np.where(known, values, 0.0), known
