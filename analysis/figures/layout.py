"""How figures are laid out: headings, legends, units, names of rows, and what to draw of nothing.

Sizes are relative to the font size of the figure.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import NullLocator
from matplotlib.transforms import Affine2D, ScaledTranslation, Transform, blended_transform_factory

from analysis.figures.style import GREY, SIZE, Style
from analysis.number_formats import time_unit
from analysis.stats.arrays import Floats

Align = Literal["axes", "figure"]


def plain(text: str) -> str:
    """``text`` as it stands: no dollar sign in it begins a formula, and nothing that no font can show."""
    return _shown(text).replace("$", r"\$")


def _shown(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def nothing(axes: Axes, why: str = "nothing to show") -> None:
    """One sentence in the middle of empty axes, in the place of a figure."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    wrapped = textwrap.fill(plain(why), 44)
    axes.text(0.5, 0.5, wrapped, transform=axes.transAxes, ha="center", va="center", color=GREY)


def font_points(size: str = "medium") -> float:
    """A relative font size in points, of the figure being drawn."""
    return float(FontProperties(size=size).get_size_in_points())


def label_at(axes: Axes, text: str, place: tuple[float, float], *, right: float = 3, **settings: Any) -> None:
    """A text beside a place, in the middle of its height.

    Args:
        right: points from the place to the text.
        settings: of the text, and ``xycoords`` if the place is not in the units of the axes.
    """
    offset = (right, 0)
    axes.annotate(plain(text), place, xytext=offset, textcoords="offset points", va="center", **settings)


def ticks_at(axis: Axis, places: Sequence[float] | Floats, texts: Sequence[str]) -> None:
    """These ticks and no others, whatever the scale."""
    axis.set_ticks(places, texts)
    axis.set_minor_locator(NullLocator())


def time_axis(grid: Floats, xlabel: str | None, end: float, clock: str) -> tuple[Floats, str]:
    """``grid`` in the unit of the x axis, and its label: ``xlabel``, else that of ``clock``, from seconds."""
    if xlabel is not None:
        return grid, xlabel
    seconds, name = time_unit(end)
    return grid / seconds, f"{clock} ({name})"


def joined(*parts: str) -> str:
    """A note's parts, without those that are empty."""
    return "; ".join(part for part in parts if part)


def step_band(
    axes: Axes, x: Floats, centre: Floats, low: Floats, high: Floats, style: Style, lines: int
) -> None:
    """A step function with a band, one of ``lines`` in the figure."""
    shade = 0.16 if lines < 6 else 0.07
    axes.fill_between(x, low, high, step="post", color=style.colour, alpha=shade, linewidth=0)
    width = 1.0 if narrow(axes) or lines > 6 else 1.5
    axes.step(x, centre, where="post", color=style.colour, linestyle=style.dash, linewidth=width)


def room(axes: Axes) -> tuple[float, float]:
    """(width, height) in points of the axes' part of the figure, labels included."""
    figure = axes.get_figure()
    if figure is None:
        return SIZE[0] * 72, SIZE[1] * 72
    spec = axes.get_subplotspec()
    rows, columns = spec.get_geometry()[:2] if spec is not None else (1, 1)
    return figure.bbox.width / figure.dpi * 72 / columns, figure.bbox.height / figure.dpi * 72 / rows


def alone(axes: Axes) -> bool:
    """Whether the axes have the figure for themselves."""
    spec = axes.get_subplotspec()
    return spec is not None and spec.get_geometry()[:2] == (1, 1)


def narrow(axes: Axes) -> bool:
    """Whether the figure is one column of a paper rather than a page."""
    return room(axes)[0] < 4.5 * 72


def point_size(axes: Axes) -> float:
    """The size of a faint "." of one search, in points: a dot takes half of it."""
    return 5.0 if narrow(axes) else 7.5


def tall(rows: int, width: float = SIZE[0]) -> tuple[float, float]:
    """A figure's (width, height) in inches, for ``rows`` names one below another."""
    return (width, 1.2 + 0.3 * max(rows, 2)) if width >= 4.5 else (width, 0.95 + 0.21 * max(rows, 2))


def text_width(text: str, size: str = "small") -> float:
    """Points that a line of ``text`` takes."""
    width, _, _ = text_to_path.get_text_width_height_descent(
        _shown(text) or " ", FontProperties(size=size), ismath=False
    )
    return 1.05 * float(width)  # hinting makes them wider on some screens


def from_corner(axes: Axes) -> Transform:
    """From points, counted from the lower left corner of the axes, to the display."""
    figure = axes.get_figure()
    assert figure is not None
    return Affine2D().scale(1 / 72) + figure.dpi_scale_trans + ScaledTranslation(0, 0, axes.transAxes)  # type: ignore[arg-type]


def below(axes: Axes) -> float:
    """Points that tick labels and the x label take under the axes."""
    return 9 + 1.2 * font_points("small") + (1.5 + 1.2 * axes.get_xlabel().count("\n")) * font_points()


def legend_below(axes: Axes, handles: Sequence[Artist], lower: float = 0.0) -> Legend | None:
    """A legend under the axes, in as many columns as there is room for; it hides no data.

    Args:
        lower: points that something else takes below the x label.
    """
    if not handles:
        return None
    figure = axes.get_figure()
    assert figure is not None
    size = font_points("small")
    move = ScaledTranslation(0, -(below(axes) + lower) / 72, figure.dpi_scale_trans)
    under, width = axes.transAxes + move, room(axes)[0] - 4 * size
    if alone(axes):  # in the middle of the figure: wide names beside the axes take nothing from it
        under, width = blended_transform_factory(figure.transSubfigure, under), room(axes)[0] - size
    labels = [str(handle.get_label()) for handle in handles]
    rows = _legend_rows(labels, width)
    return axes.legend(
        list(handles),
        [f" {label}" if label.startswith("_") else label for label in labels],  # matplotlib leaves such out
        ncols=-(-len(handles) // rows),
        frameon=False,
        fontsize="small",
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=under,
        borderaxespad=0.2,
        columnspacing=1.4,
        handlelength=3.2,
        handletextpad=0.6,
    )


def _legend_rows(labels: Sequence[str], width: float) -> int:
    """The fewest rows in which the labels, filled column by column, take no more than ``width`` points."""
    size = font_points("small")
    widths = [text_width(label) + 5.3 * size for label in labels]
    for rows in range(1, len(labels)):
        columns = -(-len(labels) // rows)
        # as matplotlib fills them: the first columns get what is left over
        sizes = [len(labels) // columns + (column < len(labels) % columns) for column in range(columns)]
        starts = np.cumsum([0, *sizes[:-1]])
        if sum(max(widths[a : a + k]) for a, k in zip(starts, sizes, strict=True)) <= width:
            return rows
    return len(labels)


def wrapped(text: str, width: float, size: str = "medium", between: str = r"(?<= )") -> list[str]:
    """``text`` on as few lines of at most ``width`` points as it takes; broken ``between``, a pattern."""
    lines = [""]
    for piece in re.split(between, text):
        if lines[-1] and text_width((lines[-1] + piece).rstrip(), size) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def labelled(axes: Axes, ylabel: str) -> None:
    """The y label, on as many lines as it takes not to be longer than the axes."""
    axes.set_ylabel(plain("\n".join(wrapped(ylabel, 0.6 * room(axes)[1]))))


def across(axes: Axes, xlabel: str, share: float = 0.55) -> None:
    """The x label, on as many lines as it takes not to be longer than ``share`` of the figure's width."""
    axes.set_xlabel(plain("\n".join(wrapped(xlabel, share * room(axes)[0]))))


def headed(axes: Axes, title: str, note: str, align: Align = "axes", beside: float = 0.0) -> None:
    """A title if there is one, and under it, small and above the axes, what lines and intervals are.

    Both are titles of the axes, whose width a layout engine does not count.

    Args:
        align: where they begin; "figure", its left edge, suits axes with names on their left.
        beside: points that something takes on their right.
    """
    figure = axes.get_figure()
    assert figure is not None
    lines = wrapped(note, room(axes)[0] - beside - 6 * font_points(), "small")
    small = {"fontsize": "small", "fontweight": "normal", "color": GREY}
    under = axes.set_title(plain("\n".join(lines)), small, loc="center", pad=4)
    under.set(x=0.0, ha="left")
    above = axes.set_title(plain(title), loc="left", pad=4) if title else None
    start: Transform = axes.transAxes
    if align == "figure" and alone(axes):
        edge = ScaledTranslation(0.6 * font_points() / 72, 0, figure.dpi_scale_trans)
        start = blended_transform_factory(figure.transSubfigure + edge, axes.transAxes)
    for text, points in (
        (under, 4.0),
        (above, 7 + 1.25 * font_points("small") * len(lines) if note else 4.0),
    ):
        if text is not None:
            text.set_transform(start + ScaledTranslation(0, points / 72, figure.dpi_scale_trans))


def framed(
    axes: Axes,
    title: str,
    drawn: Iterable[str],
    style: Mapping[str, Style],
    n: int | Mapping[str, int] | None,
    *notes: str,
    what: str = "seed",
    marker: bool = False,
    others: Sequence[Artist] = (),
    lower: float = 0.0,
) -> None:
    """The heading and the legend of a figure with a curve or a marker for each variation.

    Args:
        drawn: the variations in the legend.
        n: how many of ``what``, of all or by variation.
        others: handles behind those of the variations.
        lower: as for ``legend_below``.
    """
    headed(axes, title, joined(sample_size(n, what), *notes))
    handles = [sample(style[name], named(name, n), marker=marker) for name in drawn]
    legend_below(axes, [*handles, *others], lower)


def left_out(names: Iterable[str], drawn: Iterable[str], why: str) -> str:
    """For a figure's note: whom it does not show, and why; empty if it shows all."""
    missing = [name for name in names if name not in set(drawn)]
    return f"not shown: {', '.join(missing)}, {why}" if missing else ""


def sample_size(n: int | Mapping[str, int] | None, what: str = "seed") -> str:
    """``n = 20 seeds``, or ``n = 18 to 20 seeds``; empty if it is not known."""
    if n is None or (isinstance(n, Mapping) and not n):
        return ""
    numbers = sorted(set(n.values())) if isinstance(n, Mapping) else [n]
    few = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    plural = f"{what}es" if what.endswith("ch") else f"{what}s"
    return f"n = {few} {what if numbers == [1] else plural}"


def named(name: str, n: int | Mapping[str, int] | None) -> str:
    """A variation's name in a legend; with its own n where these differ."""
    if isinstance(n, Mapping) and len(set(n.values())) > 1 and name in n:
        return plain(f"{name} (n = {n[name]})")
    return plain(name)


def sample(style: Style, label: str, *, marker: bool = False) -> Line2D:
    """A variation's handle in a legend: its line, or its marker."""
    if marker:
        return Line2D([], [], color=style.colour, marker=style.marker, linestyle="none", label=label)
    return Line2D([], [], color=style.colour, linestyle=style.dash, linewidth=1.3, label=label)


def colour_bar(axes: Axes, mappable: ScalarMappable, label: str, **settings: Any) -> Colorbar:
    """A colour bar beside the axes, with a label."""
    figure = axes.get_figure()
    assert figure is not None
    text = plain("\n".join(wrapped(label, 0.55 * room(axes)[1])))
    bar = figure.colorbar(mappable, ax=axes, label=text, pad=0.02, **settings)
    bar.ax.tick_params(labelsize=font_points())
    bar.outline.set_visible(False)
    return bar


def name_rows(axes: Axes, places: Sequence[float], names: Sequence[str]) -> None:
    """Names beside rows, smaller and on two lines where they would take over a third of the width."""
    width = 0.34 * room(axes)[0]
    large = max(map(text_width, names, ["medium"] * len(names))) <= width
    parts = r"(?<=[-_])|(?<=, )"
    texts = [plain(name if large else "\n".join(wrapped(name, width, "small", parts))) for name in names]
    axes.set_yticks(places, texts, fontsize="medium" if large else "small", linespacing=0.95)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def names_down(axes: Axes, names: Sequence[str]) -> None:
    """Names one below another on the y axis, the first at the top."""
    name_rows(axes, range(len(names)), names)
    axes.set_ylim(len(names) - 0.45, -0.55)
