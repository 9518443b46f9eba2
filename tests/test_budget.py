"""How much fits into an amount of memory, and which way of computing a step is taken."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from molft.errors import MolftError
from molft.train import ways
from molft.train.budget import Budget, Snapshot, no_trace
from molft.train.reading import rows_within
from molft.train.resident import (
    forget_peak,
    give_back,
    is_out_of_memory,
    keep_within,
    peak,
    peak_of_child,
    used,
)
from molft.train.ways import Choice, Way, choose_way, list_ways, step_down
from tests.meter import use_meter
from tests.series import block_of

CPU = torch.device("cpu")
MB = 10**6


# ------------------------------------------------------------------------------------------- measuring


def test_the_peak_of_a_piece_of_work_is_seen_and_forgotten() -> None:
    keep_within(CPU, 10**12)
    forget_peak(CPU)
    before = used(CPU)
    block = np.ones(100 * MB, np.uint8)
    assert peak(CPU) - before > 90 * MB
    del block
    assert used(CPU) - before < 50 * MB
    assert peak(CPU) - before > 90 * MB
    forget_peak(CPU)
    assert peak(CPU) - before < 50 * MB


def test_what_nobody_uses_is_given_back() -> None:
    blocks = [bytes(1000) for _ in range(100_000)]
    last = blocks[-1]  # lies above the others, so that the heap can't shrink by itself
    del blocks
    before = used(CPU)
    give_back(CPU)
    assert before - used(CPU) > 50 * MB
    assert last == bytes(1000)


def test_few_kernels_are_kept_unless_somebody_asked_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    monkeypatch.delenv(name, raising=False)
    keep_within(CPU, 10**12)
    assert os.environ[name] == "48"
    monkeypatch.setenv(name, "500")
    keep_within(CPU, 10**12)
    assert os.environ[name] == "500"


def test_without_children_a_size_is_assumed() -> None:
    assert peak_of_child() == 250 * MB


@pytest.mark.parametrize(("name", "number"), [("cuda", 3), ("cuda:1", 1)])
def test_on_a_gpu_torch_may_take_the_share_that_the_budget_is(
    name: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = []
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=16_000 * MB)
    )
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", lambda *given: allowed.append(given))
    for size in (4_000 * MB, 32_000 * MB):
        keep_within(torch.device(name), size)
    assert allowed == [(0.25, number), (1.0, number)]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((10**15,), np.dtype("f8")),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
        ),
    ],
)
def test_memory_that_ran_out_is_told_from_other_errors(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes"), ValueError("can't allocate memory"), KeyError("x")]
)
def test_other_errors_are_not_memory(error: Exception) -> None:
    assert not is_out_of_memory(error)


def test_torch_says_so_in_these_words() -> None:
    with pytest.raises(RuntimeError) as found:
        torch.empty(2**60)
    assert is_out_of_memory(found.value)


# ------------------------------------------------------------------------------------------- how much fits


@pytest.mark.parametrize(("size", "least", "most"), [(10_000, 200, 200), (1_100, 90, 100), (160, 4, 6)])
def test_as_many_as_fit(monkeypatch: pytest.MonkeyPatch, size: int, least: int, most: int) -> None:
    meter, tried = use_meter(monkeypatch), []

    def work(number: int) -> None:
        tried.append(number)
        meter.take(10 * number)
        assert number <= 32 or meter.top <= size, "the search itself went over the budget"

    found = Budget(size, CPU).most(np.full(200, 1), work)
    assert least <= found.molecules <= most
    assert found.peak == 100 + 10 * found.molecules
    assert len(tried) < 12


def test_a_reserve_is_kept_free(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = use_meter(monkeypatch)
    found = Budget(1_100, CPU).most(np.full(200, 1), lambda number: meter.take(10 * number), reserve=500)
    assert 40 <= found.molecules <= 50


def test_heavier_molecules_further_on_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = use_meter(monkeypatch)
    atoms = np.array([1] * 40 + [10] * 40)
    found = Budget(1_100, CPU).most(atoms, lambda number: meter.take(10 * int(atoms[:number].sum())))
    assert 40 <= found.molecules <= 46  # 40 + 6 x 10 = 100 atoms


def test_not_even_one(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = use_meter(monkeypatch)
    assert Budget(105, CPU).most(np.full(9, 1), lambda number: meter.take(10 * number)).molecules == 0


def test_running_out_counts_as_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = use_meter(monkeypatch)

    def work(number: int) -> None:
        if number > 10:
            raise torch.OutOfMemoryError("CUDA out of memory")
        meter.take(number)

    assert Budget(10_000, CPU).most(np.full(200, 1), work).molecules == 8


def test_another_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    use_meter(monkeypatch)
    with pytest.raises(ZeroDivisionError):
        Budget(10_000, CPU).most(np.full(9, 1), lambda number: 1 // 0)


def test_more_held_than_the_budget_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    use_meter(monkeypatch).held = 700 * MB
    with pytest.raises(MolftError, match=r"--memory 512 MB: .* holds 700 MB .* give at least 875 MB"):
        Budget(512 * MB, CPU).begin()


def test_rows_to_read_are_counted_where_the_molecules_are_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = use_meter(monkeypatch)
    graphs = block_of(["C" * 20] * 50 + ["CC"] * 50).graphs
    budget = Budget(1_100, CPU)
    found = rows_within(budget, graphs, lambda some: meter.take(len(some.atoms)), 100)
    assert 40 <= found <= 50
    assert rows_within(budget, graphs.take(np.arange(50, 100)), lambda some: meter.take(1), 100) == 50


# ------------------------------------------------------------------------------------------- ways

GIN = list_ways("gin", half=False, may_halve=True)


def test_ways_from_fast_to_small() -> None:
    assert GIN == [Way("all"), Way("states"), Way("pieces"), Way("pieces", True)]
    assert list_ways("gin", half=True, may_halve=True) == [
        Way("all", True),
        Way("states", True),
        Way("pieces", True),
    ]
    assert list_ways("gat", half=False, may_halve=False) == [Way("all"), Way("states")]


@pytest.mark.parametrize(
    ("size", "choice", "told"),
    [
        (9_000, Choice(Way("all"), 1, 6_500), "layers keep all, batch of 64 whole"),
        (5_000, Choice(Way("states"), 1, 3_300), "layers keep their inputs only (same result), batch of 64"),
        (
            3_000,
            Choice(Way("pieces"), 1, 2_660),
            "work in pieces (same result to rounding), batch of 64 whole",
        ),
        (2_000, Choice(Way("pieces", True), 1, 1_380), "16 bits, batch of 64 whole"),
        (800, Choice(Way("pieces", True), 2, 740), "16 bits, batch of 64 in 2 parts of 32 (each normalised"),
        (600, Choice(Way("pieces", True), 3, 540), "16 bits, batch of 64 in 3 parts of 22 (each normalised"),
    ],
)
def test_the_first_way_in_which_the_whole_batch_fits(
    monkeypatch: pytest.MonkeyPatch, size: int, choice: Choice, told: str
) -> None:
    meter, lines = use_meter(monkeypatch), []
    cost = dict(zip(GIN, (100, 50, 40, 20), strict=True))
    found = choose_way(
        Budget(size, CPU, lines.append), GIN, np.full(64, 1), lambda way, n: meter.take(cost[way] * n)
    )
    assert (found.way, found.parts) == (choice.way, choice.parts)
    assert found.peak == choice.peak
    assert len(lines) == 1
    assert told in lines[0]


def test_in_16_bits_room_is_left_for_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = use_meter(monkeypatch)
    monkeypatch.setattr(ways, "_KERNELS", 500)

    def work(_: Way, number: int) -> None:
        meter.take(10 * number)

    def parts(way: Way) -> int:
        return choose_way(Budget(1_200, CPU), [way], np.full(90, 1), work).parts

    assert parts(Way("all")) == 1
    assert parts(Way("all", half=True)) == 2  # 0.95 x 1,200 - 100 held - 500: at most 54 molecules of 90


def test_when_not_even_one_molecule_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = use_meter(monkeypatch)
    with pytest.raises(MolftError, match=r"not even one molecule \(the first has 7 atoms\) fit into a step"):
        choose_way(Budget(105, CPU), GIN, np.full(64, 7), lambda way, number: meter.take(10 * number))


def test_back_off_ends_at_single_molecules() -> None:
    choice, seen = Choice(Way("states"), 1, 0), []
    while choice is not None:
        seen.append((choice.way.keeping, choice.way.half, choice.parts))
        choice = step_down(GIN, choice, batch=9, least=2)
    assert seen == [
        ("states", False, 1),
        ("pieces", False, 1),
        ("pieces", True, 1),
        ("pieces", True, 2),
        ("pieces", True, 4),
    ]


# ------------------------------------------------------------------------------------------- no trace


def test_a_trial_leaves_no_trace() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout())
    before, numbers = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    with no_trace(model, CPU):
        model(torch.randn(5, 2)).sum().backward()
        assert int(model[1].num_batches_tracked) == 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), numbers)
    assert all(p.grad is None for p in model.parameters())


def test_a_snapshot_puts_statistics_back() -> None:
    norm = nn.BatchNorm1d(2)
    before = Snapshot(norm, CPU)
    norm(torch.randn(9, 2))
    before.restore()
    assert norm.running_mean.tolist() == [0.0, 0.0]
    assert norm.running_var.tolist() == [1.0, 1.0]
