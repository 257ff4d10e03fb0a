"""Value against one hyper-parameter, trial by trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from numpy.typing import ArrayLike

from analysis.figures.checks import array
from analysis.figures.layout import nothing, plain, ticks_at
from analysis.figures.style import GREY
from analysis.figures.value_axis import ValueAxis
from analysis.stats.arrays import Bools, Floats

_SHADES = (0.14, 0.86)


def rung_colours(count: int) -> list[Any]:
    """A colour for each rung, the lowest first: light to dark, without the yellow that is lost on white."""
    return [mpl.colormaps["viridis_r"](_SHADES[0] + _SHADES[1] * x) for x in np.linspace(0, 1, count)]


def plot_slice(
    axes: Axes,
    name: str,
    ticks: tuple[Sequence[float], Sequence[str]],
    before: ArrayLike,
    after: ArrayLike,
    values: ArrayLike,
    rungs: Sequence[int],
    levels: int,
    *,
    category: bool = False,
    axis: ValueAxis | None = None,
    ylabel: str = "",
) -> None:
    """A mark for each trial that has the dimension: a dot, or where a warm start moved it a triangle.

    A triangle points the way that it was moved; a thin line leads from where it was proposed.

    Args:
        ticks: places in [0, 1], and their labels.
        before, after: (N,) places in [0, 1], as proposed and as trained; NaN: it does not exist.
        values: (N,) of the trials; those beyond the axis are drawn at its edge.
        rungs: (N,) which rung each reached, counted from 0.
        levels: how many there are.
        category: the places are of options, which have no width: trials stand beside one another.
        axis: of values; by default that of these.
    """
    was, is_, y = array("before", before), array("after", after), array("values", values)
    kept = np.isfinite(is_) & np.isfinite(y)
    axes.set_xlabel(plain(name))
    if not kept.any():
        nothing(axes, f"no trial with a value has {name}")
        return
    was, is_, y, reached = was[kept], is_[kept], y[kept], np.asarray(rungs)[kept]
    axis = axis or ValueAxis(y, "max")
    y = y if axis.limits is None else np.clip(y, *axis.limits)
    axis.set_on(axes)
    places, texts = ticks
    if category:
        wobble = ((np.arange(len(is_)) * 0.618034) % 1 - 0.5) * 0.5 / max(len(places), 2)
        was, is_ = was + wobble, is_ + wobble
    colours = np.array(rung_colours(levels))[np.clip(reached, 0, levels - 1)]
    _marks(axes, was, is_, y, colours, reached)
    ticks_at(axes.xaxis, list(places), list(texts))
    axes.tick_params(axis="x", labelsize="small")
    if sum(map(len, texts)) > 44:
        for label in axes.get_xticklabels():
            label.set(rotation=30, ha="right", rotation_mode="anchor", fontsize="small")
    side = 0.06 + (0.25 / max(len(places), 2) if category else 0.0)
    axes.set_xlim(-side, 1 + side)
    axes.set_ylabel(plain(ylabel))


def _marks(axes: Axes, was: Floats, is_: Floats, y: Floats, colours: Any, reached: Any) -> None:
    moved: Bools = np.isfinite(was) & (np.abs(is_ - was) > 2e-3)
    fade = float(np.clip(60 / len(y), 0.25, 0.9)) if len(y) > 60 else 0.9
    lines = np.stack(
        [np.column_stack([was[moved], y[moved]]), np.column_stack([is_[moved], y[moved]])], axis=1
    )
    axes.add_collection(LineCollection(list(lines), colors=GREY, linewidths=1.0, alpha=fade, zorder=1.5))
    right = moved & (is_ > was)
    for marker, which in ((".", ~moved), (">", right), ("<", moved & ~right)):
        order = np.flatnonzero(which)[np.argsort(reached[which], kind="stable")]  # who got far lies on top
        size = 44 if marker == "." else 20
        axes.scatter(
            is_[order],
            y[order],
            size,
            colours[order],
            marker=marker,
            alpha=fade,
            linewidths=0,
            zorder=2,
            rasterized=len(y) > 500,
        )
