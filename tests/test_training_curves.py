"""The picture of a pre-training run."""

import json
from pathlib import Path

import pytest

from molft.errors import MolftError
from molft.use.training_curves import plot_reports


def report(step: int, names: tuple[str, ...]) -> str:
    numbers = {f"{name}_{what}": 1.0 / step for name in names for what in ("loss", "score")}
    return json.dumps({"step": step, "train_loss": 2.0} | numbers) + "\n"


@pytest.mark.parametrize("names", [("masking",), ("masking", "context", "edges", "labels")])
def test_a_png_is_drawn(names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(report(1, names) + report(2, names))
    plot_reports(tmp_path / "metrics.jsonl", tmp_path / "metrics.png")
    assert (tmp_path / "metrics.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("text", ["", '{"step": 1}\n'])
def test_a_file_without_reports_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(MolftError, match="holds no report"):
        plot_reports(tmp_path / "metrics.jsonl", tmp_path / "metrics.png")
    assert not (tmp_path / "metrics.png").exists()
