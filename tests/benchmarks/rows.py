"""Result tables that grow row by row: a measurement that stands there isn't made again."""

import csv
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[2] / "data" / "results"


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table; none where it doesn't exist."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def is_known(path: Path, key: dict[str, object]) -> bool:
    """Whether a row with these values stands in the table."""
    wanted = {name: str(value) for name, value in key.items()}
    return any(wanted.items() <= row.items() for row in read_rows(path))


def append_row(path: Path, fields: Sequence[str], row: dict[str, object]) -> None:
    """Add a row, and the names of the columns before the first one; print it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerow(row)
    print(" ".join(f"{name}={value}" for name, value in row.items()), flush=True)
