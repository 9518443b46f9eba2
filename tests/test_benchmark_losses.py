"""The benchmark of losses: what its summary says, and that a loss is really the one that was asked for."""

from pathlib import Path

import pytest
import torch

from molft.model.encoder import Encoder
from molft.train.finetune import Examples, Progress, Task
from tests.benchmarks import losses
from tests.benchmarks.losses import FIELDS, KEY, LOSSES, METRICS, measure, summarize
from tests.series import halogen_examples
from tests.small import ENCODER


def row(loss: str, seed: int, *values: str) -> dict[str, str]:
    key = {"set": "clintox", "rows": "1182", "loss": loss, "seed": str(seed)}
    return key | dict(zip(METRICS, values, strict=True))


def test_the_summary_is_the_mean_over_the_seeds() -> None:
    rows = [
        row("bce", 0, "0.2", "0.6", "1.0", "0.10"),
        row("focal", 0, "0.4", "0.8", "undefined", "0.30"),
        row("bce", 1, "0.4", "0.8", "2.0", "0.20"),
    ]
    assert [line.split() for line in summarize(rows)] == [
        ["set", "rows", "loss", "seeds", *METRICS],
        ["clintox", "1182", "bce", "2", "0.3000", "0.7000", "1.5000", "0.1500"],
        ["clintox", "1182", "focal", "1", "0.4000", "0.8000", "nan", "0.3000"],
    ]


@pytest.mark.parametrize("name", LOSSES)
def test_only_the_loss_changes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained; the plan is what is looked at."""
    seen: list[Task] = []

    def train(task: Task) -> Progress:
        seen.append(task)
        return Progress(epoch=3, best_epoch=2, best_score=0.25)

    monkeypatch.setattr(losses, "finetune", train)
    examples = halogen_examples(40)
    examples.labels[4:] = 0  # one molecule in twenty or so
    torch.manual_seed(0)
    found = measure(Encoder(ENCODER), examples, [examples, examples], name, "full", 0, "cpu")
    plan = seen[0].plan
    assert (plan.loss, plan.oversample) == LOSSES[name]
    assert (plan.select, found["select"], found["valid"], found["best_epoch"]) == (
        "pr_auc",
        "pr_auc",
        "0.2500",
        2,
    )
    assert found["positive"] == f"{(examples.labels == 1).mean():.4f}"
    assert found["tasks"] == 1
    assert {*KEY, "encoder", *found} == set(FIELDS)
    assert all(0 <= float(str(found[metric])) for metric in METRICS)


def test_a_row_that_stands_in_the_table_is_not_measured_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[int, str, int]] = []

    def measured(  # the arguments of losses.measure
        start: object, train: Examples, rest: object, name: str, strategy: str, seed: int, device: str
    ) -> dict[str, str]:
        asked.append((len(train), name, seed))
        return dict.fromkeys(FIELDS[len(KEY) + 1 :], "0.5")

    parts = [halogen_examples(n) for n in (40, 9, 9)]
    monkeypatch.setattr(losses, "read_parts", lambda name, scheme: (parts, "classification"))
    monkeypatch.setattr(losses, "measure", measured)
    words = ["losses", "--sets", "a", "--table", str(tmp_path / "t.csv"), "--losses", "bce", "focal"]
    for more in (["--seeds", "1"], ["--seeds", "2"], ["--seeds", "1", "--rows", "30"]):
        monkeypatch.setattr("sys.argv", [*words, *more])
        losses.main()
    assert asked == [(n, name, seed) for n, seed in ((40, 0), (40, 1), (30, 0)) for name in ("bce", "focal")]
    assert capsys.readouterr().out.splitlines()[-1].split()[:4] == ["a", "30", "focal", "1"]
