"""Learning rates and orders that depend on the step alone."""

import numpy as np
import pytest

from molft.train.schedule import epoch_order, split_evenly, warmup_cosine


@pytest.mark.parametrize(
    ("step", "factor"),
    [
        (0, 0.25),  # the first of four warm-up steps
        (3, 1.0),
        (4, 1.0),  # the cosine starts at its top
        (8, 0.853553),  # a quarter of the way: (1 + cos(45 deg)) / 2
        (12, 0.5),
        (16, 0.146447),
        (20, 0.0),
        (25, 0.0),  # past the end it stays there
    ],
)
def test_warm_up_then_half_a_cosine(step: int, factor: float) -> None:
    assert warmup_cosine(step, 20, 4) == pytest.approx(factor, abs=1e-6)


def test_the_floor_is_the_end() -> None:
    assert warmup_cosine(20, 20, 4, floor=0.1) == pytest.approx(0.1)
    assert warmup_cosine(12, 20, 4, floor=0.1) == pytest.approx(0.55)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 1), (2, 1), (10, 1), (100, 10), (7, 7)])
def test_every_step_of_a_run_learns(steps: int, warmup: int) -> None:
    factors = [warmup_cosine(step, steps, warmup) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[warmup - 1] == 1.0
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)


def test_an_order_holds_every_row_once_and_is_the_same_again() -> None:
    order = epoch_order(100, seed=3, epoch=7)
    assert sorted(order) == list(range(100))
    assert np.array_equal(order, epoch_order(100, seed=3, epoch=7))


@pytest.mark.parametrize(("seed", "epoch"), [(3, 8), (4, 7), (7, 3)])
def test_another_seed_or_epoch_gives_another_order(seed: int, epoch: int) -> None:
    assert not np.array_equal(epoch_order(100, seed=3, epoch=7), epoch_order(100, seed, epoch))


@pytest.mark.parametrize(
    ("rows", "batch_size", "sizes"),
    [
        (65, 32, [22, 22, 21]),
        (64, 32, [32, 32]),
        (33, 32, [17, 16]),
        (31, 32, [31]),
        (4, 3, [2, 2]),
        (3, 1, [1, 1, 1]),
        (1, 32, [1]),
        (0, 32, [0]),
    ],
)
def test_batches_differ_by_one_at_most(rows: int, batch_size: int, sizes: list[int]) -> None:
    batches = split_evenly(np.arange(rows), batch_size)
    assert [len(batch) for batch in batches] == sizes
    assert np.concatenate(batches).tolist() == list(range(rows))


@pytest.mark.parametrize("batch_size", [3, 4, 32, 64])
def test_no_molecule_is_left_alone(batch_size: int) -> None:
    for rows in range(2, 200):
        assert min(len(batch) for batch in split_evenly(np.arange(rows), batch_size)) >= 2
