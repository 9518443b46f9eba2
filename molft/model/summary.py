"""The pre-trained step from a molecule's pooled atoms to its vector."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from molft.model.normalize import normalize


class Summary(nn.Module):
    """``relu(norm(linear(pooled)))`` of the mean and the scaled sum of a molecule's atom vectors.

    What pre-training says of whole molecules (descriptors, fragments, activities) it reads from this vector
    by linear maps, so that a linear head finds it there. It belongs to the encoder and is pre-trained with
    it: without it, the layers between atoms and targets would be thrown away with the pre-training's heads.
    """

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * width, size)
        self.norm = nn.BatchNorm1d(size)

    def forward(self, pooled: Tensor) -> Tensor:
        """Shapes: pooled [B, 2 width] (:class:`molft.model.readout.MeanAndSum`), out [B, size], 0 or more."""
        return F.relu(normalize(self.norm, self.linear(pooled)))
