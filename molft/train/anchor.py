"""Keeping a fine-tuned encoder near its pre-trained weights: by a pull, or by averaging afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from molft.model.encoder import Encoder

SHARES = tuple(step / 10 for step in range(9, -1, -1))
"""Shares of the fine-tuned weights that an average is tried with, beside 1."""

Weights = Mapping[str, Tensor]


def copy_weights(encoder: Encoder) -> dict[str, Tensor]:
    """Parameters and running statistics as they are now."""
    return {name: tensor.detach().clone() for name, tensor in encoder.state_dict().items()}


@torch.no_grad()
def add_pull(encoder: Encoder, start: Weights, strength: float) -> None:
    """Add to the gradients that of ``strength / 2 * |w - w0|^2`` over the parameters that have one.

    L2-SP of Li, Grandvalet & Davoine (ICML 2018), equation 2, without making the penalty itself. ``start``
    holds w0 by parameter name.
    """
    for name, parameter in encoder.named_parameters():
        if parameter.grad is not None:
            parameter.grad.add_(parameter - start[name], alpha=strength)


def mix(start: Weights, tuned: Weights, share: float) -> dict[str, Tensor]:
    """``(1 - share) * start + share * tuned``, running statistics included; counters are those of ``tuned``.

    WiSE-FT (Wortsman et al., CVPR 2022). At 0 and 1 exactly the one and the other.
    """
    if share in (0.0, 1.0):
        return dict(tuned if share else start)
    return {
        name: torch.lerp(start[name], tensor, share) if tensor.is_floating_point() else tensor
        for name, tensor in tuned.items()
    }


def choose_share(
    encoder: Encoder, start: Weights, score: Callable[[], float | None]
) -> tuple[float, float | None]:
    """Leave in ``encoder`` the average of ``start`` and its weights that scores best; its share and score.

    The head stays as it was fine-tuned. Another share than 1 has to be strictly better, and of equal ones
    the nearest to 1 is taken; where the score is undefined nothing is averaged.
    """
    tuned = copy_weights(encoder)
    best, best_score = 1.0, score()
    if best_score is not None:
        for share in SHARES:
            encoder.load_state_dict(mix(start, tuned, share))
            found = score()
            if found is not None and found > best_score:
                best, best_score = share, found
    encoder.load_state_dict(mix(start, tuned, best))
    return best, best_score
