"""Figures can be read: on a page and in one column, with one variation or thirteen, by everyone."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from analysis import figures
from analysis.figures.style import BASELINE, GREY
from tests.analysis.figures.figure_cases import (
    BY_NAME,
    FIVE,
    ONE,
    OTHERS,
    THIRTEEN,
    Draw,
    best_bands,
)


def texts(
    draw: Draw, size: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> tuple[Figure, list[tuple[Text, Any]]]:
    """A figure, the texts that are really drawn on it, and their extents in pixels."""
    seen: dict[int, tuple[Text, Any]] = {}
    original = Text.draw

    def record(self: Text, renderer: Any, *args: Any, **kwargs: Any) -> None:
        original(self, renderer, *args, **kwargs)
        if self.get_visible() and self.get_text().strip():
            seen[id(self)] = (self, self.get_window_extent(renderer))

    figure = figures.make_figure(draw, size)
    monkeypatch.setattr(Text, "draw", record)
    figure.draw_without_rendering()
    return figure, list(seen.values())


def apart(one: Text, a: Any, other: Text, b: Any, dpi: float) -> float:
    """Pixels between two texts; negative where they overlap."""
    slope = one.get_rotation()
    if slope == other.get_rotation() and slope % 90:  # two slanted lines that end at their right
        return float(abs(a.x1 - b.x1) * np.sin(np.radians(slope)) - one.get_fontsize() / 72 * dpi)
    return float(max(a.x0 - b.x1, b.x0 - a.x1, a.y0 - b.y1, b.y0 - a.y1))


def check_readable(draw: Draw, size: tuple[float, float], monkeypatch: pytest.MonkeyPatch) -> None:
    """No text lies on another one, and none leaves the figure."""
    figure, boxes = texts(draw, size, monkeypatch)
    assert boxes
    for text, box in boxes:
        inside = (box.x0, box.y0, figure.bbox.x1 - box.x1, figure.bbox.y1 - box.y1)
        assert min(inside) >= -1, f"{text.get_text()!r} leaves the figure: {inside}"
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        gap = apart(one, a, other, b, figure.dpi)
        assert gap > -1.5, f"{one.get_text()!r} lies on {other.get_text()!r}: {-gap:.1f} pixels"


PAGE, COLUMN = figures.SIZE, figures.COLUMN
CASES = {"13-page": (THIRTEEN, PAGE), "1-column": (ONE, COLUMN), "13-column": (THIRTEEN, COLUMN)}


@pytest.mark.long
@pytest.mark.parametrize(
    ("names", "size"),
    [
        pytest.param(*case, id=name, marks=[] if name == "13-column" else [pytest.mark.slow])
        for name, case in CASES.items()
    ],
)
@pytest.mark.parametrize("name", BY_NAME)
def test_no_text_lies_on_another_or_leaves_the_figure(
    name: str, names: list[str], size: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in ("scores", "effects", "overheads", "split"):
        size = figures.tall(len(names) * (3 if name == "effects" else 1), size[0])
    check_readable(BY_NAME[name](names), size, monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize(
    "size",
    [
        pytest.param(figures.SIZE, id="page", marks=pytest.mark.slow),
        pytest.param(figures.COLUMN, id="column"),
    ],
)
@pytest.mark.parametrize("name", OTHERS)
def test_no_text_of_the_other_figures_lies_on_another(
    name: str, size: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    check_readable(OTHERS[name], size, monkeypatch)


def test_a_legend_below_makes_the_figure_taller_and_not_the_axes_lower() -> None:
    for names in (FIVE, THIRTEEN):
        figure = figures.make_figure(best_bands(names), figures.COLUMN)
        height = figure.axes[0].get_window_extent().height / figure.dpi
        assert height >= 0.59 * figures.COLUMN[1]
    assert figure.get_figheight() > figures.COLUMN[1]
    assert figure.get_figwidth() == figures.COLUMN[0]


def simulated(colour: str, matrix: list[list[float]]) -> Any:
    """CIE L*a*b* of a colour as a dichromat sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(matrix) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    ratio = xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira and Fernandes 2009, table 1, severity 1.0
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]


@pytest.mark.parametrize("matrix", [PROTANOPIA, DEUTERANOPIA], ids=["protanopia", "deuteranopia"])
def test_people_without_red_or_green_cones_tell_the_first_seven_variations_apart(
    matrix: list[list[float]],
) -> None:
    colours = [style.colour for style in figures.styles(["baseline", *"abcdef"]).values()]
    for one, other in itertools.combinations(colours, 2):
        # 2.3 is a just noticeable difference (Mahy et al. 1994)
        assert np.linalg.norm(simulated(one, matrix) - simulated(other, matrix)) > 4 * 2.3, (one, other)


def test_small_grey_letters_have_enough_contrast() -> None:
    """WCAG 2.1, success criterion 1.4.3: 4.5 to 1 for small letters."""
    for colour in (GREY, BASELINE):
        rgb = np.array(to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05) >= 4.5
