"""Best score so far against time, with bands by variation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from analysis.figures.checks import Centred, array, centred, refuse_first, sizes
from analysis.figures.layout import (
    font_points,
    framed,
    label_at,
    labelled,
    left_out,
    nothing,
    plain,
    room,
    step_band,
    time_axis,
)
from analysis.figures.style import GREY, Style, looks
from analysis.stats.arrays import Floats


def plot_best_bands(
    axes: Axes,
    grid: ArrayLike,
    bands: Mapping[str, Centred],
    n: int | Mapping[str, int] | None = None,
    xlabel: str | None = None,
    ylabel: str = "best score so far (validation)",
    targets: Sequence[float] = (),
    *,
    of: str = "interquartile mean",
    interval: str = "95% bootstrap band",
    look: Mapping[str, Style] | None = None,
    clock: str = "wall-clock time",
    title: str = "",
) -> None:
    """Best score so far against time: a line and a band a variation.

    The y axis is fitted to what comes after the first tenth of the grid, in which scores are those of
    untrained networks and would flatten the rest.

    Args:
        grid: (G,) times at which the bands are given, rising; seconds if there is no ``xlabel``.
        bands: by variation, (centre, low, high), each (G,), in the metric's unit, or what
            ``interquartile_mean_band`` gives; NaN where there is none yet. Who has none at all is named.
        n: seeds, of all or by variation; by default those of the bands that know it.
        xlabel: with its unit; by default ``clock`` in the unit that suits the grid.
        clock: what seconds are.
        targets: values of tau, each a dashed line; the last is the main one.
        of, interval: what the line and the band are, as the figure is to say it.
        look: from ``styles``, for the same colours in every figure.
    Raises:
        SettingError: arrays whose lengths do not fit, a grid that is not finite, or unknown names in ``n``.
    """
    x = array("grid", grid)
    refuse_first("grid", ~np.isfinite(x), x, "a time must be finite")
    n = sizes(n, bands)
    drawn = {name: centred(f"bands[{name!r}]", band, len(x)) for name, band in bands.items()}
    drawn = {name: band for name, band in drawn.items() if np.isfinite(band[0]).any()}
    x, xlabel = time_axis(x, xlabel, float(x[-1]) if len(x) else 0.0, clock)
    if not drawn:
        by = f" by {x[-1]:.3g} ({xlabel}), where this figure ends" if len(x) else ""
        nothing(axes, f"no search had reported a finite score{by}")
        return
    style = looks(list(bands), look)
    for name, (centre, low, high) in drawn.items():
        step_band(axes, x, centre, low, high, style[name], len(drawn))
    axes.set_xlim(min(float(x[0]), 0.0), max(float(x[-1]), 1e-9))
    late = x >= x[0] + 0.1 * (x[-1] - x[0])
    seen = np.concatenate([np.concatenate([each[late] for each in band]) for band in drawn.values()])
    _fit(axes, np.concatenate([seen, np.asarray(targets, dtype=np.float64)]))
    _targets(axes, targets)
    axes.set_xlabel(plain(xlabel))
    labelled(axes, ylabel)
    missing = left_out(bands, drawn, "no value by then")
    framed(axes, title, drawn, style, n, f"{of} with {interval}", missing)


def _fit(axes: Axes, values: Floats) -> None:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return
    low, high = float(finite.min()), float(finite.max())
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    axes.set_ylim(low - margin, high + margin)


def _targets(axes: Axes, targets: Sequence[float]) -> None:
    """A dashed line each; named at the right edge where the name finds room, the last one first."""
    bottom, top = axes.get_ylim()
    a_line = 1.25 * font_points("small") / (0.6 * room(axes)[1]) * (top - bottom)
    written: list[float] = []
    for target in reversed(targets):
        main = target == targets[-1]
        axes.axhline(target, color=GREY, linestyle=(0, (4, 2)), linewidth=1.0 if main else 0.5, zorder=1.5)
        if all(abs(target - other) >= a_line for other in written):
            written.append(target)
            text, coords = f"target {target:g}" if main else f"{target:g}", axes.get_yaxis_transform()
            label_at(axes, text, (1, target), xycoords=coords, fontsize="small", color=GREY)
