"""Which figures tell what the warm starts of a study did, from its comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import figures
from analysis.comparison import Comparison, Diagnostics, Group, Sweep, Trend
from analysis.study_figures import Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ARMS = (1, 12)  # of a group, at least, and of a study, at most, whose own diagnostics are drawn
_PANELS = (2, 6)  # hyper-parameters in one figure of distributions, at least and at most
_ALL_PANELS = 36  # in all of a study's figures: the report of a large one would take minutes


def diagnosed(comparison: Comparison) -> Mapping[str, Sequence[Diagnostics]]:
    """By group, the arms whose own diagnostics are drawn: those with hyper-gradients before others."""
    share = max(_ARMS[1] // max(len(comparison.groups), 1), _ARMS[0])
    found = {}
    for group in comparison.groups:
        ranked = sorted(group.diagnostics, key=lambda told: all(each.grid is None for each in told.benefits))
        chosen = {told.arm for told in ranked[:share]}
        found[group.name] = [told for told in group.diagnostics if told.arm in chosen]
    return found


def diagnostic_drawings(group: Group, slug: str, drawn: Mapping[str, Sequence[Diagnostics]]) -> list[Drawing]:
    """What the warm starts moved and what it was good for; which settings were the best; sweeps.

    Args:
        drawn: as ``diagnosed`` has them.
    """
    arms = sum(len(of_group) for of_group in drawn.values())
    panels = min(max(_ALL_PANELS // max(arms, 1), _PANELS[0]), _PANELS[1])
    found = []
    for place, told in enumerate(drawn[group.name]):
        found += _benefit(group, told, f"{slug}-{place + 1}")
    best = group.best_configurations
    if best is not None and len(best.scores):
        draw = partial(
            figures.plot_parallel_coordinates,
            dimensions=best.dimensions,
            values=np.array(best.values, dtype=np.float64),
            score=best.scores,
            ticks=best.ticks,
            mode=group.mode,
            score_label=f"{group.metric} (validation)",
            title="The best configuration of each search",
        )
        found.append(Drawing(f"parallel-{slug}", draw, "The best configuration of each search"))
    for place, sweep in enumerate(group.sweeps):
        found += _sweep(group, sweep, f"{slug}-{place + 1}")
    for place, told in enumerate(drawn[group.name]):
        found += _moved(told, f"{slug}-{place + 1}", panels)
    return found


def _moved(told: Diagnostics, slug: str, count: int) -> list[Drawing]:
    """Distributions before and after, of the hyper-parameters that were moved most."""
    moved = [each for each in told.dimensions if each.n and each.kl != 0]  # NaN: not known
    ranked = sorted(moved, key=lambda each: -each.kl if math.isfinite(each.kl) else math.inf)
    kept = {each.name for each in ranked[:count]}
    shown = [each for each in told.dimensions if each.name in kept]
    if not shown:
        return []
    panels = [
        partial(
            figures.plot_before_after,
            before=each.before,
            after=each.after,
            label=each.name,
            log=each.scale == "log",
            kl=each.kl if math.isfinite(each.kl) else None,
        )
        for each in shown
    ]
    columns = min(len(panels), 3)
    draw = partial(draw_panels, panels=panels, columns=columns, title=f"Before and after: {told.arm}")
    all_ = len(told.dimensions)
    caption = f"Those {len(shown)} of {all_} whose distributions changed most." if len(shown) < all_ else ""
    words = f"Hyper-parameters before and after the warm start {told.arm}"
    size = (3.7 * columns, 0.3 + 2.5 * -(-len(panels) // columns))
    return [Drawing(f"before-after-{slug}", draw, words, caption, size, wide=columns > 1)]


def draw_panels(axes: Axes, panels: Sequence[Callable[[Axes], None]], columns: int, title: str = "") -> None:
    """Several figures side by side in the place of one.

    Args:
        axes: the only ones of their figure; they stay empty behind the others.
    """
    figure = axes.figure
    axes.set_axis_off()
    axes.set_aspect("equal")  # figures of such axes keep the height that they were given
    rows = -(-len(panels) // columns)
    for index, panel in enumerate(panels):
        panel(figure.add_subplot(rows, columns, index + 1))
    if title:
        figure.suptitle(title.replace("$", r"\$"), x=0.01, ha="left", fontweight="bold", fontsize="medium")


def _benefit(group: Group, told: Diagnostics, slug: str) -> list[Drawing]:
    for of, later in (("best", "best"), ("first unit", f"first {group.unit}'s")):
        for each in told.benefits:
            if each.of != of or each.grid is None:
                continue
            grid = each.grid
            draw = partial(
                figures.plot_gradient_benefit,
                x_edges=grid.x_edges,
                y_edges=grid.y_edges,
                values=grid.counts,
                xlabel="size of the hyper-gradient (nats per search coordinate)",
                ylabel=f"gain in {later} {group.metric}",
                log=True,
                n=grid.n,
                correlation=None if grid.p is None else (grid.correlation, grid.p),
                title=f"Gradient and benefit: {told.arm}",
            )
            words = f"Size of the hyper-gradient against later benefit, {told.arm}"
            return [Drawing(f"benefit-{slug}", draw, words)]
    return []


def _sweep(group: Group, sweep: Sweep, slug: str) -> list[Drawing]:
    found = []
    for name, y, curve, ylabel in (
        ("time", sweep.log_ratio, sweep.log_ratio_curve, "log of T over the baseline's T"),
        ("score", sweep.difference, sweep.difference_curve, f"best {group.metric} minus the baseline's"),
    ):
        if min(sweep.x, default=0.0) <= 0 or not np.isfinite(y).any():
            continue
        draw = partial(
            figures.plot_sweep,
            x=sweep.x,
            y=y,
            curve=None if curve is None else _curve(curve),
            xlabel=sweep.setting,
            ylabel=ylabel,
            of="LOESS" if curve is None else curve.method,
            reference=(0.0, "the baseline"),
            title=f"{sweep.variation}: sweep of {sweep.setting}",
        )
        found.append(Drawing(f"sweep-{name}-{slug}", draw, f"Sweep of {sweep.setting}, {ylabel}"))
    return found


def _curve(curve: Trend) -> tuple[Any, Any, Any, Any]:
    return curve.grid, curve.centre, curve.low, curve.high
