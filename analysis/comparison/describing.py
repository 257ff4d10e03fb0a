"""One arm alone: its scores, times, costs and counts over its seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import numpy as np

from analysis.comparison.arms import Arm, Counts, Estimate, Overhead, Phases, RungSurvival, Scores, Times
from analysis.comparison.data import CONFIDENCE, DRAWS, GroupData
from analysis.comparison.inference import inference
from analysis.journals.replicate import Replicate, area_under_curve
from analysis.stats.arrays import percentiles
from analysis.stats.resampling import bootstrap_weights
from analysis.stats.summaries import interquartile_mean_band, success_rate
from analysis.stats.survival import kaplan_meier, restricted_mean
from asha_core.runtime.budget import MEASURES, Measure

_RECORDED = {"train": "train", "evaluate": "evaluate", "checkpoint": "checkpoint", "build": "start"}
_WARM = ("skipped", "fallbacks", "non_finite", "braked", "redrawn")


def describe(data: GroupData, name: str) -> Arm:
    """What there is to tell of one arm."""
    runs = data.runs[name]
    test = [(each.seed, each.test) for each in runs if math.isfinite(each.test)]
    targets = (*data.targets, *data.later)
    return Arm(
        name=name,
        variation=runs[0].variation,
        settings=runs[0].settings,
        experiments=experiments_of(runs),
        seeds=tuple(each.seed for each in runs),
        best=scores([(each.seed, each.best) for each in runs]),
        test=scores(test) if test else None,
        auc={m: scores([(each.seed, auc(data, each, m)) for each in runs]) for m in MEASURES},
        times=tuple(times_of(data, runs, target, m) for target in targets for m in MEASURES),
        overhead=overhead_of(data, runs),
        phases=_phases(runs),
        peaks=_peaks(runs),
        counts=_counts(runs),
        rungs=tuple(_rungs(runs)),
    )


def experiments_of(runs: Sequence[Replicate]) -> tuple[str, ...]:
    """The parts of the study that an arm belongs to."""
    return tuple(sorted({each.experiment for each in runs}))


def auc(data: GroupData, each: Replicate, measure: Measure) -> float:
    """Mean of the best value so far up to the group's horizon; NaN for a search without values."""
    if not len(each.curve.value):
        return math.nan
    return area_under_curve(each, data.limit(measure), measure, data.auc_start)


def scores(found: Iterable[tuple[int, float]]) -> Scores:
    """One number a seed, summed up; what is not finite is left out.

    Args:
        found: (seed, number).
    """
    kept = [(seed, value) for seed, value in found if math.isfinite(value)]
    seeds, values = tuple(seed for seed, _ in kept), tuple(value for _, value in kept)
    if not kept:
        return Scores((), (), *[math.nan] * 6)
    array = np.array(values)
    band = interquartile_mean_band(array[:, None], draws=DRAWS, confidence=CONFIDENCE)
    return Scores(
        seeds,
        values,
        mean=float(array.mean()),
        sd=float(array.std(ddof=1)) if len(array) > 1 else math.nan,
        median=float(np.median(array)),
        iqm=float(band.centre[0]),
        low=float(band.low[0]),
        high=float(band.high[0]),
    )


def times_of(data: GroupData, runs: Sequence[Replicate], target: float, measure: Measure) -> Times:
    """T@tau over the seeds of an arm."""
    times, censored = data.times(runs, target, measure)
    limit = data.limit(measure, target)
    curve = kaplan_meier(times, censored, CONFIDENCE)
    low, high = curve.median_interval
    area, error = restricted_mean(times, censored, limit)
    return Times(
        target,
        measure,
        seeds=tuple(each.seed for each in runs),
        times=tuple(times.tolist()),
        censored=tuple(censored.tolist()),
        horizon=limit,
        reached=success_rate(~censored, CONFIDENCE),
        median=curve.median,
        low=low,
        high=high,
        q25=curve.quantile(0.25),
        q75=curve.quantile(0.75),
        restricted_mean=area,
        restricted_se=error,
        sd_log=float(np.log(times).std(ddof=1)) if len(times) > 1 else math.nan,
    )


def flops_of(each: Replicate) -> tuple[float, float]:
    """(floating point operations of the warm starts, of everything); NaN where they were not recorded."""
    training = each.costs.get("flops", math.nan) + each.costs.get("evaluate_flops", 0.0)
    warm = 0.0 if each.spent_from == "none" else each.warm_start_costs.get("flops", math.nan)
    return warm, training + warm


def overhead_of(data: GroupData, runs: Sequence[Replicate]) -> Overhead:
    """What the warm starts cost of an arm's searches."""
    seconds = [(each.split.warm_start, each.split.total) for each in runs]
    flops = [flops_of(each) for each in runs]

    def mean(values: Iterable[float]) -> Estimate:
        kept = [(each, value) for each, value in zip(runs, values, strict=True) if math.isfinite(value)]
        return inference(data, [[each] for each, _ in kept]).mean(np.array([value for _, value in kept]))

    return Overhead(
        seconds_share=mean(_over(part, whole) for part, whole in seconds),
        seconds_extra=mean(_over(part, whole - part) for part, whole in seconds),
        flops_share=mean(_over(part, whole) for part, whole in flops),
        flops_extra=mean(_over(part, whole - part) for part, whole in flops),
    )


def _over(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan


def _phases(runs: Sequence[Replicate]) -> Phases:
    splits = [asdict(each.split) for each in runs]
    recorded = {
        name: [each.costs.get(f"{cost}_seconds", math.nan) for each in runs]
        for name, cost in _RECORDED.items()
    }
    return Phases(
        **{part: float(np.mean([split[part] for split in splits])) for part in splits[0]},
        **{name: float(np.mean(seconds)) for name, seconds in recorded.items()},
    )


def _peaks(runs: Sequence[Replicate]) -> dict[str, float]:
    names = sorted({name for each in runs for name in each.peaks})
    return {n: float(np.median([each.peaks[n] for each in runs if n in each.peaks])) for n in names}


def _counts(runs: Sequence[Replicate]) -> Counts:
    states = [state for each in runs for state in each.trials["state"].tolist()]
    warm = {name: sum((each.warm_start or {}).get(name, 0) for each in runs) for name in _WARM}
    units = sum(float(each.trials["reached"].sum()) for each in runs)
    return Counts(len(states), states.count("failed"), states.count("rejected"), units, **warm)


def _rungs(runs: Sequence[Replicate]) -> Iterable[RungSurvival]:
    """Levels that only some searches have are told of these alone."""
    for level in sorted({rung.level for each in runs for rung in each.rungs}):
        shares = np.array([r.share for each in runs for r in each.rungs if r.level == level])
        n = len(shares)
        low = high = math.nan
        if n > 1:
            low, high = percentiles(bootstrap_weights(n, DRAWS, 0) @ shares / n, CONFIDENCE)
        yield RungSurvival(level, float(shares.mean()), low, high, n)
