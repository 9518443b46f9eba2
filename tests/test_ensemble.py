"""The networks of a model: each from its own seed, kept when finished, and the loss that proved better."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molft.errors import MolftError
from molft.model.encoder import Encoder
from molft.train.checkpoint import load_checkpoint
from molft.train.finetune import Examples, Progress, Task
from molft.train.plan import Plan, make_plan
from molft.use.ensemble import Ensemble, train_networks
from molft.use.options import Options, Silent
from tests.series import halogen_examples
from tests.small import ENCODER, small_model, small_options

Train = Callable[..., Progress]


class Heard(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[str, int, int, str]] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        self.steps.append((what, done, total, note))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def job(
    run: Path,
    *,
    loss: str = "bce",
    chosen: str = "auto",
    members: int = 2,
    encoder: str = "default",
    valid: Examples | None = None,
    reporter: Silent | None = None,
    **options: object,
) -> Ensemble:
    """Networks of two epochs on 24 molecules; ``loss`` is the plan's, ``chosen`` what the user said."""
    run.mkdir(exist_ok=True)
    torch.manual_seed(3)
    plan = make_plan(24, "classification", pretrained=True, layers=2, strategy="full", loss=loss, epochs=2)
    examples = halogen_examples(36)
    train, rest = (
        Examples(examples.graphs.take(rows), examples.labels[rows], examples.bounds[rows])
        for rows in (np.arange(24), np.arange(24, 36))
    )
    about = small_model(answer="network", members=members).about
    chosen_options: Options = small_options(encoder, loss=chosen, **options)
    return Ensemble(
        run, about, plan, Encoder(ENCODER), train, valid or rest, chosen_options, reporter or Silent()
    )


def scripted(scores: dict[str, float | None]) -> Train:
    """A training that does nothing and ends with the given validation score for its loss."""

    def train(task: Task, checkpoint: Path, on_epoch: Callable[[dict[str, Any]], None]) -> Progress:
        score = scores[task.plan.loss]
        if score is None:
            return Progress(epoch=1)
        return Progress(epoch=1, best_epoch=1, best_score=score)

    return train


def weights(network: torch.nn.Module) -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values())


def test_each_network_has_its_own_seed_and_the_same_one_again(tmp_path: Path) -> None:
    first, _, _ = train_networks(job(tmp_path / "a"))
    again, _, _ = train_networks(job(tmp_path / "b"))
    other, _, _ = train_networks(job(tmp_path / "c", seed=1))
    assert [weights(n) for n in first] == [weights(n) for n in again]
    assert len({weights(n) for n in (*first, *other)}) == 4
    assert not any(network.training for network in first)


def test_networks_start_from_the_encoder_they_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("molft.use.ensemble.finetune", scripted({"bce": 0.5}))
    given = job(tmp_path / "a")
    networks, _, _ = train_networks(given)
    assert weights(networks[0].encoder) == weights(networks[1].encoder) == weights(given.encoder)
    assert weights(networks[0].head) != weights(networks[1].head)
    fresh, _, _ = train_networks(job(tmp_path / "b", encoder="none"))
    assert len({weights(n.encoder) for n in fresh} | {weights(given.encoder)}) == 3


def test_finished_networks_are_kept_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    networks, plan, progress = train_networks(job(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "network-0-bce.safetensors",
        "network-1-bce.safetensors",
    ]
    assert load_checkpoint(tmp_path / "network-0-bce.safetensors")[1] == progress[0].to_json()
    monkeypatch.setattr("molft.use.ensemble.finetune", None)  # nothing may be trained any more
    again, same_plan, same_progress = train_networks(job(tmp_path))
    assert [weights(n) for n in again] == [weights(n) for n in networks]
    assert (same_plan, same_progress) == (plan, progress)


def test_a_finished_network_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "network-0-bce.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(
        MolftError, match=r"can't be read as a checkpoint .* remove it to start the run again"
    ):
        train_networks(job(tmp_path))


@pytest.mark.parametrize(
    ("focal", "bce", "used", "told"),
    [
        (0.6, 0.5, "focal", "loss focal is used (validation pr_auc: focal 0.600, bce 0.500)"),
        (0.5, 0.6, "bce", "loss bce is used (validation pr_auc: focal 0.500, bce 0.600)"),
        (0.5, 0.5, "bce", "loss bce is used"),  # focal has to do better
        (None, 0.5, "bce", "loss bce is used (validation pr_auc: focal undefined, bce 0.500)"),
        (0.5, None, "focal", "loss focal is used (validation pr_auc: focal 0.500, bce undefined)"),
        (None, None, "bce", "loss bce is used (validation pr_auc: focal undefined, bce undefined)"),
    ],
)
def test_an_automatic_focal_loss_must_do_better(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    focal: float | None,
    bce: float | None,
    used: str,
    told: str,
) -> None:
    monkeypatch.setattr("molft.use.ensemble.finetune", scripted({"focal": focal, "bce": bce}))
    heard = Heard()
    given = rare(job(tmp_path, loss="focal", members=3, reporter=heard))
    networks, plan, progress = train_networks(given)
    assert plan.loss == used
    assert heard.lines[0].startswith(told) and len(heard.lines) == 1
    assert len(networks) == len(progress) == 3
    kept = {path.stem for path in tmp_path.glob("network-[12]*")}
    assert kept == {f"network-1-{used}", f"network-2-{used}"}


def rare(given: Ensemble) -> Ensemble:
    """The same with a plan for rare classes, which selects by PR-AUC."""
    plan: Plan = make_plan(
        24, "classification", pretrained=True, layers=2, minority=0.1, loss=given.plan.loss, epochs=2
    )
    return Ensemble(given.run, given.about, plan, *list(vars(given).values())[3:])


def test_both_losses_are_really_trained(tmp_path: Path) -> None:
    networks, plan, _ = train_networks(job(tmp_path, loss="focal"))
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {
        "network-0-focal.safetensors",
        "network-0-bce.safetensors",
        f"network-1-{plan.loss}.safetensors",
    }
    tensors, _ = load_checkpoint(tmp_path / f"network-0-{plan.loss}.safetensors")
    for name, tensor in networks[0].state_dict().items():
        assert torch.equal(tensor, tensors[name])


@pytest.mark.parametrize(("loss", "chosen"), [("focal", "focal"), ("bce", "auto"), ("weighted", "weighted")])
def test_a_loss_that_was_asked_for_is_not_questioned(tmp_path: Path, loss: str, chosen: str) -> None:
    heard = Heard()
    _, plan, _ = train_networks(job(tmp_path, loss=loss, chosen=chosen, members=1, reporter=heard))
    assert plan.loss == loss and heard.lines == []
    assert [path.name for path in tmp_path.iterdir()] == [f"network-0-{loss}.safetensors"]


def test_progress_is_told_for_every_epoch(tmp_path: Path) -> None:
    heard = Heard()
    train_networks(job(tmp_path, reporter=heard))
    assert [step[:3] for step in heard.steps] == [
        (f"network {network} of 2, bce", epoch, 2) for network in (1, 2) for epoch in (1, 2)
    ]
    assert "validation roc_auc 0." in heard.steps[0][3] and "molecules/s" in heard.steps[0][3]


def test_an_undefined_validation_is_told_as_such(tmp_path: Path) -> None:
    heard, one_class = Heard(), halogen_examples(6)
    one_class.labels[:] = 1
    _, _, progress = train_networks(job(tmp_path, members=1, valid=one_class, reporter=heard))
    assert "validation roc_auc undefined" in heard.steps[0][3]
    assert progress[0].best_epoch == -1
    assert progress[0].history[-1]["note"] == "validation score undefined; the last epoch is kept"


def test_training_without_labels_is_refused(tmp_path: Path) -> None:
    given = job(tmp_path)
    given.train.labels[:] = np.nan
    with pytest.raises(MolftError, match="no training molecule has a label"):
        train_networks(given)
