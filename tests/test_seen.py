"""Strings that came before, across the border between the recent and the old ones."""

import numpy as np
import pytest

from molft.data import seen as module
from molft.data.seen import Seen


def test_each_string_is_fresh_once() -> None:
    seen = Seen()
    assert seen.add(["a", "b", "a"]).tolist() == [0, 1]
    assert seen.add([]).tolist() == []
    assert seen.add(["b", "c", "a", "c"]).tolist() == [1]


@pytest.mark.parametrize("recent", [0, 3, 1000])
def test_it_agrees_with_a_set(recent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RECENT", recent)
    rng = np.random.default_rng(0)
    seen, oracle = Seen(), set()
    for _ in range(50):
        keys = [str(n) for n in rng.integers(0, 300, 20)]
        expected = [i for i, key in enumerate(keys) if key not in oracle and key not in keys[:i]]
        assert seen.add(keys).tolist() == expected
        oracle |= set(keys)


def test_text_is_needed() -> None:
    with pytest.raises(AttributeError, match="encode"):
        Seen().add([1])  # type: ignore[list-item]
