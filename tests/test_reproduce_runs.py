"""Seeds in processes side by side: the same numbers as one after the other, and what a dead process says."""

import os
from pathlib import Path

import pytest

from molft.errors import MolftError
from molft.use import reproduce_runs
from molft.use.fitting import GROWING
from molft.use.options import Silent
from molft.use.protocols import Setting, _EpochCounter
from molft.use.reproduce import reproduce
from molft.use.reproduce_runs import _Watch, describe, read_records
from tests.benchmark_sets import plain, use_tiny_sets
from tests.small import save_small_encoder


@pytest.fixture
def snap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Setting:
    use_tiny_sets(monkeypatch, tmp_path)
    return Setting("snap", str(save_small_encoder(tmp_path / "small")), epochs=2, trees=5)


def die(seed: int) -> None:
    """What a killed process does."""
    os._exit(9)


def test_processes_give_the_same_numbers(snap: Setting, tmp_path: Path) -> None:
    alone = reproduce(["bace"], tmp_path / "a", snap, seeds=2, data_dir=tmp_path)
    together = reproduce(["bace"], tmp_path / "b", snap, seeds=2, data_dir=tmp_path, jobs=2)
    assert [plain(record) for record in alone] == [plain(record) for record in together]


def test_a_process_that_dies_is_told(snap: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproduce_runs, "_run_here", die)
    with pytest.raises(MolftError, match=r"a process of bace ended before its run did.*--resume"):
        reproduce(["bace"], tmp_path / "out", snap, seeds=2, data_dir=tmp_path, jobs=2)
    assert read_records(tmp_path / "out") == []


class Steps(Silent):
    """A reporter that keeps how far the work is."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        self.steps.append((done, total))


def test_tasks_of_the_forest_are_told_but_are_no_epochs() -> None:
    told = list[tuple[int, int, str]]()
    counter = _EpochCounter(4, lambda *step: told.append(step))
    counter.progress("network 1 of 1", 1, 4, "loss 0.1")
    counter.progress(GROWING, 1, 12)
    counter.progress(GROWING, 2, 12)
    assert told == [
        (1, 4, "network 1 of 1: loss 0.1"),
        (1, 4, "forest, tasks: 1 of 12"),
        (1, 4, "forest, tasks: 2 of 12"),
    ]


def test_progress_counts_the_epochs_of_all_runs() -> None:
    record = {
        "set": "bace",
        "seed": 0,
        "metric": "roc_auc",
        "answer": "network",
        "scores": {"network": {"test": 0.701}, "last epoch": {"test": None}},
        "best_epoch": [3],
        "seconds": 12.3,
    }
    steps = Steps()
    watch = _Watch("bace", 2, steps)
    watch.tell(0, 1, 10, "")
    watch.tell(1, 4, 10, "")
    watch.finish(0, record)  # stopped early: the rest counts as done
    watch.tell(1, 10, 10, "")
    assert steps.steps == [(1, 20), (5, 20), (19, 20)]
    assert describe(record) == "bace seed 0: test network 70.1, last epoch -; best epoch 3, 12 s"
