"""Arms against the baseline, over the seeds that both have: times, scores, spreads and costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from analysis.comparison.arms import Against, Dropped, Estimate, TimeEffect
from analysis.comparison.data import GroupData, mean_of
from analysis.comparison.describing import auc, experiments_of, flops_of
from analysis.comparison.inference import inference
from analysis.journals.replicate import Replicate
from analysis.stats.arrays import Bools
from analysis.stats.effects import Ratio
from analysis.stats.paired import (
    Difference,
    PermutationResult,
    WilcoxonResult,
    holm,
)
from analysis.study.loading import Pair
from analysis.study.problems import UNUSED
from asha_core.runtime.budget import MEASURES, Measure

_LATER = "the target was chosen after the runs: no test"


def contrasts(data: GroupData) -> tuple[list[Against], tuple[tuple[str, ...], ...]]:
    """Every arm against the baseline, and the families of arms whose p-values are corrected together.

    A family: arms of the same experiments of the study, at one target. So the arms of a sweep, say, do not
    weaken the tests of the main experiment, nor these theirs. Each target has its own correction.
    """
    found = [_against(data, arm) for arm in data.others]
    by_experiment: dict[tuple[str, ...], list[str]] = {}
    for arm in data.others:
        by_experiment.setdefault(experiments_of(data.runs[arm]), []).append(arm)
    families = tuple(tuple(arms) for arms in by_experiment.values())
    for family in families:
        places = [index for index, each in enumerate(found) if each.arm in family]
        corrected = _corrected([found[index] for index in places])
        for index, each in zip(places, corrected, strict=True):
            found[index] = each
    return found, families


def _corrected(family: Sequence[Against]) -> list[Against]:
    """The same with Holm's correction over the family, target by target."""
    rows = [list(each.times) for each in family]
    for place in range(len(rows[0]) if rows else 0):
        effects = [row[place] for row in rows]
        p = holm([each.p for each in effects])
        q = holm([each.p_permutation for each in effects])
        for row, one, other in zip(rows, p.tolist(), q.tolist(), strict=True):
            row[place] = replace(
                row[place],
                p_holm=None if math.isnan(one) else one,
                p_holm_permutation=None if math.isnan(other) else other,
                family=int(np.isfinite(p).sum()),
            )
    return [replace(each, times=tuple(row)) for each, row in zip(family, rows, strict=True)]


def _against(data: GroupData, arm: str) -> Against:
    """One arm; intervals and tests are over seeds, or over configurations where searches were simulated."""
    pairs = data.pairs(arm)
    targets = (*data.targets, *data.later)
    best = _difference(data, pairs, lambda each: each.best)
    return Against(
        arm=arm,
        baseline=data.study.baseline,
        seeds=tuple(base.seed for base, _ in pairs),
        dropped=tuple(_dropped(data, arm, {base.seed for base, _ in pairs})),
        times=tuple(time_effect(data, pairs, target, m) for target in targets for m in MEASURES),
        best=best,
        gain=_gain(best, data.sign),
        test=_difference(data, pairs, lambda each: each.test),
        auc={m: d for m in MEASURES if (d := _difference(data, pairs, lambda e, m=m: auc(data, e, m)))},  # type: ignore[misc]
        spread=_spread(data, pairs),
        peaks=_peaks(data, pairs),
        costs=_costs(data, pairs),
        configurations=inference(data, pairs).configurations,
    )


def _dropped(data: GroupData, arm: str, paired: set[int]) -> Iterable[Dropped]:
    """Seeds that one of the two has and that are in no pair."""
    study, name = data.study, data.name
    sides = {side: {each.seed for each in data.runs[side]} for side in (study.baseline, arm)}
    unused = {p.run: p.sentence for p in study.problems if p.kind in UNUSED and p.run}
    lost = {(e.arm, e.seed): unused[e.id] for e in study.left_out if e.group == name and e.id in unused}
    for seed in sorted(set().union(*sides.values()) - paired):
        without = [side for side, seeds in sides.items() if seed not in seeds]
        if without:
            why = lost.get((without[0], seed), "it has no usable run of this seed")
            yield Dropped(seed, f"{without[0]}: {why}")
        else:
            yield Dropped(seed, "the two ran on different hardware")


def time_effect(data: GroupData, pairs: Sequence[Pair], target: float, measure: Measure) -> TimeEffect:
    """T@tau of an arm against the baseline's; p-values not yet corrected.

    Tests are made in the study's measure, for targets that were fixed before the runs.
    """
    if not pairs:
        return TimeEffect(target, measure, note="no pair of seeds")
    base, other = (data.times([pair[side] for pair in pairs], target, measure) for side in (0, 1))
    limit = data.limit(measure, target)
    fixed = target in data.targets
    how = inference(data, pairs, target)
    wilcoxon = how.ranks(base, other)
    permutation: PermutationResult | None = None
    tested = fixed and measure == data.measure
    if tested and base[1].sum() != other[1].sum():
        permutation = how.restricted_means(base, other, limit)
    ratio = how.ratio(base, other, limit)
    needed, detectable = how.power(base, other, ratio)
    return TimeEffect(
        target=target,
        measure=measure,
        n=len(pairs),
        base_reached=int((~base[1]).sum()),
        reached=int((~other[1]).sum()),
        ratio=ratio,
        hodges_lehmann=how.paired_ratio(base, other),
        wilcoxon=wilcoxon if tested else None,
        p=wilcoxon.p if tested else None,
        permutation=permutation,
        p_permutation=permutation.p if permutation else None,
        mcnemar=how.reached(base, other),
        log_rank=how.curves(base, other),
        sd_log_ratio=wilcoxon.sd_log_ratio,
        seeds_needed=needed,
        detectable=detectable,
        configurations=how.configurations,
        note=_note(wilcoxon, fixed, base[1], other[1]),
    )


def _note(wilcoxon: WilcoxonResult, fixed: bool, base: Bools, other: Bools) -> str:
    if not fixed:
        return _LATER
    if base.all() and other.all():
        return "no search of either reached the target"
    return wilcoxon.note


def _difference(
    data: GroupData, pairs: Sequence[Pair], of: Callable[[Replicate], float]
) -> Difference | None:
    """Mean of the paired differences, of pairs that both have the number; None if there are none."""
    told = [(pair, of(pair[0]), of(pair[1])) for pair in pairs]
    kept = [(pair, x, y) for pair, x, y in told if math.isfinite(x + y)]
    if not kept:
        return None
    base, other = (np.array([each[side] for each in kept], dtype=np.float64) for side in (1, 2))
    return inference(data, [pair for pair, _, _ in kept]).difference(base, other)


def _gain(best: Difference | None, sign: int) -> Estimate:
    """The difference, signed so that above 0 is better."""
    if best is None:
        return mean_of([])
    low, high = (best.low, best.high) if sign > 0 else (-best.high, -best.low)
    return Estimate(sign * best.mean, low, high, best.n)


def _spread(data: GroupData, pairs: Sequence[Pair]) -> Ratio | None:
    """Of log T at the primary target, in the study's measure."""
    if data.primary is None or len(pairs) < 2:
        return None
    base, other = (data.times([p[side] for p in pairs], data.primary, data.measure) for side in (0, 1))
    return inference(data, pairs, data.primary).spread(base, other)


def _peaks(data: GroupData, pairs: Sequence[Pair]) -> dict[str, Estimate]:
    names = sorted({name for base, other in pairs for name in base.peaks if name in other.peaks})
    return {name: _mean_ratio(data, pairs, lambda e, n=name: e.peaks.get(n, math.nan)) for name in names}  # type: ignore[misc]


def _costs(data: GroupData, pairs: Sequence[Pair]) -> dict[str, Estimate]:
    def spent(each: Replicate, what: str) -> float:
        return flops_of(each)[1] if what == "flops" else each.ends[what]

    return {what: _mean_ratio(data, pairs, lambda e, w=what: spent(e, w)) for what in (*MEASURES, "flops")}  # type: ignore[misc]


def _mean_ratio(data: GroupData, pairs: Sequence[Pair], of: Callable[[Replicate], float]) -> Estimate:
    """Geometric mean of arm over baseline, over pairs that have both; the interval is the logarithm's."""
    told = [(pair, of(pair[0]), of(pair[1])) for pair in pairs]
    kept = [(pair, math.log(y / x)) for pair, x, y in told if x > 0 and y > 0]
    logs = np.array([log for _, log in kept], dtype=np.float64)
    log = inference(data, [pair for pair, _ in kept]).mean(logs)
    return Estimate(math.exp(log.value), math.exp(log.low), math.exp(log.high), log.n)
