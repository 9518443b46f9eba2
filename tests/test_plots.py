"""Drawings: parseable, in the page's colours, small, the same every time, and with the right points."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from molft.use.plots import MOST_POINTS, draw_class_curves, draw_learning, draw_values

LABELS = np.array([0, 0, 1, 1.0])
VALUES = np.array([0.1, 0.4, 0.35, 0.8])


def parse(svg: str) -> ET.Element:
    # Inside a page the names are known to the parser; alone they have to be declared.
    return ET.fromstring(svg.replace("<svg", '<svg xmlns:xlink="urn:x"', 1))  # noqa: S314  (our own text)


def drawings() -> dict[str, str]:
    epochs = [np.arange(1.0, 6), np.arange(1.0, 4)]
    scores = [np.array([0.5, np.nan, 0.7, 0.6, 0.6]), np.full(3, np.nan)]
    return {
        "classes": draw_class_curves(LABELS, VALUES, "a"),
        "values": draw_values(LABELS, VALUES, np.array([0, 1, -1, 0], np.int8), "a"),
        "learning": draw_learning(epochs, [0.1 * e for e in epochs], scores, "ROC-AUC", False, [2, 9]),
        "one point": draw_values(np.ones(1), np.ones(1), np.zeros(1, np.int8), "a"),
        "no epoch": draw_learning([], [], [], "RMSE", True, [3]),
    }


@pytest.mark.parametrize("name", ["classes", "values", "learning", "one point", "no epoch"])
def test_drawings_follow_the_page(name: str) -> None:
    svg = drawings()[name]
    assert parse(svg).tag == "svg"
    assert svg == drawings()[name]
    assert "font-family" not in svg and "<style" not in svg and "<metadata" not in svg and "http" not in svg
    colours = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg))
    assert colours <= {"none", "var(--ink)", "var(--muted)", "var(--line)", "var(--accent)"}
    assert {"var(--line)", "var(--muted)"} <= colours
    assert len(svg) < 30_000


def corners_of_first_line(svg: str) -> np.ndarray:
    """Corners of the first line in the accent colour, scaled to 0..1 both ways, from the lower left."""
    path = re.search(r'<path d="([^"]*)"[^>]*var\(--accent\)[^>]*/>', svg)
    assert path
    line = np.array(re.findall(r"[ML] (\S+) (\S+)", path[1]), float)
    low, high = line.min(axis=0), line.max(axis=0)
    flat = (line - low) / (high - low)
    return np.column_stack([flat[:, 0], 1 - flat[:, 1]])


def test_the_roc_curve_has_the_corners_of_the_textbook() -> None:
    # Of the four molecules, ranked: active, inactive, active, inactive.
    corners = corners_of_first_line(draw_class_curves(LABELS, VALUES, "a"))
    assert corners.round(2).tolist() == [[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1], [1, 1]]


def test_many_points_are_thinned() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=MOST_POINTS + 500)
    svg = draw_values(values, values, np.zeros(len(values), np.int8), "a")
    assert MOST_POINTS <= svg.count("<use") < MOST_POINTS + 50


def test_drawings_of_one_page_share_no_name() -> None:
    first, second = (set(re.findall(r' id="([^"]*)"', draw_class_curves(LABELS, VALUES, n))) for n in "ab")
    assert first and not first & second
