"""Published and own scores of a reproduction as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from molft.files import atomic

_MARKS: dict[str, dict[str, Any]] = {
    "none": {"marker": "o", "color": "#888888", "label": "published, no pre-training"},
    "ContextPred": {"marker": "s", "color": "#888888", "label": "published, context prediction"},
    "best": {"marker": "D", "color": "#444444", "label": "published, best known"},
    "network": {"marker": "o", "color": "#1f5fa8", "label": "network, epoch by validation"},
    "last epoch": {"marker": "x", "color": "#1f5fa8", "label": "network, last epoch"},
    "forest": {"marker": "^", "color": "#3a7d44", "label": "forest"},
    "gp": {"marker": "P", "color": "#8a6fb3", "label": "Gaussian process"},
    "blend": {"marker": "v", "color": "#b3541e", "label": "blend"},
    "answer": {"marker": "*", "color": "#b3541e", "label": "answer"},
}


def draw_results(rows: Sequence[dict[str, Any]], picture: Path) -> None:
    """Draw the rows of :func:`molft.use.reproduce_table.summarize` as points with standard deviations.

    Shares and RMSE have axes of their own. Written as PNG, whole or not at all.
    """
    groups = [
        [row for row in rows if (row["metric"] == "rmse") == values and row["seeds"]]
        for values in (False, True)
    ]
    groups = [group for group in groups if group]
    widths = [max(2, len(group)) for group in groups]
    figure = Figure(figsize=(2.0 + 1.15 * sum(widths), 4.2), layout="constrained")
    axes = figure.subplots(1, len(groups), squeeze=False, width_ratios=widths)[0]
    for axis, group in zip(axes, groups, strict=True):
        _draw_group(axis, group)
    found: dict[str, Any] = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(
        found.values(), found.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=8
    )
    with atomic(picture) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def _draw_group(axis: Axes, rows: Sequence[dict[str, Any]]) -> None:
    names = [mark for mark in _MARKS if any(mark in row["published"] or mark in row["ours"] for row in rows)]
    shifts = np.linspace(-0.32, 0.32, max(2, len(names)))
    for shift, name in zip(shifts, names, strict=False):
        points = [_point(place + shift, row, name) for place, row in enumerate(rows)]
        x, y, spread = (list(values) for values in zip(*(p for p in points if p), strict=True))
        axis.errorbar(x, y, spread, linestyle="none", markersize=5, capsize=2, linewidth=1, **_MARKS[name])
    axis.set_xticks(range(len(rows)), [row["set"] for row in rows], rotation=30, ha="right", fontsize=8)
    axis.set_ylabel("test RMSE" if rows[0]["metric"] == "rmse" else "test ROC-AUC (per cent)")
    axis.grid(axis="y", linewidth=0.4)


def _point(x: float, row: dict[str, Any], name: str) -> tuple[float, float, float] | None:
    if name in row["published"]:
        found = row["published"][name]
        return x, found["value"], found["spread"] or 0.0
    found = row["ours"].get(name)
    return None if found is None else (x, found["mean"], found["std"] or 0.0)
