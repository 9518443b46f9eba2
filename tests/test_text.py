"""Durations, rates and names as people read them."""

import pytest

from molft.use.text import clean, format_rate, format_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599.6, "1 h 0 min"), (90000, "25 h 0 min")],
)
def test_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"), [(12345.6, "12,346/s"), (10, "10/s"), (9.94, "9.9/s"), (1, "1.0/s"), (0.5, "2 s each")]
)
def test_rate(rate: float, text: str) -> None:
    assert format_rate(rate) == text


def test_line_ends_stay_and_steering_goes() -> None:
    assert clean("naïve 分子\nB\tC\x00\x85") == "naïve 分子\nB\ufffdC\ufffd\ufffd"
