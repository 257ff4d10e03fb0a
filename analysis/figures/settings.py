"""Which settings the best searches had: configurations as lines, and the sweep of one setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize
from numpy.typing import ArrayLike

from analysis.figures.checks import array, matrix, parts, refuse_first
from analysis.figures.layout import (
    colour_bar,
    headed,
    label_at,
    labelled,
    nothing,
    plain,
    point_size,
    room,
    sample_size,
    text_width,
    ticks_at,
)
from analysis.figures.style import BASELINE, GREY, PALETTE
from analysis.number_formats import percent
from asha_core.errors import SettingError

Ticks = tuple[Sequence[float], Sequence[str]]  # places in [0, 1], labels


def plot_parallel_coordinates(
    axes: Axes,
    dimensions: Sequence[str],
    values: ArrayLike,
    score: ArrayLike,
    ticks: Mapping[str, Ticks] | None = None,
    *,
    share: float = 0.1,
    mode: str = "max",
    score_label: str = "score (validation)",
    title: str = "",
) -> None:
    """Every configuration as a line over its hyper-parameters; the best ones coloured by their score.

    Args:
        dimensions: (D,) names.
        values: (N, D) in [0, 1], coordinates of the unit cube; NaN where a configuration lacks a dimension.
        score: (N,) best score of each; NaN is drawn among the grey ones.
        ticks: by dimension, (places in [0, 1], labels in native units).
        share: of configurations that are highlighted, at least one.
        mode: "max" if larger scores are better, "min" if smaller.
    Raises:
        SettingError: shapes that do not fit, or an unknown mode.
    """
    if mode not in ("max", "min"):
        raise SettingError(f"mode is {mode!r}: give 'max' or 'min'")
    cube = matrix("values", values)
    scores = array("score", score)
    if cube.size and cube.shape != (len(scores), len(dimensions)):
        raise SettingError(
            f"values has shape {cube.shape}: {len(scores)} scores and {len(dimensions)} dimensions ask for "
            f"({len(scores)}, {len(dimensions)})"
        )
    if not cube.size or not np.isfinite(scores).any():
        nothing(axes, "no configuration has a finite score")
        return
    finite = np.flatnonzero(np.isfinite(scores))
    order = finite[np.argsort(scores[finite] if mode == "max" else -scores[finite], kind="stable")]
    best = order[-max(1, round(share * len(scores))) :]
    lines = np.stack([np.broadcast_to(np.arange(len(dimensions)), cube.shape), cube], axis=-1)
    rest = np.setdiff1d(np.arange(len(scores)), best)
    fade = float(np.clip(40 / max(len(rest), 1), 0.08, 0.5))
    axes.add_collection(LineCollection(list(lines[rest]), colors="#999999", linewidths=0.6, alpha=fade))
    low, high = float(scores[best].min()), float(scores[best].max())
    norm = Normalize(low, high if high > low else low + 1e-9 + abs(low) * 1e-6)
    dark = np.linspace(0.86, 0, 256) if mode == "max" else np.linspace(0, 0.86, 256)
    colours = ListedColormap(mpl.colormaps["viridis"](dark))  # without the yellow that is lost on white
    shades = colours(norm(scores[best])) if high > low else PALETTE[0]
    axes.add_collection(LineCollection(list(lines[best]), colors=shades, linewidths=1.3, zorder=3))
    if high > low:
        colour_bar(axes, ScalarMappable(norm, colours), score_label)
    _dimension_axes(axes, dimensions, ticks or {})
    several = f"the best {len(best)} (" if len(best) > 1 else "the best one ("
    note = f"n = {len(scores)} configurations; coloured: {several}{percent(len(best) / len(scores), 0)})"
    if high == low:
        note += f", {score_label} {high:.4g}"
    headed(axes, title, note)


def _dimension_axes(axes: Axes, dimensions: Sequence[str], ticks: Mapping[str, Ticks]) -> None:
    count = len(dimensions)
    axes.set_xlim(-0.25, count - 1 + 0.45)
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(axis="x", length=0)
    slot = 0.75 * room(axes)[0] / max(count, 1)
    turned = max(text_width(name, "medium") for name in dimensions) > 0.95 * slot
    axes.set_xticks(range(count), [plain(name) for name in dimensions])
    for label in axes.get_xticklabels():
        if turned:
            label.set(rotation=30, ha="right", rotation_mode="anchor")
    for place, name in enumerate(dimensions):
        axes.axvline(place, color=BASELINE, linewidth=0.8, zorder=2)
        for height, text in zip(*ticks.get(name, ((0.0, 1.0), ("low", "high"))), strict=True):
            white = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.6}
            label_at(axes, text, (place, height), fontsize="x-small", zorder=4, bbox=white)


def _scientific(value: float) -> tuple[float, int]:
    """(3.0, -4) for 3e-4."""
    power = int(np.floor(np.log10(value) + 1e-9))
    return value / 10.0**power, power


def plot_sweep(
    axes: Axes,
    x: ArrayLike,
    y: ArrayLike,
    curve: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike] | None = None,
    xlabel: str = "eta_h",
    ylabel: str = "best score (validation)",
    *,
    of: str = "LOESS",
    interval: str = "95% bootstrap band",
    reference: tuple[float, str] | None = None,
    title: str = "",
) -> None:
    """A setting's sweep: every seed's result against it, and a smooth curve or means; log x axis.

    Args:
        x, y: (N,) the setting, positive, and the result of each search.
        curve: (grid, centre, low, high), each (G,); up to 6 grid points are drawn as dots with intervals,
            more as a line with a band.
        of, interval: what the curve and its interval are, as the figure is to say it.
        reference: (value, name) of a horizontal line, such as the baseline's.
    Raises:
        SettingError: lengths that do not fit, or an x that is not positive and finite.
    """
    at = array("x", x)
    results = array("y", y, len(at))
    wrong = ~np.isfinite(at) | (at <= 0)
    refuse_first("x", wrong, at, "a logarithmic axis needs positive and finite values")
    if not np.isfinite(results).any():
        nothing(axes, "no search of the sweep has a result")
        return
    colour = PALETTE[0]
    wobble = np.exp(((np.arange(len(at)) * 0.618034) % 1 - 0.5) * 0.12)
    axes.set_xscale("log")
    axes.plot(
        at * wobble, results, ".", color=GREY, alpha=0.6, markersize=point_size(axes), markeredgewidth=0
    )
    told = [sample_size(int(np.isfinite(results).sum()), "search"), "faint: each search"]
    if curve is not None:
        first, *others = parts("curve", curve, ("grid", "centre", "low", "high"))
        grid = array("curve grid", first)
        centre, low, high = (array("curve", each, len(grid)) for each in others)
        if len(grid) <= 6:
            error = np.nan_to_num([np.maximum(centre - low, 0), np.maximum(high - centre, 0)])
            axes.errorbar(grid, centre, error, color=colour, marker="o", markersize=5, linewidth=1)
        else:
            axes.fill_between(grid, low, high, color=colour, alpha=0.2, linewidth=0)
            axes.plot(grid, centre, color=colour, linewidth=1.6)
        told.append(f"blue: {of}, {interval}")
    if reference is not None:
        axes.axhline(reference[0], color=BASELINE, linestyle="--", linewidth=1)
        told.append(f"dashed: {reference[1]}")
    distinct = np.unique(at)
    if len(distinct) <= 8:
        texts = [f"{value:.3g}" for value in distinct]
        if distinct[0] < 1e-3:
            texts = [f"{value:.2g}e{power}" for value, power in map(_scientific, distinct)]
        ticks_at(axes.xaxis, distinct, texts)
    axes.set_xlabel(plain(xlabel))
    labelled(axes, ylabel)
    headed(axes, title, "; ".join(told))
