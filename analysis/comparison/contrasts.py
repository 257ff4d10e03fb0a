"""Arms against the baseline, over the seeds that both have: times, scores, spreads and costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from analysis.comparison.arms import Against, Dropped, Estimate, TimeEffect
from analysis.comparison.data import CONFIDENCE, DRAWS, EFFECT, GroupData, mean_of, ratio_of
from analysis.comparison.describing import auc, experiments_of, flops_of
from analysis.journals.replicate import Replicate
from analysis.stats.arrays import Bools, Floats, least_pairs
from analysis.stats.effects import Ratio, ratio_of_times, spread_ratio
from analysis.stats.paired import (
    Difference,
    PermutationResult,
    WilcoxonResult,
    holm,
    mcnemar,
    paired_difference,
    permutation_restricted_mean,
    wilcoxon_log,
)
from analysis.stats.power import detectable_ratio, seeds_needed
from analysis.stats.survival import log_rank
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
    pairs = data.pairs(arm)
    targets = (*data.targets, *data.later)
    best = _difference(pairs, lambda each: each.best)
    return Against(
        arm=arm,
        baseline=data.study.baseline,
        seeds=tuple(base.seed for base, _ in pairs),
        dropped=tuple(_dropped(data, arm, {base.seed for base, _ in pairs})),
        times=tuple(time_effect(data, pairs, target, m) for target in targets for m in MEASURES),
        best=best,
        gain=_gain(best, data.sign),
        test=_difference(pairs, lambda each: each.test),
        auc={m: d for m in MEASURES if (d := _difference(pairs, lambda e, m=m: auc(data, e, m)))},  # type: ignore[misc]
        spread=_spread(data, pairs),
        peaks=_peaks(pairs),
        costs=_costs(pairs),
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
    wilcoxon = wilcoxon_log(base[0], other[0])
    permutation: PermutationResult | None = None
    tested = fixed and measure == data.measure
    if tested and base[1].sum() != other[1].sum():
        permutation = permutation_restricted_mean(*base, *other, limit)
    needed, detectable = _power(base, other)
    return TimeEffect(
        target=target,
        measure=measure,
        n=len(pairs),
        base_reached=int((~base[1]).sum()),
        reached=int((~other[1]).sum()),
        ratio=ratio_of_times(*base, *other, limit, DRAWS, 0, CONFIDENCE),
        wilcoxon=wilcoxon if tested else None,
        p=wilcoxon.p if tested else None,
        permutation=permutation,
        p_permutation=permutation.p if permutation else None,
        mcnemar=mcnemar(~base[1], ~other[1]),
        log_rank=log_rank(*base, *other),
        sd_log_ratio=wilcoxon.sd_log_ratio,
        seeds_needed=needed,
        detectable=detectable,
        note=_note(wilcoxon, fixed, base[1], other[1]),
    )


def _power(base: tuple[Floats, Bools], other: tuple[Floats, Bools]) -> tuple[int | None, float]:
    """(pairs that it takes to find the effect, the ratio that these pairs find), both at 80% power.

    Of the pairs in which both reached the target: two that are censored at one horizon seem equal, and would
    make the spread too small. Where only some did, as many more pairs are needed. (None, NaN) for fewer than
    six, or less than half of all: those that both reached it are not like the others.
    """
    both = ~(base[1] | other[1])
    complete = int(both.sum())
    if complete < least_pairs() or 2 * complete < len(both):
        return None, math.nan
    sd = float(np.log(other[0][both] / base[0][both]).std(ddof=1))
    return math.ceil(seeds_needed(sd, EFFECT) * len(both) / complete), detectable_ratio(complete, sd)


def _note(wilcoxon: WilcoxonResult, fixed: bool, base: Bools, other: Bools) -> str:
    if not fixed:
        return _LATER
    if base.all() and other.all():
        return "no search of either reached the target"
    return wilcoxon.note


def _difference(pairs: Sequence[Pair], of: Callable[[Replicate], float]) -> Difference | None:
    """Mean of the paired differences, of pairs that both have the number; None if there are none."""
    told = [(x, y) for x, y in ((of(base), of(other)) for base, other in pairs) if math.isfinite(x + y)]
    if not told:
        return None
    base, other = zip(*told, strict=True)
    return paired_difference(base, other, CONFIDENCE)


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
    return spread_ratio(base[0], other[0], base[1], other[1], DRAWS, 0, CONFIDENCE)


def _peaks(pairs: Sequence[Pair]) -> dict[str, Estimate]:
    names = sorted({name for base, other in pairs for name in base.peaks if name in other.peaks})
    return {
        name: ratio_of(
            [base.peaks.get(name, math.nan) for base, _ in pairs],
            [other.peaks.get(name, math.nan) for _, other in pairs],
        )
        for name in names
    }


def _costs(pairs: Sequence[Pair]) -> dict[str, Estimate]:
    def spent(each: Replicate, what: str) -> float:
        return flops_of(each)[1] if what == "flops" else each.ends[what]

    return {
        what: ratio_of([spent(base, what) for base, _ in pairs], [spent(other, what) for _, other in pairs])
        for what in (*MEASURES, "flops")
    }
