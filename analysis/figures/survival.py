"""Time to target as survival curves, and the survival of configurations by rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from analysis.figures.checks import Centred, array, centred, known, parts, refuse_first, sizes
from analysis.figures.layout import (
    below,
    font_points,
    framed,
    from_corner,
    labelled,
    left_out,
    nothing,
    plain,
    room,
    step_band,
    ticks_at,
    time_axis,
)
from analysis.figures.style import BASELINE, GREY, Style, looks
from analysis.stats.arrays import Floats
from analysis.stats.survival import KaplanMeier
from asha_core.arguments import number

Curve = (
    KaplanMeier | tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike, ArrayLike]
)  # or times, survival, low, high, censored at
_CURVE = ("times", "survival", "low", "high", "censor marks")
_CLUSTER = 0.3  # of the gap between two rungs: what the arms of one rung take
_STEP = 9.0  # points between two arms at most
_MARGIN = 1.7  # beside the first and the last rung, a factor


def plot_kaplan_meier(
    axes: Axes,
    curves: Mapping[str, Curve],
    n: int | Mapping[str, int] | None = None,
    xlabel: str | None = None,
    target: str = "the target",
    *,
    complement: bool = False,
    durations: Mapping[str, ArrayLike] | None = None,
    horizon: float | None = None,
    interval: str = "95% log-log band",
    look: Mapping[str, Style] | None = None,
    clock: str = "wall-clock time",
    title: str = "",
) -> None:
    """The share of searches that have not reached the target yet, by time (Kaplan and Meier 1958).

    Args:
        curves: by variation, (times, survival, low, high, censor_marks): the first four (E,), at the times
            of events, survival and its band as shares; the last (C,) the times of censored searches, each a
            tick. Or what ``kaplan_meier`` gives, which goes on to its last time and has no ticks.
        n: searches, of all or by variation; by default those in ``durations``, or of the curves that know it.
        xlabel: with its unit; by default the times are seconds, shown in the unit that suits them.
        clock: what seconds are.
        target: what is reached, such as "accuracy 0.93".
        complement: draw the share that has reached it, one minus the above.
        durations: by variation, (n,) the time or censoring time of each search; with it, and where there is
            room, the number still at risk stands under the ticks.
        horizon: where the x axis ends, in the unit of the times.
    Raises:
        SettingError: arrays whose lengths do not fit, or unknown names in ``n`` or ``durations``.
    """
    known("durations", durations or {}, curves)
    if horizon is not None:
        number("horizon", horizon, above=0)
    steps = {name: _steps(name, curve, complement=complement) for name, curve in curves.items()}
    steps = {name: step for name, step in steps.items() if len(step[0]) > 1}
    if not steps:
        nothing(axes, f"no search that could reach {target}: no Kaplan-Meier curve")
        return
    told = {name: array(f"durations[{name!r}]", times) for name, times in (durations or {}).items()}
    if n is None and told:
        counts = {name: len(times) for name, times in told.items()}
        n = counts if len(set(counts.values())) > 1 else next(iter(counts.values()))
    n = sizes(n, curves)
    end = horizon if horizon is not None else max(float(step[0][-1]) for step in steps.values())
    unit, xlabel = time_axis(np.ones(1), xlabel, end, clock)
    scale, style = float(unit[0]), looks(list(curves), look)
    marked = False
    for name, (t, share, low, high, marks, at) in steps.items():
        step_band(axes, t * scale, share, low, high, style[name], len(steps))
        axes.plot(marks * scale, at, "|", color=style[name].colour, markersize=7, markeredgewidth=1.2)
        marked |= len(marks) > 0
    axes.set_xlim(0, end * scale * 1.02)
    axes.set_ylim(-2, 103)
    axes.set_xlabel(plain(xlabel))
    labelled(axes, f"searches {'that reached' if complement else 'yet to reach'} {target} (%)")
    ticks = "tick: a search that ended before it (censored)" if marked else ""
    rows = _at_risk(axes, {name: told[name] * scale for name in steps if name in told}, style)
    notes = f"shaded: {interval}", ticks, left_out(curves, steps, "no search")
    framed(axes, title, steps, style, n, *notes, what="search", lower=rows)


def _steps(name: str, curve: Curve, *, complement: bool) -> tuple[Floats, ...]:
    """(times, share, low, high, censor marks, share at these), from 0 to the last time; in per cent."""
    last, given = 0.0, curve
    if isinstance(curve, KaplanMeier):
        last, given = curve.last, (curve.times, curve.survival, curve.low, curve.high, ())
    found = parts(f"curves[{name!r}]", given, _CURVE)
    times = array(f"curves[{name!r}] times", found[0])
    heights = [array(f"curves[{name!r}]", each, len(times)) for each in found[1:4]]
    marks = array(f"curves[{name!r}] censor marks", found[4])
    end = max([*times[-1:], *marks, last])
    begun = len(times) > 0 and times[0] == 0
    t = np.concatenate([[] if begun else [0.0], times, [end] if end > 0 else []])
    full = [
        100
        * np.concatenate(
            [[] if begun else [1.0], each, (each[-1:] if len(each) else [1.0]) if end > 0 else []]
        )
        for each in heights
    ]
    if complement:
        full = [100 - full[0], 100 - full[2], 100 - full[1]]
    at = full[0][np.searchsorted(t, marks, side="right") - 1] if len(t) else marks
    return t, *full, marks, at


def _at_risk(axes: Axes, durations: Mapping[str, Floats], style: Mapping[str, Style]) -> float:
    """The number at risk under the ticks, a row each, if there is room; returns the points that it takes."""
    size = font_points("small")
    row = 1.25 * size
    width, height = room(axes)
    if not durations or (len(durations) + 1) * row > 0.3 * height:
        return 0.0
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    if len(ticks) * 3.5 * size > width:
        ticks = ticks[::2]
    top = below(axes) + 2
    corner = from_corner(axes)
    axes.text(0, -top, "at risk", transform=corner, fontsize="small", color=GREY, va="top", ha="left")
    for index, (name, times) in enumerate(durations.items(), 1):
        y = -top - index * row
        line = Line2D([-36, -15], [y - 0.45 * size] * 2, transform=corner, clip_on=False)
        line.set(color=style[name].colour, linestyle=style[name].dash, linewidth=1.4)
        axes.add_line(line)
        for tick in ticks:
            axes.annotate(
                str(int((times >= tick).sum())),
                (tick, 0),
                xycoords=axes.get_xaxis_transform(),
                xytext=(0, y),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize="small",
                color=BASELINE,
                annotation_clip=False,
            )
    return (len(durations) + 1) * row + 4


def plot_survival_by_rung(
    axes: Axes,
    levels: Sequence[int],
    shares: Mapping[str, Centred],
    n: int | Mapping[str, int] | None = None,
    *,
    unit: str = "epoch",
    eta: float | None = None,
    interval: str = "95% bootstrap interval of the mean",
    look: Mapping[str, Style] | None = None,
    title: str = "",
) -> None:
    """The share of configurations that reached each rung, by variation; both axes logarithmic if none is 0.

    Args:
        levels: (R,) the rungs' levels, in units of resource, positive and rising.
        shares: by variation, (mean, low, high) over seeds, each (R,), from 0 to 1, or a ``Band`` of
            them; NaN where there is no rung.
        unit: a unit of resource.
        eta: the reduction factor: draws the share that one in eta a rung leaves.
    Raises:
        SettingError: arrays whose lengths do not fit, levels that do not rise from above 0, or unknown
            names in ``n``.
    """
    x = array("levels", levels)
    rising = np.diff(x, prepend=0.0) > 0
    refuse_first("levels", ~(rising & np.isfinite(x)), x, "levels must be positive, finite and rising")
    n = sizes(n, shares)
    drawn = {
        name: [100 * each for each in centred(f"shares[{name!r}]", share, len(x), "mean")]
        for name, share in shares.items()
    }
    drawn = {name: share for name, share in drawn.items() if np.isfinite(share[0]).any()}
    if not drawn:
        nothing(axes, "no configuration was compared: no survival by rung")
        return
    style = looks(list(shares), look)
    every = np.concatenate([share[0] for share in drawn.values()])
    logarithmic = bool((every[np.isfinite(every)] > 0).all())
    # side by side within a rung, and not joined: lines between places that are moved would have false slopes
    step, size = _beside(axes, x, len(drawn))
    for index, (name, (mean, low, high)) in enumerate(drawn.items()):
        place = x * np.exp(step * (index - (len(drawn) - 1) / 2))
        there = np.isfinite(mean)
        least = np.nan_to_num(np.clip(mean - low, 0, 0.999 * mean if logarithmic else None))
        most = np.nan_to_num(np.clip(high - mean, 0, None))
        axes.errorbar(
            place[there],
            mean[there],
            (least[there], most[there]),
            color=style[name].colour,
            marker=style[name].marker,
            linestyle="none",
            markersize=size,
            markeredgewidth=0,
            elinewidth=min(1.0, size / 3),
        )
    _rung_axes(axes, x, unit, every, logarithmic=logarithmic)
    ideal = []
    if eta is not None:
        shares_of_eta = 100 / eta ** np.arange(len(x))
        label = f"one in {eta:g} of the rung before"
        ideal = axes.plot(x, shares_of_eta, color=GREY, linewidth=0.8, linestyle=":", label=label)
    notes = f"bars: {interval}", left_out(shares, drawn, "no rung")
    framed(axes, title, drawn, style, n, *notes, marker=True, others=ideal)


def _beside(axes: Axes, levels: Floats, count: int) -> tuple[float, float]:
    """(the step from one arm to the next, on the scale of log x; the markers' size in points)."""
    whole = float(np.log(levels[-1] / levels[0] * _MARGIN**2))
    gap = float(np.log(levels[1:] / levels[:-1]).min()) if len(levels) > 1 else whole
    points = 0.8 * room(axes)[0] / whole  # of a step by 1; labels take the rest of the width
    step = min(_CLUSTER * gap / max(count - 1, 1), _STEP / points)
    return step, float(np.clip(0.9 * step * points, 1.8, 4.5))


def _rung_axes(axes: Axes, levels: Floats, unit: str, shares: Floats, *, logarithmic: bool) -> None:
    axes.set_xscale("log")
    ticks_at(axes.xaxis, levels, [f"{level:g}" for level in levels])
    axes.set_xlim(levels[0] / _MARGIN, levels[-1] * _MARGIN)
    axes.set_xlabel(plain(f"rung ({unit}s of training)"))
    labelled(axes, "configurations that reached it (%)")
    if not logarithmic:
        axes.set_ylim(0, 105)
        return
    axes.set_yscale("log")
    least = float(np.nanmin(shares))
    ticks = [tick for tick in (0.01, 0.1, 0.3, 1, 3, 10, 30, 100) if tick > least / 4]
    ticks_at(axes.yaxis, ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(least / 2, 130)
