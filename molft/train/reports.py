"""The numbers of a long run as lines of JSON, one line for each report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from molft.files import write_atomic


def append_report(path: Path, facts: Mapping[str, float]) -> None:
    """Add a line with the numbers, rounded to five places."""
    with path.open("a") as file:
        file.write(json.dumps({name: round(value, 5) for name, value in facts.items()}) + "\n")


def forget_reports(path: Path, step: int) -> None:
    """Drop the reports behind ``step``, which a resumed run makes again, and a line that a kill cut short."""
    if path.exists():
        lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
        write_atomic(path, "".join(line for line in lines if json.loads(line)["step"] <= step))
