"""Which figures tell what the warm starts of a study did, from its comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from analysis import figures
from analysis.comparison import Comparison, Diagnostics, Group, Sweep, Trend
from analysis.number_formats import better
from analysis.report.drawings import Drawing
from analysis.stats.sensitivity import BenefitGrid

_ARMS = (1, 12)  # of a group, at least, and of a study, at most, whose own diagnostics are drawn
_PANELS = (2, 6)  # hyper-parameters in one figure of distributions, at least and at most
_NO_PROOF = (
    "Gain: over the same configuration in the baseline's search. Configurations of one search are not "
    "independent, and those with large gradients may differ from others in more than that: this describes, "
    "and proves nothing."
)
_SWEEP_INTERVALS = {"means by x": "95% Student interval"}
_CENSORED = "A search that did not reach the target counts with the horizon as its time."
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
    found = _benefit(group, drawn[group.name], slug)
    best = group.best_configurations
    if best is not None and len(best.scores):
        draw = partial(
            figures.plot_parallel_coordinates,
            dimensions=best.dimensions,
            values=np.array(best.values, dtype=np.float64),
            score=best.scores,
            ticks=best.ticks,
            mode=group.mode,
            score_label=f"{group.metric} (validation; {better(group.mode)})",
            title="The best configuration of each search",
        )
        caption = (
            "Each line is the best configuration of one search, over its hyper-parameters. Where lines pass "
            "close together, searches agree on the value; where they spread, it matters little, or the "
            "seeds found different ways."
        )
        found.append(Drawing(f"parallel-{slug}", draw, "The best configuration of each search", caption))
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
    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    draw = partial(figures.draw_panels, panels=panels, columns=columns, title=f"Before and after: {told.arm}")
    all_ = len(told.dimensions)
    caption = "Before: configurations as they were proposed. After: as the warm start left them."
    if len(shown) < all_:
        caption += f" The {len(shown)} of {all_} hyper-parameters whose distributions changed most."
    words = f"Hyper-parameters before and after the warm start {told.arm}"
    size = (3.7 * columns, 0.3 + 2.5 * -(-len(panels) // columns))
    return [Drawing(f"before-after-{slug}", draw, words, caption, size, wide=columns > 1)]


def _benefit(group: Group, drawn: Sequence[Diagnostics], slug: str) -> list[Drawing]:
    """A heat map of each arm, in the same colours: of the best value, or if it has none of the first."""
    shown = {told.arm: chosen for told in drawn if (chosen := _shown(told)) is not None}
    most = max((float(np.max(grid.counts)) for _, grid in shown.values()), default=0.0)
    found = []
    for place, told in enumerate(drawn):
        if told.arm not in shown:
            continue
        of, grid = shown[told.arm]
        later = "best" if of == "best" else f"first {group.unit}'s"
        draw = partial(
            figures.plot_gradient_benefit,
            x_edges=grid.x_edges,
            y_edges=grid.y_edges,
            values=grid.counts,
            xlabel="size of the hyper-gradient (nats per search coordinate)",
            ylabel=f"gain in {later} {group.metric}",
            log=True,
            n=grid.n,
            searches=len(group.arm(told.arm).seeds),
            most=most,
            correlation=None if grid.p is None else (grid.correlation, grid.p),
            title=f"Gradient and benefit: {told.arm}",
        )
        words = f"Size of the hyper-gradient against later benefit, {told.arm}"
        found.append(Drawing(f"benefit-{slug}-{place + 1}", draw, words, _NO_PROOF))
    return found


def _shown(told: Diagnostics) -> tuple[str, BenefitGrid] | None:
    grids = {each.of: each.grid for each in told.benefits if each.grid is not None}
    return next(((of, grids[of]) for of in ("best", "first unit") if of in grids), None)


def _sweep(group: Group, sweep: Sweep, slug: str) -> list[Drawing]:
    found = []
    difference = f"best {group.metric} minus the baseline's ({better(group.mode)})"
    for name, y, curve, ylabel in (
        ("time", sweep.log_ratio, sweep.log_ratio_curve, "log of T over the baseline's T"),
        ("score", sweep.difference, sweep.difference_curve, difference),
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
            interval=_SWEEP_INTERVALS.get(curve.method if curve else "", "95% bootstrap band"),
            reference=(0.0, "the baseline"),
            title=f"{sweep.variation}: sweep of {sweep.setting}",
        )
        words = f"Sweep of {sweep.setting}, {ylabel}"
        found.append(Drawing(f"sweep-{name}-{slug}", draw, words, _CENSORED if name == "time" else ""))
    return found


def _curve(curve: Trend) -> tuple[Any, Any, Any, Any]:
    return curve.grid, curve.centre, curve.low, curve.high
