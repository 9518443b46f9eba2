"""The curves of a pre-training run as a picture."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

from molft.errors import MolftError
from molft.files import atomic


def plot_reports(reports: Path, picture: Path) -> None:
    """Draw the held-out loss and score of each objective over the steps, from ``metrics.jsonl`` to a PNG.

    The loss is a line, the score (best is 1) a dashed one with its scale on the right. A file without a whole
    report is a :class:`MolftError`.
    """
    lines = [json.loads(line) for line in reports.read_text().splitlines() if line]
    names = [key.removesuffix("_score") for key in (lines[0] if lines else {}) if key.endswith("_score")]
    if not names:
        raise MolftError(f"{reports} holds no report yet")
    steps = [line["step"] for line in lines]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.9 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for name, axis in zip(names, axes, strict=False):
        axis.plot(steps, [line[f"{name}_loss"] for line in lines], color="#1f5fa8")
        axis.set(title=name, xlabel="step")
        axis.set_ylabel("held-out loss", color="#1f5fa8")
        right = axis.twinx()
        right.plot(steps, [line[f"{name}_score"] for line in lines], color="#b3541e", linestyle="--")
        right.set_ylabel("score", color="#b3541e")
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    with atomic(picture) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
