"""Trainings within a memory budget: the same result where it is promised, and a way out where memory ends."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from molft.errors import MolftError
from molft.model.config import NetworkConfig
from molft.model.network import Network, build_network
from molft.train import finetune_step
from molft.train import pretrain as pretraining
from molft.train.budget import Budget
from molft.train.encoders import new_encoder
from molft.train.finetune import Task, finetune
from molft.train.finetune_step import Run, _learn_parts
from molft.train.lean import Lean
from molft.train.losses import ClassBalance, build_loss
from molft.train.pretrain import pretrain
from molft.train.processes import Processes
from molft.train.ways import Choice, Way, list_ways
from tests.meter import use_meter
from tests.train_deeds import SMALL, gradual_task, same, small_store, strategy_task, weights

CPU = torch.device("cpu")
PLENTY = 10**12


def full_task(**changes: Any) -> Task:  # noqa: ANN401
    return strategy_task("full", **changes)


def within(task: Task, size: int, lines: list[str] | None = None, **changes: Any) -> Task:  # noqa: ANN401
    told = [].append if lines is None else lines.append
    return replace(task, budget=Budget(size, CPU, told), **changes)


def trained(task: Task) -> dict[str, Tensor]:
    finetune(task)
    return weights(task.network)


def close(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=tolerance, atol=tolerance, msg=name)


# ------------------------------------------------------------------------------------------- the same result


@pytest.mark.parametrize("begin", [gradual_task, full_task])
def test_with_plenty_of_memory_a_training_is_what_it_was_bit_for_bit(begin: Callable[[], Task]) -> None:
    lines: list[str] = []
    assert same(trained(begin()), trained(within(begin(), PLENTY, lines)))
    assert all("layers keep all, batch of 14 whole" in line for line in lines)
    assert lines


def wide_network() -> Network:
    torch.manual_seed(0)
    return build_network(new_encoder("snap", layers=5, width=300), NetworkConfig(tasks=1))


def force(monkeypatch: pytest.MonkeyPatch, choice: Choice) -> None:
    """Let every training within a budget be computed so."""

    def choose(self: Lean, work: object, atoms: object, reserve: int) -> None:
        self._use(choice)

    monkeypatch.setattr(Lean, "choose", choose)


@pytest.mark.parametrize("strategy", ["full", "gradual", "lora", "adapter", "wise-ft"])
def test_layers_that_keep_their_inputs_train_the_same_bit_for_bit(
    strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = trained(strategy_task(strategy))
    force(monkeypatch, Choice(Way("states"), 1, 0))
    task = within(strategy_task(strategy), PLENTY)
    assert same(plain, trained(task))
    assert task.network.encoder.keeping == "all"


def test_layers_in_pieces_train_the_same_to_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = trained(full_task())
    force(monkeypatch, Choice(Way("pieces"), 1, 0))
    close(plain, trained(within(full_task(), PLENTY)), 1e-3)


def gradients(task: Task, parts: int) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of a batch in 64 bits."""
    network = task.network.double()
    network.train()
    labels = task.train.labels
    run = Run(task, torch.optim.SGD(network.parameters()), build_loss("bce", ClassBalance.of(labels)), {})
    run.lean = Lean(Budget(PLENTY, CPU), network, list_ways("gin", False, False))
    run.lean._use(Choice(Way("states"), parts, 0))
    network.zero_grad()
    loss = _learn_parts(run, np.arange(30))
    found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    return loss, found


@pytest.mark.parametrize("parts", [2, 3, 7])
def test_parts_add_up_to_the_whole_where_normalisation_is_frozen(parts: int) -> None:
    task = full_task(dropout=0.0)
    task.network.encoder.dropout = 0.0
    task = replace(task, train=replace(task.train, labels=task.train.labels.astype(np.float64)))
    task.network.encoder.freeze(3)  # all layers: eval mode, and so running statistics
    loss, whole = gradients(task, 1)
    again, split = gradients(task, parts)
    assert again == pytest.approx(loss, rel=1e-12)
    assert whole.keys() == split.keys() == {"graph_pred_linear.weight", "graph_pred_linear.bias"}
    close(whole, split, 1e-12)


def test_parts_normalise_each_by_itself_and_statistics_are_their_mean() -> None:
    task = full_task(dropout=0.0)
    task = replace(task, train=replace(task.train, labels=task.train.labels.astype(np.float64)))
    loss, whole = gradients(task, 1)
    task.network.load_state_dict(weights(full_task().network))
    again, split = gradients(task, 3)
    assert again != loss
    assert again == pytest.approx(loss, rel=0.1)
    norm = task.network.encoder.batch_norms[0]
    assert not torch.equal(norm.running_mean, torch.zeros(16))
    for name, value in whole.items():
        if name.startswith("graph_pred_linear"):
            torch.testing.assert_close(split[name], value, rtol=0.5, atol=0.05)


# ------------------------------------------------------------------------------------------- memory ends


def fail_once(monkeypatch: pytest.MonkeyPatch, error: Exception, after: int) -> None:
    """Let the ``after``-th gradient fail, when all of it was computed."""
    real, calls = finetune_step._learn, []

    def learn(run: Run, rows: object, share: float = 1.0) -> float:
        loss = real(run, rows, share)
        calls.append(loss)
        if len(calls) == after:
            raise error
        return loss

    monkeypatch.setattr(finetune_step, "_learn", learn)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 999 bytes"),
        MemoryError(),
    ],
)
def test_a_step_that_ran_out_of_memory_is_done_again_in_less(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, lines = trained(full_task()), []
    force(monkeypatch, Choice(Way("all"), 1, 0))
    fail_once(monkeypatch, error, after=5)
    # The next way gives the same bits, so this is only so if nothing of the failed step is left.
    assert same(plain, trained(within(full_task(), PLENTY, lines)))
    assert [line.split("; ")[-1] for line in lines] == [
        "from here on: layers keep their inputs only (same result), batch of 13 whole"
    ]


def test_another_error_ends_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    force(monkeypatch, Choice(Way("all"), 1, 0))
    fail_once(monkeypatch, RuntimeError("shapes"), after=5)
    with pytest.raises(RuntimeError, match="shapes"):
        finetune(within(full_task(), PLENTY))


def test_when_one_molecule_is_too_much_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    meter, lines = use_meter(monkeypatch), []
    force(monkeypatch, Choice(Way("all"), 1, 0))

    def learn(run: Run, rows: object, share: float = 1.0) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(finetune_step, "_learn", learn)
    with pytest.raises(MolftError, match=r"--memory 0 MB: not even one molecule fit into a step beside the"):
        finetune(within(full_task(), meter.held + 1, lines, may_halve=True))
    assert len(lines) == 6  # two more ways, 16 bits, and 2, 4 and 8 parts of 14 molecules
    assert "16 bits, batch of 14 in 8 parts of 2" in lines[-1]


def test_a_step_above_the_budget_changes_the_way_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    meter, lines = use_meter(monkeypatch), []
    plain = trained(full_task())
    real = finetune_step._learn

    def learn(run: Run, rows: Any, share: float = 1.0) -> float:  # noqa: ANN401
        meter.take(9e5 if run.task.network.encoder.keeping == "all" and len(lines) else 10)
        return real(run, rows, share)

    monkeypatch.setattr(finetune_step, "_learn", learn)
    assert same(plain, trained(within(full_task(), 200_000, lines)))
    assert len(lines) == 2
    assert "layers keep all, batch of 14 whole; measured" in lines[0]
    assert "was not enough; from here on: layers keep their inputs only" in lines[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda_a_training_keeps_within_what_it_would_exceed() -> None:
    def task() -> Task:
        wide = replace(full_task(batch_size=40), network=wide_network().to("cuda"))
        return wide

    torch.cuda.reset_peak_memory_stats()
    finetune(task())
    plain, lines = torch.cuda.max_memory_allocated(), []
    size = int(0.7 * plain)
    try:
        torch.cuda.reset_peak_memory_stats()
        finetune(replace(task(), budget=Budget(size, torch.device("cuda"), lines.append), may_halve=True))
        assert torch.cuda.max_memory_allocated() <= size
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "layers keep their inputs only" in lines[0]


def test_a_small_step_is_not_to_blame_for_what_else_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = use_meter(monkeypatch)
    meter.held = 990
    exceeded = Budget(1_000, CPU).watch()
    meter.take(40)
    assert not exceeded()
    meter.take(60)
    assert exceeded()


# ------------------------------------------------------------------------------------------- pre-training


def test_pretraining_with_plenty_of_memory_is_what_it_was(tmp_path: Path) -> None:
    store, lines = small_store(tmp_path / "store"), []
    plain = pretrain(store, tmp_path / "plain", SMALL)
    config = replace(SMALL, precision="float32")
    plain = pretrain(store, tmp_path / "32", config)
    found = pretrain(store, tmp_path / "budget", config, budget=Budget(PLENTY, CPU, lines.append))
    assert same(plain.state_dict(), found.state_dict())
    assert len(lines) == 1
    assert "layers keep all, batch of 30 whole" in lines[0]


def test_pretraining_in_layers_that_keep_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objectives = {"masking": 1.0, "context": 0.5, "contrastive": 0.5, "infomax": 0.1}
    config = replace(SMALL, objectives=objectives, precision="float32", epochs=1)
    store = small_store(tmp_path / "store")
    plain = pretrain(store, tmp_path / "plain", config)
    force(monkeypatch, Choice(Way("states"), 1, 0))
    found = pretrain(store, tmp_path / "little", config, budget=Budget(PLENTY, CPU))
    assert same(plain.state_dict(), found.state_dict())


def test_parts_that_memory_takes_are_those_of_accumulate_and_are_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(SMALL, precision="float32")
    store = small_store(tmp_path / "store")
    plain = pretrain(store, tmp_path / "plain", replace(config, parts=3))
    force(monkeypatch, Choice(Way("states"), 3, 0))

    class Stop(Exception):
        pass

    def stop(facts: dict[str, float]) -> None:
        assert facts["parts"] == 3
        if facts["step"] == 4:
            raise Stop

    begun = {"checkpoint_every_s": -1.0, "report_every": 1, "on_report": stop}
    with pytest.raises(Stop):
        pretrain(store, tmp_path / "run", config, budget=Budget(PLENTY, CPU), **begun)
    with pytest.raises(MolftError, match="begun with other options"):
        pretrain(store, tmp_path / "run", config, resume=True)
    force(monkeypatch, Choice(Way("pieces"), 1, 0))
    found = pretrain(store, tmp_path / "run", config, resume=True, budget=Budget(PLENTY, CPU))
    close(plain.state_dict(), found.state_dict(), 1e-3)
    # Whoever knows the parts can go on without a budget.
    assert pretrain(store, tmp_path / "run", replace(config, parts=3), resume=True) is not None


def test_a_pretraining_step_that_ran_out_of_memory_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, store, lines = replace(SMALL, precision="float32"), small_store(tmp_path / "store"), []
    plain = pretrain(store, tmp_path / "plain", config)
    force(monkeypatch, Choice(Way("all"), 1, 0))
    real, calls = pretraining._learn, []

    def learn(*arguments: Any) -> Tensor:  # noqa: ANN401
        loss = real(*arguments)
        calls.append(loss)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss

    monkeypatch.setattr(pretraining, "_learn", learn)
    found = pretrain(store, tmp_path / "run", config, budget=Budget(PLENTY, CPU, lines.append))
    assert same(plain.state_dict(), found.state_dict())
    assert len(lines) == 1
    assert "layers keep their inputs only (same result), batch of 30 whole" in lines[0]


def test_several_processes_take_the_way_of_the_one_with_least_room(monkeypatch: pytest.MonkeyPatch) -> None:
    class Two(Processes):
        def sum(self, tensors: Any) -> None:  # noqa: ANN401
            for tensor in tensors:
                tensor[1] = torch.tensor([2, 4])  # the other's: the third way, 4 parts

    network = full_task().network
    lean = Lean(Budget(PLENTY, CPU), network, list_ways("gin", False, True), 1, Two(0, 2))
    assert lean._agree(Choice(Way("all"), 1, 7)) == Choice(Way("pieces"), 4, 7)
