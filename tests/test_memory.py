"""Amounts of memory as people write them."""

import pytest

from molft.errors import MolftError
from molft.use.memory import parse_memory


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4_000_000_000),
        ("512MB", 512_000_000),
        ("3.5 GiB", 3_758_096_384),
        (" 600 mb ", 600_000_000),
        ("4G", 4_000_000_000),
        (".5GB", 500_000_000),
        ("2 KiB", 2048),
        ("7B", 7),
        ("1TB", 10**12),
    ],
)
def test_amounts(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    "text", ["", " ", "4", "GB", "-4GB", "4 PB", "4GBs", "1e9B", "4,5GB", "5iB", "nanGB"]
)
def test_what_is_no_amount_is_named(text: str) -> None:
    with pytest.raises(MolftError, match="no amount; expected a number with a unit, as 4GB"):
        parse_memory(text)


@pytest.mark.parametrize("text", ["0GB", "0.1B"])
def test_nothing_is_refused(text: str) -> None:
    with pytest.raises(MolftError, match="nothing; expected"):
        parse_memory(text)
