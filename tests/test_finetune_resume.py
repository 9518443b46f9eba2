"""Fine-tuning that was stopped: the same weights in the end, or a refusal."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from molft.errors import MolftError
from molft.train.checkpoint import save_checkpoint
from molft.train.finetune import Examples, Progress, Task, finetune
from molft.train.plan import STRATEGIES, Stage
from tests.series import halogen_examples
from tests.train_deeds import gradual_task, run_and_die, same, strategy_task, tiny_network, weights


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(strategy: str) -> None:
    first, second, other = (strategy_task(strategy, seed=seed) for seed in (5, 5, 6))
    for task in (first, second, other):
        finetune(task)
    assert same(weights(first.network), weights(second.network))
    assert not same(weights(first.network), weights(other.network))


def test_random_numbers_drawn_elsewhere_change_nothing() -> None:
    first, second = gradual_task(), gradual_task()
    finetune(first)
    finetune(second, on_epoch=lambda record: torch.rand(record["epoch"]))
    assert same(weights(first.network), weights(second.network))


@pytest.fixture(scope="module")
def uninterrupted() -> tuple[dict[str, Tensor], Progress]:
    """Weights and progress of the gradual task, from beginning to end."""
    task = gradual_task()
    progress = finetune(task)
    return weights(task.network), progress


def without_time(progress: Progress) -> list[dict[str, Any]]:
    return [{k: v for k, v in record.items() if k != "seconds"} for record in progress.history]


class Stopped(Exception):
    """Thrown in the middle of a training."""


def stop_at(epoch: int) -> Callable[[dict[str, Any]], None]:
    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == epoch:
            raise Stopped

    return stop


@pytest.mark.parametrize("epoch", [1, 2, 3, 4, 5, 6])
def test_a_stopped_training_goes_on_to_the_same_weights(
    epoch: int, uninterrupted: tuple[dict[str, Tensor], Progress], tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        finetune(gradual_task(), tmp_path / "checkpoint", save_every_s=-1.0, on_epoch=stop_at(epoch))
    assert (tmp_path / "checkpoint").exists() == (epoch > 1)
    task = gradual_task()
    taken: list[int] = []
    progress = finetune(
        task,
        tmp_path / "checkpoint",
        save_every_s=-1.0,
        on_epoch=lambda record: taken.append(record["epoch"]),
    )
    assert taken == list(range(epoch, 7))
    assert same(weights(task.network), uninterrupted[0])
    assert without_time(progress) == without_time(uninterrupted[1])
    assert progress.best_epoch == uninterrupted[1].best_epoch


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_goes_on_to_the_same_weights(strategy: str, tmp_path: Path) -> None:
    whole = strategy_task(strategy)
    expected = finetune(whole)
    for epoch in (2, 4, 6):
        path = tmp_path / f"checkpoint-{epoch}"
        with pytest.raises(Stopped):
            finetune(strategy_task(strategy), path, save_every_s=-1.0, on_epoch=stop_at(epoch))
        task = strategy_task(strategy)
        progress = finetune(task, path, save_every_s=-1.0)
        assert same(weights(task.network), weights(whole.network))
        assert without_time(progress) == without_time(expected)
        assert (progress.share, progress.best_score) == (expected.share, expected.best_score)


def test_a_killed_training_goes_on_to_the_same_weights(
    uninterrupted: tuple[dict[str, Tensor], Progress], tmp_path: Path
) -> None:
    assert run_and_die("finetune", tmp_path, at=4) == -signal.SIGKILL
    task = gradual_task()
    progress = finetune(task, tmp_path / "checkpoint")
    assert same(weights(task.network), uninterrupted[0])
    assert without_time(progress) == without_time(uninterrupted[1])
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_finished_training_is_not_done_again(
    uninterrupted: tuple[dict[str, Tensor], Progress], tmp_path: Path
) -> None:
    finetune(gradual_task(), tmp_path / "checkpoint", save_every_s=-1.0)
    task = gradual_task()
    finetune(task, tmp_path / "checkpoint", on_epoch=stop_at(6))
    assert same(weights(task.network), uninterrupted[0])


def test_an_undefined_score_survives_the_checkpoint(tmp_path: Path) -> None:
    task = replace(gradual_task(), score=lambda examples, outputs: None)
    with pytest.raises(Stopped):
        finetune(task, tmp_path / "checkpoint", save_every_s=-1.0, on_epoch=stop_at(3))
    again = replace(gradual_task(), score=lambda examples, outputs: None)
    progress = finetune(again, tmp_path / "checkpoint")
    assert (progress.best_epoch, progress.best_score) == (-1, -float("inf"))
    assert len(progress.history) == 6


# --------------------------------------------------------------------------- checkpoints that don't fit


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a gradual task that was stopped in epoch 3."""
    path = tmp_path_factory.mktemp("begun") / "checkpoint"
    with pytest.raises(Stopped):
        finetune(gradual_task(), path, save_every_s=-1.0, on_epoch=stop_at(3))
    return path


def swapped(examples: Examples) -> Examples:
    """Two labels changed places: their sum is as before."""
    labels = examples.labels.copy()
    one, zero = int(np.flatnonzero(labels == 1)[0]), int(np.flatnonzero(labels == 0)[0])
    labels[[one, zero]] = labels[[zero, one]]
    return replace(examples, labels=labels)


def turned(examples: Examples) -> Examples:
    return replace(examples, graphs=examples.graphs.take(np.arange(len(examples))[::-1]))


def censored(examples: Examples) -> Examples:
    return replace(examples, bounds=np.ones_like(examples.bounds))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda task: replace(task, seed=6), "seed"),
        (lambda task: replace(task, plan=replace(task.plan, epochs=7)), "plan"),
        (lambda task: replace(task, plan=replace(task.plan, stages=(Stage(0, 0),))), "plan"),
        (lambda task: replace(task, plan=replace(task.plan, anchor=0.1)), "plan"),
        (lambda task: replace(task, plan=replace(task.plan, average=True)), "plan"),
        (lambda task: replace(task, plan=replace(task.plan, rank=2)), "plan"),
        (lambda task: replace(task, train=swapped(task.train)), "data"),
        (lambda task: replace(task, valid=swapped(task.valid)), "data"),
        (lambda task: replace(task, train=turned(task.train)), "data"),
        (lambda task: replace(task, train=censored(task.train)), "data"),
        (lambda task: replace(task, valid=halogen_examples(39)), "data"),
        (lambda task: replace(task, network=tiny_network(seed=1)), "encoder"),
        (lambda task: replace(task, network=tiny_network(layers=3)), "encoder"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    change: Callable[[Task], Task], what: str, begun: Path
) -> None:
    with pytest.raises(MolftError, match=f"belongs to a run with another {what}; remove it"):
        finetune(change(gradual_task()), begun)


def test_a_refused_checkpoint_leaves_the_network_as_it_was(begun: Path) -> None:
    task = strategy_task("lora")
    before = weights(task.network)
    with pytest.raises(MolftError, match="belongs to a run with another plan"):
        finetune(task, begun)
    assert same(weights(task.network), before)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", {"a": torch.ones(1)}, {"step": 3})
    with pytest.raises(MolftError, match="another plan, seed, data, encoder"):
        finetune(gradual_task(), tmp_path / "checkpoint")


@pytest.mark.parametrize("place", [20, -20])
def test_a_damaged_checkpoint_is_refused(place: int, begun: Path, tmp_path: Path) -> None:
    broken = bytearray(begun.read_bytes())
    broken[place] ^= 1
    (tmp_path / "checkpoint").write_bytes(broken)
    with pytest.raises(MolftError, match="remove it to start the run again"):
        finetune(gradual_task(), tmp_path / "checkpoint")
