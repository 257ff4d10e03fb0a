"""Final scores by variation, and the effects on the time to target as a forest plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from analysis.figures.checks import array, centred
from analysis.figures.layout import (
    across,
    font_points,
    headed,
    joined,
    label_at,
    legend_below,
    name_rows,
    names_down,
    nothing,
    point_size,
    room,
    sample_size,
    ticks_at,
)
from analysis.figures.style import BASELINE, GREY, Style, looks
from analysis.stats.arrays import Floats
from asha_core.errors import SettingError

_RATIOS = (1.0, 0.5, 2.0, 0.25, 4.0, 0.125, 8.0, 0.8, 1.25, 0.7, 1.5, 0.6, 0.9, 1.1, 1.75, 3.0, 6.0)


class Effect(NamedTuple):
    """One row of the forest plot: what a variation does to the time to target, within one group."""

    group: str  # task and scheduler, as they are to be named
    variation: str
    ratio: float  # variation over baseline; NaN where it is undefined
    low: float  # its interval
    high: float
    n: int | None = None  # pairs
    of: str = "medians"  # what it is a ratio of


def plot_final_scores(
    axes: Axes,
    names: Sequence[str],
    centre: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    points: Sequence[ArrayLike] = (),
    xlabel: str = "best score (validation)",
    *,
    test: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    of: str = "mean",
    interval: str = "95% bootstrap interval",
    look: Mapping[str, Style] | None = None,
    title: str = "",
) -> None:
    """Final scores by variation: a dot and its interval, and every seed's own score, faint.

    Dots and not bars: the axis begins where the scores do, and a bar that does not begin at 0 exaggerates.

    Args:
        names: (K,) variations; the first is the top row, and a dotted line stands at its centre.
        centre, low, high: (K,) in the metric's unit.
        points: K vectors, the scores of each variation's seeds.
        xlabel: the metric; of both data sets if ``test`` is given.
        test: (centre, low, high) on test data, drawn hollow below each row's validation score.
        of, interval: what the dot and the bar are, as the figure is to say it.
    Raises:
        SettingError: arrays whose lengths do not fit.
    """
    middle = array("centre", centre, len(names))
    ends = array("low", low, len(names)), array("high", high, len(names))
    if len(points) not in (0, len(names)):
        raise SettingError(
            f"points has {len(points)} entries for {len(names)} names: give one for each, or none"
        )
    seeds = [array(f"points of {name}", each) for name, each in zip(names, points, strict=False)]
    if not len(names) or not np.isfinite(middle).any():
        nothing(axes, "no search has a final score")
        return
    style = looks(names, look)
    rows = np.arange(len(names), dtype=np.float64)
    size = point_size(axes)
    up = 0.16 if test is not None else 0.0
    for row, scores in zip(rows, seeds, strict=False):
        spread = ((np.arange(len(scores)) * 0.618034) % 1 - 0.5) * (0.26 if up else 0.5)
        colour = style[names[int(row)]].colour
        place = row - up + spread
        axes.plot(scores, place, ".", color=colour, markersize=size, alpha=0.5, markeredgewidth=0, zorder=1.5)
    _dots(axes, rows - up, (middle, *ends), [style[name] for name in names], hollow=False)
    if test is not None:
        told = centred("test", test, len(names))
        _dots(axes, rows + 0.24, (told[0], told[1], told[2]), [style[name] for name in names], hollow=True)
        handles = [
            Line2D([], [], color=GREY, marker="o", linestyle="-", markersize=5, label="validation"),
            Line2D([], [], color=GREY, marker="o", linestyle="-", markersize=5, mfc="white", label="test"),
        ]
        legend_below(axes, handles)
    if np.isfinite(middle[0]):
        axes.axvline(middle[0], color=style[names[0]].colour, linestyle=":", linewidth=0.8, zorder=1)
    sizes = {name: int(np.isfinite(each).sum()) for name, each in zip(names, seeds, strict=False)}
    uneven = len(set(sizes.values())) > 1
    names_down(axes, [f"{name} (n = {sizes[name]})" if uneven else name for name in names])
    across(axes, xlabel)
    faint = "faint: each seed" if seeds else ""
    headed(axes, title, joined(sample_size(sizes), f"dot and bar: {of}, {interval}", faint), "figure")


def _dots(
    axes: Axes, rows: Floats, band: tuple[Floats, Floats, Floats], look: Sequence[Style], *, hollow: bool
) -> None:
    for row, x, low, high, style in zip(rows, *band, look, strict=True):
        axes.plot([low, high], [row, row], color=style.colour, linewidth=1.4, solid_capstyle="butt")
        face = "white" if hollow else style.colour
        axes.plot([x], [row], marker=style.marker, color=style.colour, markersize=6, markerfacecolor=face)


def plot_effects(
    axes: Axes,
    rows: Sequence[Effect],
    goal: float | None = 0.85,
    *,
    interval: str = "95% paired bootstrap interval",
    look: Mapping[str, Style] | None = None,
    title: str = "",
) -> None:
    """Forest plot: the ratio of the times to target, variation over baseline, a row each, log axis.

    Args:
        rows: in the order to be drawn; those of one group stand together under its name.
        goal: where the dashed line stands: the ratio that was hypothesised. 1 is a solid line.
        interval: what the bars are; an end beyond the axis is an arrow.
    """
    if not rows:
        nothing(axes, "no variation to compare with the baseline")
        return
    style = looks(list(dict.fromkeys(row.variation for row in rows)), look)
    ends = np.array([[row.ratio, row.low, row.high] for row in rows], dtype=np.float64)
    (left, right), main = _limits(ends, goal), _main(rows)
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.axvline(1, color=BASELINE, linewidth=1)
    if goal is not None:
        axes.axvline(goal, color=GREY, linewidth=1, linestyle="--")
    places: list[float] = []
    labels: list[str] = []
    groups = list(dict.fromkeys(row.group for row in rows))
    at = 0.0
    for group in groups:
        if len(groups) > 1:
            white = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
            beside = axes.get_yaxis_transform()
            label_at(axes, group, (0, at), right=2, xycoords=beside, fontweight="bold", bbox=white)
            at += 1
        for row in (row for row in rows if row.group == group):
            _effect(axes, at, row, style[row.variation], (left, right), main)
            places.append(at)
            labels.append(row.variation)
            at += 1
    name_rows(axes, places, labels)
    axes.set_ylim(at - 0.4, -0.6)
    ticks = _ticks(axes, left, right)
    ticks_at(axes.xaxis, ticks, [f"{tick:g}" for tick in ticks])
    across(axes, "time to target, variation / baseline", 0.42)
    _explained(axes, rows, goal, interval, title or (groups[0] if len(groups) == 1 else ""))


def _explained(axes: Axes, rows: Sequence[Effect], goal: float | None, interval: str, title: str) -> None:
    sizes = {str(index): row.n for index, row in enumerate(rows) if row.n is not None}
    main = _main(rows)
    parts = [sample_size(sizes, "pair"), f"ratio of {main}, {interval}"]
    if goal is not None:
        parts.append(f"dashed: {goal:g}")
    others = sorted({row.of for row in rows} - {main})
    parts += [f"*: ratio of {other}" for other in others]
    headed(axes, title, joined(*parts), "figure", 10 * font_points("small"))


def _ticks(axes: Axes, left: float, right: float) -> list[float]:
    """Ratios between the limits that leave room for each other's labels, the rounder ones first."""
    a_label = 2.6 * font_points() / (0.4 * room(axes)[0]) * np.log(right / left)
    chosen: list[float] = []
    for tick in _RATIOS:
        if left <= tick <= right and all(abs(np.log(tick / other)) >= a_label for other in chosen):
            chosen.append(tick)
    return sorted(chosen)


def _limits(ends: Floats, goal: float | None) -> tuple[float, float]:
    """Limits that show every ratio, and intervals as far as a factor of 8."""
    ratios, intervals = ends[:, 0], ends[:, 1:]
    shown = intervals[np.isfinite(intervals) & (intervals > 1 / 8) & (intervals < 8)]
    shown = np.concatenate([shown, ratios[np.isfinite(ratios) & (ratios > 0)], [0.8, 1.25, goal or 1.0]])
    return float(shown.min()) / 1.08, float(shown.max()) * 1.08


def _main(rows: Sequence[Effect]) -> str:
    """What the ratios without a star are of: medians, where there are any."""
    kinds = [row.of for row in rows]
    return "medians" if "medians" in kinds else kinds[0]


def _effect(axes: Axes, at: float, row: Effect, style: Style, limits: tuple[float, float], main: str) -> None:
    known = bool(np.isfinite(row.ratio)) and row.ratio > 0
    if known:
        low, high = np.clip((row.low, row.high), *limits)  # NaN stays: no line
        axes.plot([low, high], [at, at], color=style.colour, linewidth=1.5, solid_capstyle="butt")
        for x, own, arrow in ((limits[0], row.low, "<"), (limits[1], row.high, ">")):
            if own < limits[0] or own > limits[1]:
                axes.plot([x], [at], arrow, color=style.colour, markersize=5, clip_on=False)
        axes.plot([row.ratio], [at], style.marker, color=style.colour, markersize=6)
    star = "" if row.of == main else "*"
    ends = [
        f"{end:.2f}" if np.isfinite(end) else "∞" if end == np.inf else "?" for end in (row.low, row.high)
    ]
    text = f"{row.ratio:.2f}{star} [{', '.join(ends)}]" if known else "undefined"
    colour, beside = BASELINE if known else GREY, axes.get_yaxis_transform()
    label_at(axes, text, (1, at), right=8, xycoords=beside, fontsize="small", color=colour)
