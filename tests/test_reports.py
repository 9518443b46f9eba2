"""Report lines of a run that was killed and goes on."""

import json
from pathlib import Path

import pytest

from molft.train.reports import append_report, forget_reports


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Reports of steps 10, 20 and 30."""
    for step in (10, 20, 30):
        append_report(tmp_path / "metrics.jsonl", {"step": step, "loss": 1 / step})
    return tmp_path / "metrics.jsonl"


def test_a_report_is_a_line(path: Path) -> None:
    assert path.read_text() == (
        '{"step": 10, "loss": 0.1}\n{"step": 20, "loss": 0.05}\n{"step": 30, "loss": 0.03333}\n'
    )


@pytest.mark.parametrize(
    ("step", "kept"), [(0, []), (10, [10]), (25, [10, 20]), (30, [10, 20, 30]), (99, [10, 20, 30])]
)
def test_reports_behind_the_checkpoint_are_dropped(path: Path, step: int, kept: list[int]) -> None:
    forget_reports(path, step)
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == kept


@pytest.mark.parametrize("cut", ["", '{"step": 4', '{"step": 40, "loss": 0.02}'])
def test_a_line_that_was_cut_short_is_dropped(path: Path, cut: str) -> None:
    before = path.read_text()
    path.write_text(before + cut)
    forget_reports(path, 99)
    assert path.read_text() == before


def test_a_run_without_reports_has_none(tmp_path: Path) -> None:
    forget_reports(tmp_path / "metrics.jsonl", 5)
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_is_no_number_stops_the_report(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="round"):
        append_report(tmp_path / "metrics.jsonl", {"step": 1, "loss": "low"})  # type: ignore[dict-item]
