"""Which figures a study has, from its comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from analysis import figures
from analysis.comparison import Comparison, Group, Times
from analysis.figures import Effect, Style, styles, tall
from analysis.number_formats import better
from analysis.report import captions
from analysis.report.drawings import Drawing
from analysis.report.measures import clock_name, measure_name, untimed

Look = Mapping[str, Style]
_ROWS = 40  # of a forest plot


def look_of(comparison: Comparison) -> Look:
    """One style for each arm, the same in every figure of the study."""
    arms = dict.fromkeys(arm.name for group in comparison.groups for arm in group.arms)
    return styles(list(arms), comparison.baseline)


def effects_drawing(comparison: Comparison, look: Look) -> Drawing | None:
    """The forest plot of all groups; None where nothing is compared."""
    rows = []
    for group in comparison.groups:
        for against in group.against:
            if group.primary is None or not against.times:
                continue
            effect = against.at(group.primary, comparison.measure)
            ratio = effect.ratio
            of = "medians" if math.isnan(ratio.value) else ratio.of
            rows.append(Effect(group.name, against.arm, ratio.value, ratio.low, ratio.high, effect.n, of))
    if not rows:
        return None
    rows = rows[:_ROWS]
    several = len({row.group for row in rows})
    size = tall(len(rows) + (several if several > 1 else 0) + 1)
    words = "Ratio of the times to the primary target, arm over baseline, with intervals"
    primary = "; ".join(
        f"{group.name}: {group.metric} {group.primary:g}"
        for group in comparison.groups
        if group.primary is not None
    )
    caption = (
        f"Left of 1 the arm is faster. Measured in {measure_name(comparison, comparison.measure)}. Primary "
        f"target of {primary}."
    )
    draw = partial(figures.plot_effects, rows=rows, look=look)
    if any(against.configurations for group in comparison.groups for against in group.against):
        draw.keywords["interval"] = "95% interval over recorded configurations"
    return Drawing("effects", draw, words, caption, (max(size[0], 7.2), size[1]))


def main_drawings(comparison: Comparison, group: Group, slug: str, look: Look) -> list[Drawing]:
    """What a group's section begins with: bands, Kaplan-Meier, scores, costs, rungs."""
    names = [arm.name for arm in group.arms]
    found = _bands(comparison, group, slug, look)
    found += _kaplan_meier(comparison, group, slug, look)
    found.append(_scores(group, slug, look))
    found.append(_overheads(group, slug, look))
    seeds = _common([len(arm.seeds) for arm in group.arms])
    phases = [arm.phases for arm in group.arms]
    parts = {
        "training": [each.training for each in phases],
        "warm start": [each.warm_start for each in phases],
        "starting workers": [each.starting for each in phases],
        "waiting": [each.waiting for each in phases],
    }
    split = partial(figures.plot_time_split, names=names, parts=parts, n=seeds, title="Where the time went")
    words = "Where the workers' time went"
    found.append(Drawing(f"time-split-{slug}", split, words, captions.time_split(), tall(len(names))))
    found.append(_rungs(group, slug, look))
    return found


def _common(sizes: Iterable[int]) -> int | None:
    """The number, if all have the same."""
    found = set(sizes)
    return found.pop() if len(found) == 1 else None


def _axis(comparison: Comparison, group: Group, measure: str) -> str | None:
    """What an axis of ``measure`` is called; None: seconds, whose unit the figure chooses."""
    if measure == "units":
        return f"{group.unit}s of training, warm starts included"
    if measure == "seconds" and untimed(group):
        return "units of virtual time"
    return None if measure == "seconds" else measure_name(comparison, measure)


def _bands(comparison: Comparison, group: Group, slug: str, look: Look) -> list[Drawing]:
    found = []
    for bands in group.bands:
        arms = {name: (band.centre, band.low, band.high) for name, band in bands.arms.items()}
        draw = partial(
            figures.plot_best_bands,
            grid=bands.grid,
            bands=arms,
            n={name: band.n for name, band in bands.arms.items()},
            xlabel=_axis(comparison, group, bands.measure),
            clock=clock_name(comparison),
            ylabel=f"best {group.metric} so far (validation; {better(group.mode)})",
            targets=group.targets or group.later,
            look=look,
            title="Best so far",
        )
        words = f"Best {group.metric} so far by {measure_name(comparison, bands.measure)}, with bands"
        caption = (
            f"The best {group.metric} that an arm's searches had found by then: the line is the "
            "interquartile mean over seeds, the band a 95% bootstrap interval of it."
        )
        found.append(Drawing(f"best-{bands.measure}-{slug}", draw, words, caption))
    return found


def _kaplan_meier(comparison: Comparison, group: Group, slug: str, look: Look) -> list[Drawing]:
    """Of the primary target; and, if nobody reached it, of the hardest one that somebody did."""
    measure = comparison.measure
    chosen = [] if group.primary is None else [group.primary]
    if chosen and not _reached(group, chosen[0], measure):
        chosen += [each for each in group.all_targets if _reached(group, each, measure)][-1:]
    found = []
    for target in chosen:
        times = {arm.name: arm.at(target, measure) for arm in group.arms}
        curves: dict[str, Any] = {}
        for name, each in times.items():
            curve = each.curve
            marks = [t for t, censored in zip(each.times, each.censored, strict=True) if censored]
            curves[name] = (curve.times, curve.survival, curve.low, curve.high, marks)
        draw = partial(
            figures.plot_kaplan_meier,
            curves=curves,
            xlabel=_axis(comparison, group, measure),
            clock=clock_name(comparison),
            target=f"{group.metric} {target:g}",
            durations={name: each.times for name, each in times.items()},
            horizon=_shown_until(list(times.values())),
            look=look,
            title=f"Time to {group.metric} {target:g}",
        )
        words = f"Kaplan-Meier curves of the time to {group.metric} {target:g}"
        caption = (
            f"The share of an arm's searches that had not reached {group.metric} {target:g} by then: the "
            "lower, the faster. Ticks are searches that ended without it."
        )
        found.append(Drawing(f"kaplan-meier-{target:g}-{slug}", draw, words, caption))
    return found


def _shown_until(times: Sequence[Times]) -> float:
    """Where a Kaplan-Meier figure ends: at the horizon, or where all have got there."""
    last = max((t for each in times for t in each.times), default=0.0)
    horizon = max((each.horizon for each in times), default=0.0)
    return horizon if any(any(each.censored) for each in times) else min(1.1 * last, horizon)


def _reached(group: Group, target: float, measure: str) -> bool:
    return any(arm.at(target, measure).reached.k for arm in group.arms)


def _scores(group: Group, slug: str, look: Look) -> Drawing:
    best = [arm.best for arm in group.arms]
    test = None
    if any(arm.test is not None for arm in group.arms):
        of_test = [
            (math.nan,) * 3 if arm.test is None else (arm.test.iqm, arm.test.low, arm.test.high)
            for arm in group.arms
        ]
        centre, low, high = zip(*of_test, strict=True)
        test = (centre, low, high)
    draw = partial(
        figures.plot_final_scores,
        names=[arm.name for arm in group.arms],
        centre=[each.iqm for each in best],
        low=[each.low for each in best],
        high=[each.high for each in best],
        points=[each.values for each in best],
        xlabel=f"{group.metric} ({better(group.mode)})"
        if test
        else f"best {group.metric} (validation; {better(group.mode)})",
        test=test,
        of="interquartile mean",
        look=look,
        title="Final scores",
    )
    width, height = tall(len(best) * (2 if test else 1))
    words = f"Final {group.metric} of every search, by arm"
    caption = (
        f"Each search's best {group.metric} ({better(group.mode)}) is a faint mark; an arm's dot and bar are "
        "the interquartile mean over its seeds, and its interval."
    )
    if test:
        caption += " Hollow: on test data."
    return Drawing(f"scores-{slug}", draw, words, caption, (width, max(height, 2.4)))


def _overheads(group: Group, slug: str, look: Look) -> Drawing:
    arms = [arm for arm in group.arms if arm.overhead.seconds_share.value > 0]
    shares = {
        "seconds": [100 * arm.overhead.seconds_extra.value for arm in arms],
        "FLOPs": [100 * arm.overhead.flops_extra.value for arm in arms],
    }
    draw = partial(
        figures.plot_overheads,
        names=[arm.name for arm in arms],
        warm_share=shares,
        n=_common([len(arm.seeds) for arm in arms]),
        xlabel="added by warm starts (% of all else)",
        look=look,
        title="Overheads",
    )
    caption = "What an arm's warm starts added to its searches, in per cent of all that these did otherwise."
    return Drawing(
        f"overheads-{slug}", draw, "What the warm starts cost", caption, tall(max(2 * len(arms), 3))
    )


def _rungs(group: Group, slug: str, look: Look) -> Drawing:
    levels = sorted({rung.level for arm in group.arms for rung in arm.rungs})
    shares = {}
    for arm in group.arms:
        by_level = {rung.level: (rung.mean, rung.low, rung.high) for rung in arm.rungs}
        rows = [by_level.get(level, (math.nan,) * 3) for level in levels]
        mean, low, high = np.array(rows, dtype=np.float64).reshape(-1, 3).T
        shares[arm.name] = mean, low, high
    draw = partial(
        figures.plot_survival_by_rung,
        levels=levels,
        shares=shares,
        n={arm.name: len(arm.seeds) for arm in group.arms},
        unit=group.unit,
        look=look,
        title="Survival of configurations by rung",
    )
    caption = (
        f"The share of an arm's configurations that were trained for at least so many {group.unit}s: the "
        "mean over its searches, and its interval."
    )
    return Drawing(f"rungs-{slug}", draw, "Share of configurations that reached each rung", caption)
