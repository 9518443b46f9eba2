"""Near the pre-trained weights: the pull of L2-SP and the averages of WiSE-FT."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from molft.model.encoder import Encoder
from molft.train.anchor import SHARES, add_pull, choose_share, copy_weights, mix
from molft.train.encoders import new_encoder
from molft.train.finetune import finetune
from tests.train_deeds import same, strategy_task


def encoder(seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    return new_encoder("snap", layers=2, width=4)


def test_the_pull_is_the_gradient_of_half_the_squared_distance() -> None:
    """Against autograd on the formula; what was in the gradients stays there."""
    torch.manual_seed(2)
    found = encoder()
    start = copy_weights(found)
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(torch.randn_like(parameter))
    distance = sum((p - start[name]).square().sum() for name, p in found.named_parameters())
    (0.5 / 2 * distance).backward()
    expected = [parameter.grad.clone() for parameter in found.parameters()]
    for parameter in found.parameters():
        parameter.grad = torch.ones_like(parameter)
    add_pull(found, start, 0.5)
    for parameter, gradient in zip(found.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient + 1)


def test_weights_that_did_not_move_are_not_pulled() -> None:
    found = encoder()
    for parameter in found.parameters():
        parameter.grad = torch.zeros_like(parameter)
    add_pull(found, copy_weights(found), 3.0)
    assert not any(parameter.grad.any() for parameter in found.parameters())


def test_frozen_weights_are_not_pulled() -> None:
    found = encoder()
    start = copy_weights(found)
    with torch.no_grad():
        found.x_embedding1.weight += 1.0
    add_pull(found, start, 1.0)
    assert found.x_embedding1.weight.grad is None


def squared_distance(encoder: Encoder, start: dict[str, Tensor]) -> float:
    return sum((p - start[name]).square().sum().item() for name, p in encoder.named_parameters())


def test_a_mixture_is_in_between_running_statistics_too() -> None:
    start, tuned = copy_weights(encoder(0)), copy_weights(encoder(1))
    start["batch_norms.0.running_mean"].fill_(1.0)
    tuned["batch_norms.0.running_mean"].fill_(5.0)
    tuned["batch_norms.0.num_batches_tracked"].fill_(7)
    mixed = mix(start, tuned, 0.25)
    assert mixed["batch_norms.0.running_mean"].tolist() == [2.0] * 4
    assert int(mixed["batch_norms.0.num_batches_tracked"]) == 7
    name = "gnns.1.mlp.2.weight"
    torch.testing.assert_close(mixed[name], 0.75 * start[name] + 0.25 * tuned[name])
    assert same(mix(start, tuned, 0.0), start) and same(mix(start, tuned, 1.0), tuned)


def by_share(encoder: Encoder, scores: dict[float, float | None]) -> Callable[[], float | None]:
    """A score that is read from a list in the order in which shares are tried; others score 0."""
    order: Iterator[float] = iter((1.0, *SHARES))
    return lambda: scores.get(next(order), 0.0)


@pytest.mark.parametrize(
    ("scores", "share", "score"),
    [
        ({1.0: 0.5, 0.3: 0.9}, 0.3, 0.9),
        ({1.0: 0.5, 0.3: 0.5}, 1.0, 0.5),  # a tie is no gain
        ({1.0: 0.5, 0.8: 0.6, 0.2: 0.6}, 0.8, 0.6),  # of equal ones the nearest to the fine-tuned
        ({1.0: 0.5, 0.0: 0.7}, 0.0, 0.7),
        ({1.0: 0.5, 0.4: None}, 1.0, 0.5),
        ({1.0: None, 0.4: 0.9}, 1.0, None),  # undefined: nothing to choose by
        ({1.0: -2.0, 0.9: -1.0, 0.8: -3.0} | dict.fromkeys(SHARES[2:], -9.0), 0.9, -1.0),  # an error, turned
    ],
)
def test_validation_chooses_the_share(
    scores: dict[float, float | None], share: float, score: float | None
) -> None:
    found, start = encoder(1), copy_weights(encoder(0))
    tuned = copy_weights(found)
    assert choose_share(found, start, by_share(found, scores)) == (share, score)
    assert same(copy_weights(found), mix(start, tuned, share))


def test_a_pull_keeps_the_encoder_nearer() -> None:
    moved = {}
    for strategy in ("full", "l2-sp"):
        task = strategy_task(strategy)
        start = copy_weights(task.network.encoder)
        finetune(task)
        moved[strategy] = squared_distance(task.network.encoder, start)
    assert 0 < moved["l2-sp"] < 0.8 * moved["full"]


@pytest.mark.parametrize("worth", [True, False])
def test_a_finished_training_is_averaged_where_validation_gains(worth: bool) -> None:
    """The score is the nearness to the pre-trained weights, or the distance from them."""
    task = strategy_task("wise-ft")
    start = copy_weights(task.network.encoder)
    sign = -1.0 if worth else 1.0

    def nearness(*_: object) -> float:
        return sign * squared_distance(task.network.encoder, start)

    progress = finetune(type(task)(**{**vars(task), "score": nearness}))
    assert progress.share == (0.0 if worth else 1.0)
    assert progress.best_score == pytest.approx(nearness())
    if worth:
        assert progress.best_score == 0.0
        assert progress.best_epoch == 1
    assert type(progress).from_json(progress.to_json()) == progress
