"""The drawings of the report as SVG text that stands inside a page.

Letters stay letters and colours are the page's own CSS variables, so that a drawing follows its font and
its light or dark scheme. No text of the user enters a drawing: names stand in the page, where they are
escaped. Same numbers, same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

Array = NDArray[np.float64]

MOST_POINTS = 3000

# Matplotlib knows no CSS variables, so colours that occur nowhere else stand for them.
_INK, _MUTED, _LINE, _ACCENT = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04"
_VARIABLES = {_INK: "var(--ink)", _MUTED: "var(--muted)", _LINE: "var(--line)", _ACCENT: "var(--accent)"}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlecolor": _INK,
    "axes.titlelocation": "left",
    "xtick.color": _LINE,
    "ytick.color": _LINE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _MUTED,
    "lines.linewidth": 1.5,
}


def draw_class_curves(labels: Array, probabilities: Array, name: str) -> str:
    """ROC and precision-recall curve of one task, side by side, each with what guessing gives.

    Both classes must be there. ``name`` is this drawing's own on its page. Shapes: labels, probabilities [n].
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.6, 3.1), layout="constrained")
        left, right = figure.subplots(1, 2)
        false, true, _ = roc_curve(labels, probabilities)
        left.plot([0, 1], [0, 1], color=_LINE, linestyle="--", linewidth=1)
        left.plot(false, true, color=_ACCENT)
        left.set(title="ROC", xlabel="share of negatives called", ylabel="share of positives found")
        precision, recall, _ = precision_recall_curve(labels, probabilities, drop_intermediate=True)
        right.axhline(labels.mean(), color=_LINE, linestyle="--", linewidth=1)
        right.plot(recall, precision, color=_ACCENT, drawstyle="steps-post")
        right.set(
            title="Precision and recall", xlabel="share of positives found", ylabel="positives among called"
        )
        for axes in (left, right):
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
            axes.set(xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        return _text(figure, name)


def draw_values(observed: Array, predicted: Array, bounds: NDArray[np.int8], name: str) -> str:
    """Observed against predicted values of one task; labels with a bound point to where the truth lies.

    Of more than ``MOST_POINTS`` molecules an even choice is drawn. Shapes: all [n].
    """
    rows = np.unique(np.linspace(0, len(observed) - 1, min(len(observed), MOST_POINTS)).astype(int))
    observed, predicted, bounds = observed[rows], predicted[rows], bounds[rows]
    low, high = (f(np.concatenate([observed, predicted])) for f in (np.min, np.max))
    margin = 0.05 * (high - low) or 1.0
    ends = (low - margin, high + margin)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.6, 3.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(ends, ends, color=_LINE, linestyle="--", linewidth=1)
        for side, marker in ((0, "o"), (1, ">"), (-1, "<")):
            own = bounds == side
            face = _ACCENT if side == 0 else "none"
            axes.plot(
                observed[own], predicted[own], marker, markersize=4, color=_ACCENT, markerfacecolor=face,
                markeredgewidth=0 if side == 0 else 0.8, alpha=0.65,
            )  # fmt: skip
        axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel="observed", ylabel="predicted")
        return _text(figure, name)


def draw_learning(
    epochs: Sequence[Array], losses: Sequence[Array], scores: Sequence[Array], metric: str, lower: bool,
    releases: Sequence[int],
) -> str:  # fmt: skip
    """Training loss and validation score of every network by epoch; its best epoch is a dot.

    ``lower`` says that the smaller score is the better one; ``releases`` are epochs from which on more of
    the encoder is trained. Shapes: per network [epochs]; a score that is undefined is NaN.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.6, 2.3), layout="constrained")
        left, right = figure.subplots(1, 2)
        for number, (steps, loss, score) in enumerate(zip(epochs, losses, scores, strict=True)):
            faint = 1 - 0.6 * number / max(1, len(epochs))
            left.plot(steps, loss, color=_ACCENT, alpha=faint)
            right.plot(steps, score, color=_ACCENT, alpha=faint)
            if not np.isnan(score).all():
                best = np.nanargmin(score) if lower else np.nanargmax(score)
                right.plot(steps[best], score[best], "o", markersize=5, color=_ACCENT)
        left.set(title="Training loss", xlabel="epoch")
        right.set(title=f"Validation {metric}", xlabel="epoch")
        last = max((steps[-1] for steps in epochs if len(steps)), default=1)
        for axes in (left, right):
            _mark_releases(axes, [release for release in releases if release <= last])
            axes.xaxis.get_major_locator().set_params(integer=True)
        return _text(figure, "learning")


def _mark_releases(axes: Axes, releases: Sequence[int]) -> None:
    for release in releases:
        axes.axvline(release, color=_MUTED, linestyle=":", linewidth=1)


def _text(figure: Figure, name: str) -> str:
    """The drawing as an ``svg`` element without prologue, description, fonts and styles of its own."""
    file = io.StringIO()
    # What is drawn repeatedly has a name, hashed with the salt; a page must not have one name twice.
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>\s*|<style.*?</style>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"| font-family: [^;]*;|(?<=<g) id="[^"]*"', "", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text
