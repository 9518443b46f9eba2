"""Batches made ahead: the same ones, in the same order, and the next one while this one is used."""

import threading

import numpy as np

from molft.train.prefetch import Prefetch

BATCHES = [np.array([0, 1]), np.array([2]), np.array([3, 4])]


def made_by(on: bool) -> list[tuple[list[int], str]]:
    """Which rows were made, by which thread, in the order of their use."""
    prefetch = Prefetch(lambda rows: (rows.tolist(), threading.current_thread().name), on)
    return [prefetch.take(rows) for rows in prefetch.through(BATCHES)]


def test_only_the_first_is_not_made_ahead() -> None:
    ahead, here = made_by(True), made_by(False)
    assert [rows for rows, _ in ahead] == [rows for rows, _ in here] == [[0, 1], [2], [3, 4]]
    assert [name.startswith("molft-batch") for _, name in ahead] == [False, True, True]
    assert not any(name.startswith("molft-batch") for _, name in here)


def test_a_part_and_a_second_asking_are_made_now() -> None:
    prefetch = Prefetch(lambda rows: rows.tolist(), True)
    seen = []
    for rows in prefetch.through(BATCHES):
        seen += [prefetch.take(rows[:1]), prefetch.take(rows), prefetch.take(rows)]
    assert seen == [[0], [0, 1], [0, 1], [2], [2], [2], [3], [3, 4], [3, 4]]


def test_the_next_is_begun_before_this_one_is_used() -> None:
    begun = threading.Event()

    def make(rows: np.ndarray) -> int:
        if len(rows) == 1:
            begun.set()
        return len(rows)

    prefetch = Prefetch(make, True)
    for rows in prefetch.through(BATCHES[:2]):
        assert begun.wait(30)
        assert prefetch.take(rows) == len(rows)
