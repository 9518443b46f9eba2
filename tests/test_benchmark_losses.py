"""The benchmark of losses: what its summary says, and that a loss is really the one that was asked for."""

import pytest
import torch

from molft.model.encoder import Encoder
from molft.train.finetune import Progress, Task
from tests.benchmarks import losses
from tests.benchmarks.losses import LOSSES, METRICS, measure, summarize
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
    assert all(0 <= float(str(found[metric])) for metric in METRICS)
