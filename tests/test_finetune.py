"""Fine-tuning: it learns, keeps the best, leaves what is frozen alone, and survives a kill."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from molft.chem.graphs import Graphs
from molft.errors import MolftError
from molft.model.encoder import stage_of
from molft.model.network import Network
from molft.train.finetune import Examples, Progress, Task, _order, finetune
from molft.train.loop import predict
from molft.train.plan import Stage, make_plan
from tests.series import block_of, halogen_examples, pyridines
from tests.train_deeds import LAYERS, accuracy, gradual_task, same, strategy_task, tiny_network, weights


def full_task(train: Examples, task_type: str = "classification", **changes: Any) -> Task:  # noqa: ANN401
    plan = make_plan(len(train), task_type, pretrained=False, layers=LAYERS)
    plan = replace(plan, dropout=0.0, **changes)
    return Task(tiny_network(train.labels.shape[1]), train, train, plan, accuracy, seed=1)


# ------------------------------------------------------------------------------------------- learning


@pytest.mark.parametrize("missing", [0, 3])
def test_twenty_molecules_are_learned_by_heart(missing: int) -> None:
    train = halogen_examples(20, missing)
    task = full_task(train, epochs=60, patience=60, head_rate=0.01, encoder_rate=0.01, batch_size=10)
    progress = finetune(task)
    assert progress.best_score == 1.0
    assert progress.history[-1]["train_loss"] < 0.05 < 0.5 < progress.history[0]["train_loss"]
    assert accuracy(train, predict(task.network, train.graphs)) == 1.0


def test_twenty_values_are_learned_by_heart() -> None:
    block = block_of(pyridines(20), forest=True)
    mass = block.descriptors[:, 0]
    labels = ((mass - mass.mean()) / mass.std())[:, None].astype(np.float32)
    train = Examples(block.graphs, labels, np.zeros(labels.shape, np.int8))
    task = full_task(
        train, "regression", epochs=80, patience=80, head_rate=0.01, encoder_rate=0.01, batch_size=20
    )
    task = replace(task, score=lambda examples, outputs: -float(np.abs(outputs - examples.labels).max()))
    finetune(task)
    np.testing.assert_allclose(predict(task.network, train.graphs), labels, atol=0.35)


def test_two_molecules_of_one_atom_can_be_trained_on() -> None:
    graphs = block_of(["C", "O"]).graphs
    train = Examples(graphs, np.array([[0.0], [1.0]], np.float32), np.zeros((2, 1), np.int8))
    progress = finetune(full_task(train, epochs=2))
    assert len(progress.history) == 2
    assert all(np.isfinite(record["train_loss"]) for record in progress.history)


def test_a_batch_without_labels_changes_no_result_to_nan() -> None:
    train = halogen_examples(12)
    labels = train.labels.copy()
    labels[1:] = np.nan  # one label, batches of four: two of three batches have none
    task = full_task(replace(train, labels=labels), epochs=3, batch_size=4)
    finetune(task)
    assert all(torch.isfinite(tensor).all() for tensor in task.network.state_dict().values())


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_molecules_are_refused(count: int) -> None:
    few = halogen_examples(5)
    train = Examples(few.graphs.take(range(count)), few.labels[:count], few.bounds[:count])
    with pytest.raises(MolftError, match=rf"{count} training molecule\(s\); at least two are needed"):
        finetune(full_task(train))


@pytest.mark.parametrize("oversample", [False, True])
def test_molecules_without_any_label_are_refused(oversample: bool) -> None:
    train = halogen_examples(5)
    with pytest.raises(MolftError, match="no training molecule has a label"):
        finetune(full_task(replace(train, labels=np.full_like(train.labels, np.nan)), oversample=oversample))


def test_a_plan_for_another_encoder_is_refused() -> None:
    task = gradual_task(stages=(Stage(0, 6),))
    with pytest.raises(MolftError, match="can't freeze 6 states; expected 0 to 3"):
        finetune(task)


# -------------------------------------------------------------------------- which parts learn how fast


@pytest.mark.parametrize("frozen", [0, 1, 2, 3])
def test_frozen_parts_stay_the_same_bit_for_bit_and_the_others_move(frozen: int) -> None:
    task = gradual_task(stages=(Stage(0, frozen),), encoder_rate=0.01)
    before = weights(task.network)
    finetune(replace(task, score=lambda examples, outputs: None))
    after = task.network.state_dict()
    for name, tensor in before.items():
        state = stage_of(name.removeprefix("gnn."), LAYERS) if name.startswith("gnn.") else LAYERS + 1
        assert torch.equal(tensor, after[name]) == (state < frozen), name
    assert all(parameter.requires_grad for parameter in task.network.parameters())
    assert not task.network.training


def test_the_first_step_of_each_layer_is_its_learning_rate() -> None:
    """Adam's first step has the size of the learning rate, whatever the gradient."""
    task = gradual_task()
    plan = replace(
        task.plan,
        stages=(Stage(0, 0),),
        epochs=1,
        batch_size=64,
        dropout=0.0,
        weight_decay=0.0,
        head_rate=0.02,
        encoder_rate=0.01,
        layer_decay=0.5,
    )
    before = weights(task.network)
    finetune(replace(task, plan=plan, score=lambda examples, outputs: None))
    moved = {n: float((t - before[n]).abs().max()) for n, t in task.network.state_dict().items()}
    assert moved["graph_pred_linear.weight"] == pytest.approx(0.02, rel=1e-3)
    assert moved["gnn.gnns.1.mlp.0.weight"] == pytest.approx(0.01, rel=1e-3)
    assert moved["gnn.gnns.0.mlp.0.weight"] == pytest.approx(0.005, rel=1e-3)
    assert moved["gnn.batch_norms.0.weight"] == pytest.approx(0.005, rel=1e-3)
    assert moved["gnn.x_embedding1.weight"] == pytest.approx(0.0025, rel=1e-3)


def test_a_gradient_that_explodes_is_clipped() -> None:
    """With a clip of (nearly) nothing, the step is nearly nothing: Adam's epsilon rules."""
    task = gradual_task(stages=(Stage(0, 0),), clip=1e-12, weight_decay=0.0)
    before = weights(task.network)
    finetune(replace(task, score=lambda examples, outputs: None))
    assert all(
        (parameter - before[name]).abs().max() < 1e-6 for name, parameter in task.network.named_parameters()
    )


def head_first_task() -> Task:
    """Six epochs, three of them for the head."""
    return strategy_task("lp-ft", epochs=6, probe=3, stages=(Stage(0, 3), Stage(3, 0)))


def test_the_head_s_own_epochs_leave_the_encoder_alone() -> None:
    task = head_first_task()
    seen = [weights(task.network)]
    finetune(task, on_epoch=lambda record: seen.append(weights(task.network)))
    for epoch in range(1, 7):
        moved = {
            name for name, tensor in seen[epoch].items() if not torch.equal(tensor, seen[epoch - 1][name])
        }
        assert any(name.startswith("graph_pred_linear.") for name in moved)
        assert any(name.startswith("gnn.") for name in moved) == (epoch > 3), epoch


def test_the_learning_rate_begins_anew_after_the_head_s_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int, int]] = []

    def factor(step: int, steps: int, warmup: int, floor: float) -> float:
        asked.append((step, steps, warmup))
        return 0.1

    monkeypatch.setattr("molft.train.finetune.warmup_cosine", factor)
    finetune(head_first_task())  # 40 molecules in batches of 16: three steps an epoch
    assert asked == [(step, 9, 1) for step in range(9)] * 2


def test_validation_of_a_frozen_encoder_is_that_of_the_whole_network() -> None:
    """Its molecule vectors are made once; nothing else changes."""
    outputs: list[NDArray[np.float32]] = []

    def keep(examples: Examples, found: NDArray[np.float32]) -> None:
        outputs.append(found)

    def check(record: dict[str, Any]) -> None:
        whole = predict(task.network, task.valid.graphs)
        np.testing.assert_allclose(outputs[-1], whole, rtol=1e-5, atol=1e-6)

    task = replace(head_first_task(), score=keep, valid=halogen_examples(9))
    finetune(task, on_epoch=check)
    assert len(outputs) == 6


# ---------------------------------------------------------------------- which epoch is kept, and the end


def scores(values: list[float | None]) -> Callable[[Examples, NDArray[np.float32]], float | None]:
    """A validation score that is read from a list."""
    left: Iterator[float | None] = iter(values)
    return lambda examples, outputs: next(left)


def run(values: list[float | None], **changes: Any) -> tuple[Progress, list[dict[str, Tensor]], Network]:  # noqa: ANN401
    """Train with the given scores; the weights after each epoch."""
    task = gradual_task(epochs=len(values), **changes)
    seen: list[dict[str, Tensor]] = []
    progress = finetune(
        replace(task, score=scores(values)), on_epoch=lambda record: seen.append(weights(task.network))
    )
    return progress, seen, task.network


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([0.1, 0.9, 0.2, 0.3], 2),
        ([0.5, 0.5, 0.5], 1),  # a tie is no improvement
        ([0.1, 0.2, 0.3], 3),
        ([-5.0, -2.0, -3.0], 2),  # regression: an error with its sign turned
        ([None, None, 0.2, 0.1], 3),
        ([0.2, None, 0.1], 1),
        ([None, None, None], 3),  # never defined: the last
        ([float("nan"), 0.3, float("nan")], 2),
    ],
)
def test_the_best_epoch_is_kept(values: list[float | None], kept: int) -> None:
    progress, seen, network = run(values)
    assert len(seen) == len(values)
    assert same(weights(network), seen[kept - 1])
    if any(value is not None for value in values):
        assert (progress.best_epoch, progress.best_score) == (kept, values[kept - 1])


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([0.9, 0.8, 0.2, 0.3], 4),  # the first two may not be picked
        ([0.9, 0.8, 0.3, 0.3], 3),
        ([0.9, 0.8, None, 0.1], 4),
        ([0.9, None, None, None], 4),  # none that counts: the last
    ],
)
def test_validation_picks_from_the_epochs_that_the_plan_lets_it(
    values: list[float | None], kept: int
) -> None:
    progress, seen, network = run(values, judged=2, patience=2)
    assert len(seen) == len(values)
    assert same(weights(network), seen[kept - 1])
    assert progress.best_epoch == (kept if any(v is not None for v in values[2:]) else -1)


def test_an_undefined_score_is_said_in_the_history() -> None:
    progress, _, _ = run([None, 0.5, None])
    assert ["note" in record for record in progress.history] == [True, False, False]
    assert "undefined; the last epoch is kept" in progress.history[0]["note"]
    assert [record["valid_score"] for record in progress.history] == [None, 0.5, None]


def test_a_score_that_is_never_defined_has_no_best_epoch() -> None:
    progress, _, _ = run([None, None])
    assert progress.best_epoch == -1
    assert Progress.from_json(progress.to_json()) == progress
    assert progress.to_json()["best_score"] is None


@pytest.mark.parametrize(
    ("stages", "epochs"),
    [
        ((Stage(0, 0),), 4),  # best in epoch 1, then three without a better one
        ((Stage(0, 3), Stage(3, 0)), 6),  # the wait begins when everything is released
    ],
)
def test_patience_ends_a_training(stages: tuple[Stage, ...], epochs: int) -> None:
    progress, _, _ = run([0.9] + [0.1] * 9, stages=stages, patience=3)
    assert progress.epoch == len(progress.history) == epochs
    assert progress.best_epoch == 1


def test_without_a_score_patience_never_runs_out() -> None:
    progress, _, _ = run([None] * 6, patience=1)
    assert progress.epoch == 6


# ------------------------------------------------------------------------------------------ oversampling


def drawn(labels: list[list[float]], oversample: bool = True, epochs: int = 200) -> NDArray[np.int64]:
    """How often each molecule comes in many epochs."""
    array = np.array(labels, np.float32)
    train = Examples(Graphs.empty(2, 2), array, np.zeros(array.shape, np.int8))
    task = replace(gradual_task(oversample=oversample), train=train)
    if not oversample:
        task = replace(task, train=replace(halogen_examples(len(array)), labels=array))
    return sum(np.bincount(_order(task, epoch), minlength=len(array)) for epoch in range(epochs))


def test_without_oversampling_every_molecule_comes_once_an_epoch() -> None:
    assert drawn([[1.0]] + [[0.0]] * 9, oversample=False).tolist() == [200] * 10


def test_both_classes_come_equally_often() -> None:
    often = drawn([[1.0]] * 5 + [[0.0]] * 95)  # 20,000 draws, half of them for five molecules
    assert often.sum() == 20_000
    assert abs(often[:5].sum() - 10_000) < 4 * np.sqrt(20_000 * 0.25)
    assert np.abs(often[:5] - 2000).max() < 4.5 * np.sqrt(20_000 * 0.1 * 0.9)


def test_a_molecule_without_label_is_never_drawn() -> None:
    often = drawn([[1.0], [np.nan], [0.0], [np.nan]])
    assert often[[1, 3]].tolist() == [0, 0]


def test_one_class_only_is_drawn_evenly() -> None:
    often = drawn([[1.0]] * 10)
    assert np.abs(often - 200).max() < 4.5 * np.sqrt(2000 * 0.1 * 0.9)


def test_with_many_tasks_the_rarest_label_counts() -> None:
    # 0.5 / share: for the first molecule 0.5 / 0.1 = 5 (task 1); for the others 0.5 / 0.5 = 1 (task 2).
    labels = [[1.0, 0.0]] + [[0.0, float(row % 2)] for row in range(1, 10)]
    often = drawn(labels)
    assert often[0] / often.sum() == pytest.approx(5 / 14, rel=0.1)


def test_an_order_depends_on_seed_and_epoch_alone() -> None:
    task = gradual_task(oversample=True)
    assert np.array_equal(_order(task, 3), _order(task, 3))
    assert not np.array_equal(_order(task, 3), _order(task, 4))
