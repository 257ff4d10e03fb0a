"""What the warm start moved, and what it was good for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from analysis.figures.checks import array, matrix
from analysis.figures.layout import (
    colour_bar,
    headed,
    joined,
    labelled,
    legend_below,
    nothing,
    plain,
    sample_size,
)
from analysis.figures.style import BASELINE, FAINT, GREY, PALETTE
from asha_core.errors import SettingError


def plot_gradient_benefit(
    axes: Axes,
    x_edges: ArrayLike,
    y_edges: ArrayLike,
    values: ArrayLike,
    xlabel: str = "size of the hyper-gradient",
    ylabel: str = "later benefit",
    colour_label: str = "configurations",
    *,
    log: bool = False,
    n: int | None = None,
    searches: int | None = None,
    most: float | None = None,
    correlation: tuple[float, float] | None = None,
    title: str = "",
) -> None:
    """Heat map of hyper-gradient magnitude against what the configuration gained later.

    Args:
        x_edges, y_edges: (X + 1,), (Y + 1,) rising edges of the bins.
        values: (X, Y) counts or means by bin, as ``numpy.histogram2d`` gives them; 0 counts and
            NaN stay white.
        colour_label: what ``values`` are, with their unit.
        log: the x axis is logarithmic.
        n: configurations.
        searches: that they are of.
        most: where the colours end, for figures that are to share them; by default the largest value.
        correlation: (Spearman's rho, p), to be told above the figure.
    Raises:
        SettingError: edges and values that do not fit.
    """
    x, y = array("x_edges", x_edges), array("y_edges", y_edges)
    cells = matrix("values", values)
    if cells.size and cells.shape != (len(x) - 1, len(y) - 1):
        raise SettingError(
            f"values has shape {cells.shape}: {len(x)} x edges and {len(y)} y edges ask for "
            f"({len(x) - 1}, {len(y) - 1})"
        )
    counts = bool(
        (cells[np.isfinite(cells)] >= 0).all() and (np.mod(cells[np.isfinite(cells)], 1) == 0).all()
    )
    shown = np.ma.masked_invalid(np.where(cells == 0, np.nan, cells) if counts else cells)
    if not cells.size or not shown.count():
        nothing(axes, "no configuration has both a hyper-gradient and a later result")
        return
    most = max(float(shown.max()), most or 0.0)
    norm = LogNorm(1, most) if counts and most > 30 else Normalize(0 if counts else None, most)
    axes.grid(visible=False)
    mesh = axes.pcolormesh(x, y, shown.T, cmap="viridis", norm=norm, edgecolors="none", rasterized=True)
    bar = colour_bar(axes, mesh, colour_label)
    if isinstance(norm, LogNorm):
        ticks = [tick * 10**power for power in range(7) for tick in (1, 3) if tick * 10**power <= most]
        bar.set_ticks(ticks, labels=[f"{tick:,}" for tick in ticks])
        bar.ax.minorticks_off()
    elif counts:
        bar.locator = MaxNLocator(nbins=6, integer=True)
        bar.update_ticks()
    if log:
        axes.set_xscale("log")
    if y[0] < 0 < y[-1]:
        axes.axhline(0, color=BASELINE, linewidth=0.8, linestyle="--")
    axes.set_xlabel(plain(xlabel))
    labelled(axes, ylabel)
    told = [" of ".join(filter(None, (sample_size(n, "configuration"), sample_size(searches, "search")[4:])))]
    if correlation is not None and np.isfinite(correlation).all():
        # without its p: configurations of one search are not independent, and the unit is a paired seed
        told.append(f"Spearman's rho = {correlation[0]:.2f}")
    headed(axes, title, joined(*told))


def plot_before_after(
    axes: Axes,
    before: ArrayLike,
    after: ArrayLike,
    label: str,
    log: bool = False,
    *,
    kl: float | None = None,
    title: str = "",
) -> None:
    """The distribution of one hyper-parameter before and after the warm start, over common bins.

    Args:
        before, after: (N,), (M,) values in native units, of which NaN are left out; texts or truth values
            are categories.
        label: the hyper-parameter's name, with its unit if it has one.
        log: the axis and the bins are logarithmic; values must be positive.
        kl: Kullback-Leibler divergence of after from before, nats, to be told in the legend.
    Raises:
        SettingError: values that are not positive on a logarithmic axis.
    """
    pair = [np.asarray(each).ravel() for each in (before, after)]
    pair = [each[np.isfinite(each)] if each.dtype.kind == "f" else each for each in pair]
    if not all(len(each) for each in pair):
        nothing(axes, f"no configuration was warm-started: {label} has no before and after")
        return
    told = [f"before (n = {len(pair[0])})", f"after (n = {len(pair[1])})"]
    if kl is not None:
        told[1] += f", KL = {kl:.3g} nats"
    if any(each.dtype.kind not in "iuf" for each in pair):
        handles = _categories(axes, [each.astype(str) for each in pair], told)
    else:
        handles = _histograms(axes, [each.astype(np.float64) for each in pair], told, label, log=log)
    axes.set_xlabel(plain(label))
    labelled(axes, "share of configurations (%)")
    axes.set_ylim(bottom=0)
    if title:
        headed(axes, title, "")
    legend_below(axes, handles)


def _histograms(
    axes: Axes, pair: Sequence[NDArray[np.float64]], told: Sequence[str], label: str, *, log: bool
) -> list[Patch]:
    every = np.concatenate(pair)
    if log and (every <= 0).any():
        raise SettingError(f"{label}: {every.min():g} is not positive: a logarithmic axis cannot show it")
    scaled = np.log10(every) if log else every
    edges = np.histogram_bin_edges(scaled, int(np.clip(np.sqrt(len(scaled) / 2), 8, 40)))
    edges = 10**edges if log else edges
    handles: list[Patch] = []
    for values, text, (colour, fill) in zip(pair, told, ((GREY, True), (PALETTE[1], False)), strict=True):
        inside = np.clip(values, edges[0], edges[-1])  # 10**log10(x) may miss x by a bit
        weights = np.full(len(inside), 100 / len(inside))
        axes.hist(
            inside,
            edges.tolist(),
            weights=weights,
            histtype="stepfilled" if fill else "step",
            color=FAINT if fill else colour,
            linewidth=1.6,
        )
        handles.append(
            Patch(facecolor=FAINT if fill else "none", edgecolor=colour if not fill else FAINT, label=text)
        )
    if log:
        axes.set_xscale("log")
    return handles


def _categories(axes: Axes, pair: Sequence[NDArray[np.str_]], told: Sequence[str]) -> list[Patch]:
    names = list(dict.fromkeys(np.concatenate(pair).tolist()))
    handles: list[Patch] = []
    for side, (values, text, colour) in enumerate(zip(pair, told, (FAINT, PALETTE[1]), strict=True)):
        heights = [100 * float((values == name).mean()) for name in names]
        places = np.arange(len(names)) + (side - 0.5) * 0.4
        axes.bar(places, heights, 0.38, color=colour)
        handles.append(Patch(color=colour, label=text))
    axes.set_xticks(range(len(names)), [plain(name) for name in names])
    axes.grid(visible=False, axis="x")
    return handles
