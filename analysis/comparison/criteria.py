"""The proposal's criteria, group by group (task x scheduler), each with a verdict.

    criterion   what is claimed                                     holds if              fails if
    time        median time to the primary target <= .85            <= .85, Holm p < .05  interval > .85
    cost        the warm starts add <= 5% to the workers' time      interval <= 5%        interval > 5%
    memory      peak memory <= 1.10 of the baseline's               interval <= 1.10      interval > 1.10
    score       best validation score loses <= .002                 interval >= -.002     interval < -.002
    spread      spread of log time over seeds <= 1.10               interval <= 1.10      interval > 1.10

Ratios are to the baseline. Else it is "not enough data". Intervals are of 95%, two-sided. Further rules, so
that little data decides nothing:

- time: fewer than 6 pairs decide nothing (no test of signs can reach .05), nor does a target that was chosen
  after the runs, or that nobody reached. Where the numbers of censored searches differ, the permutation test
  of restricted means must show it too. Restricted means draw ratios towards 1, and so does a median that is
  beyond the horizon in many bootstrap draws: there the criterion fails only if the interval is above 1.
- spread: fewer than 6 pairs decide nothing: bootstrap intervals are much too narrow there; nor does a ratio
  that is not defined in more than 2.5% of the draws, in which too few searches got there. An interval without
  width decides nothing from fewer than 6 pairs, for any criterion.
- score: .002 is of scores within [0, 1]; elsewhere it is that share of the baseline's mean, its sign aside.

The pairs that it would take: of time, those with which 15% are found at 80% power
(``analysis.stats.power``); if
there are as many already, and of the others, those with which the interval would leave the threshold if the
estimate stayed as it is: n (w / d)^2, w the interval's half towards the threshold, d the way there (of
ratios, both on the logarithmic scale).

The whole is claimed of a variation if all hold in at least 75% of its groups; it fails if one fails in more
than 25% of them. Simulated searches hold no memory: there the other four are judged.
Source: the hypotheses of the project's proposal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from analysis.comparison.arms import Against, Estimate, TimeEffect
from analysis.comparison.data import EFFECT
from analysis.comparison.schema import Criteria, Group, Judgement, Overall, Verdict
from analysis.number_formats import between, counted, listed, number, p_value, percent, target_name
from analysis.stats.arrays import LEAST_ALPHA, least_pairs
from analysis.stats.effects import Ratio

TIME = EFFECT  # ratio of times to the primary target
SCORE = 0.002  # that may be lost
ALPHA = LEAST_ALPHA
GROUPS = 0.75  # share of groups in which all are to hold
LEAST_PAIRS = least_pairs()  # of a two-sided test of signs at ALPHA
_UNDEFINED = 0.025  # share of draws beyond which an end of the interval is not to be relied on
_MOST_SEEDS = 2_000  # more are no plan
HOLDS: Judgement = "holds"
FAILS: Judgement = "fails"
OPEN: Judgement = "not enough data"


@dataclass(frozen=True, slots=True)
class Finding:
    """What an arm of a group has to show on one criterion."""

    estimate: Estimate | Ratio  # NaN decides nothing
    sentence: str  # the estimate in words, without a full stop
    verdict: Judgement | None = None  # None: by the side of the threshold on which the interval lies
    threshold: float | None = None  # None: the criterion's own
    p: float | None = None
    # pairs that it would take, and for what; None: those with which the interval leaves the threshold
    needed: tuple[int | None, str] | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """One claim about an arm."""

    title: str  # what is claimed, as a table's heading
    threshold: float
    find: Callable[[Group, Against, str], Finding]  # by (group, arm against baseline, measure)
    at_least: bool = False  # whether the estimate is to be no smaller than the threshold; else no larger
    log: bool = False  # whether the estimate is a ratio, whose interval is on the logarithmic scale


def judge(groups: Sequence[Group], measure: str) -> Criteria:
    """Every criterion on every arm of every group, and on each arm over its groups.

    Args:
        measure: of T@tau.
    """
    verdicts = [
        _judge(name, group, against, measure)
        for group in groups
        for against in group.against
        for name in CRITERIA
        if name != "memory" or group.simulated is None
    ]
    arms = dict.fromkeys(verdict.arm for verdict in verdicts)
    return Criteria(tuple(verdicts), tuple(_overall(arm, verdicts) for arm in arms))


def _judge(name: str, group: Group, against: Against, measure: str) -> Verdict:
    criterion = CRITERIA[name]
    found = criterion.find(group, against, measure)
    threshold = criterion.threshold if found.threshold is None else found.threshold
    value, low, high, n = (getattr(found.estimate, key) for key in ("value", "low", "high", "n"))
    # "at least" a threshold is "at most" its negative
    claim = (-value, -high, -low, -threshold, n) if criterion.at_least else (value, low, high, threshold, n)
    verdict, seeds, sentence = found.verdict or interval_verdict(*claim), None, found.sentence
    if verdict == OPEN:
        of = "recorded configuration" if against.configurations else "pair"
        sample = (*claim[:4], against.configurations or n)
        seeds, what = found.needed or (seeds_to_tell(*sample, log=criterion.log), "to tell")
        if seeds is not None:
            sentence += f"; about {counted(seeds, of)} would be needed {what}"
    return Verdict(
        group.name, against.arm, name, verdict, value, low, high, threshold, found.p, n, seeds, f"{sentence}."
    )


def interval_verdict(value: float, low: float, high: float, threshold: float, n: int) -> Judgement:
    """Whether what is claimed to be at most a threshold is so by its interval.

    Args:
        value, low, high: the estimate and its interval; NaN decides nothing.
        n: pairs.
    """
    if math.isnan(value) or math.isnan(low) or math.isnan(high) or (low == high and n < LEAST_PAIRS):
        return OPEN
    if high <= threshold:
        return HOLDS
    return FAILS if low > threshold else OPEN


def seeds_to_tell(
    value: float, low: float, high: float, threshold: float, n: int, *, log: bool = False
) -> int | None:
    """How many pairs it takes for the interval to leave the threshold, if the estimate stays as it is.

    n (w / d)^2: w is the half of the interval towards the threshold, d the way from the estimate to there; in
    logarithms if ``log``. None if it cannot be told, or if it is more than anybody will run. For simulated
    searches n, and what is told, are numbers of recorded configurations.
    """
    if not all(math.isfinite(each) for each in (value, low, high)) or (log and min(value, low) <= 0):
        return None
    scale: Callable[[float], float] = math.log if log else float
    distance = abs(scale(threshold) - scale(value))
    width = scale(high) - scale(value) if value <= threshold else scale(value) - scale(low)
    if distance == 0 or width <= 0:
        return None
    needed = math.ceil(n * (width / distance) ** 2)
    return max(needed, n + 1, LEAST_PAIRS) if needed <= _MOST_SEEDS else None


def _unknown(against: Against, why: str) -> Finding:
    return Finding(Estimate(math.nan, math.nan, math.nan, len(against.seeds)), why)


def _interval(estimate: Estimate | Ratio, of: str = "pair", digits: int = 2) -> str:
    return f"{between(estimate.low, estimate.high, digits)}, {counted(estimate.n, of)}"


def _time(group: Group, against: Against, measure: str) -> Finding:
    if group.primary is None or not group.targets:
        return _unknown(against, "no target was fixed before the runs, so that no time to one can be tested")
    effect = against.at(group.primary, measure)
    ratio, tau = effect.ratio, target_name(group.primary, group.metric, group.mode)
    if not effect.base_reached + effect.reached:
        reason = f"no search of either reached {tau}" if effect.n else "no pair of seeds"
        return Finding(ratio, reason, OPEN)
    of = "median" if ratio.of == "medians" else "restricted mean"
    p = effect.p_holm
    corrected = "" if p is None else f", {p_value(p)} after Holm's correction"
    paired = f"; pair by pair {number(effect.hodges_lehmann.value)}" if effect.n > 1 else ""
    sentence = (
        f"{of} time to {tau} {number(ratio.value)} of the baseline's ({_interval(ratio)}{corrected}){paired}"
        f"{_weakness(effect)}"
    )
    seeds = effect.seeds_needed
    known = effect.n >= LEAST_PAIRS and seeds is not None and seeds <= (effect.configurations or effect.n)
    needed = None if known else (seeds, f"to see {percent(1 - TIME, 0)}")
    return Finding(ratio, sentence, _time_verdict(effect), p=p, needed=needed)


def _time_verdict(effect: TimeEffect) -> Judgement:
    """By the corrected test if it holds, by the interval if it fails."""
    ratio = effect.ratio
    if effect.n < LEAST_PAIRS:
        return OPEN
    if shown(effect) and ratio.value <= TIME:
        return HOLDS
    sure = ratio.of == "medians" and ratio.undefined <= _UNDEFINED
    return FAILS if ratio.low > (TIME if sure else 1.0) else OPEN


def shown(effect: TimeEffect) -> bool:
    """Whether the corrected tests tell an arm from the baseline.

    Wilcoxon's, and where the numbers of censored searches differ the permutation test as well.
    """
    if effect.p_holm is None or effect.p_holm >= ALPHA:
        return False
    other = effect.p_holm_permutation
    return effect.permutation is None or (other is not None and other < ALPHA)


def _weakness(effect: TimeEffect) -> str:
    """What takes from the strength of a time's p."""
    if effect.n < LEAST_PAIRS:
        return f": fewer than {LEAST_PAIRS} pairs can show nothing at p < {ALPHA:g}"
    if effect.p_holm is None or effect.p_holm >= ALPHA or shown(effect):
        return ""
    other = effect.p_holm_permutation
    told = "" if other is None else f" ({p_value(other)})"
    return f"; censored unequally, and the test of restricted means does not show it{told}"


def _cost(group: Group, against: Against, measure: str) -> Finding:
    overhead = group.arm(against.arm).overhead
    extra, flops = overhead.seconds_extra, overhead.flops_extra
    if extra.n == 0:
        return Finding(extra, "no time was recorded")
    sentence = (
        f"warm starts added {percent(extra.value)} to the workers' time "
        f"({between(extra.low, extra.high, 1, of_share=True)}, {counted(extra.n, 'seed')})"
    )
    return Finding(extra, sentence + (f", and {percent(flops.value)} to the FLOPs" if flops.n else ""))


def _memory(group: Group, against: Against, measure: str) -> Finding:
    """Of torch's peak on a GPU, else of the workers' resident memory."""
    kind = next((name for name in ("gpu_bytes", "host_bytes") if name in against.peaks), None)
    if kind is None:
        return _unknown(against, "no peak of memory was recorded")
    peak = against.peaks[kind]
    what = "GPU memory" if kind == "gpu_bytes" else "host memory (there was no GPU)"
    return Finding(peak, f"peak {what} {number(peak.value)} of the baseline's ({_interval(peak)})")


def _score_threshold(group: Group, baseline: str) -> float:
    """What may be lost: .002 of scores within [0, 1], else that share of the baseline's mean score."""
    values = [value for arm in group.arms for value in arm.best.values]
    if values and min(values) >= 0 and max(values) <= 1:
        return SCORE
    mean = group.arm(baseline).best.mean
    return SCORE * abs(mean) if math.isfinite(mean) else math.nan


def _score(group: Group, against: Against, measure: str) -> Finding:
    gain, threshold = against.gain, -_score_threshold(group, against.baseline)
    if gain.n == 0:
        return Finding(gain, "no pair of seeds has scores", threshold=threshold)
    digits = 4 if abs(threshold) < 0.01 else 2
    sentence = (
        f"best {group.metric} on validation data {number(abs(gain.value), digits)} "
        f"{'better' if gain.value >= 0 else 'worse'} than the baseline's ({_interval(gain, digits=digits)})"
    )
    return Finding(gain, sentence, threshold=threshold)


def _spread(group: Group, against: Against, measure: str) -> Finding:
    spread = against.spread
    if spread is None or math.isnan(spread.value):
        reason = "no spread of times over seeds can be had"
        if spread is not None and spread.of.startswith("inter"):
            reason += ": fewer than three quarters of the searches reached the target"
        return _unknown(against, reason)
    sentence = f"ratio of the {spread.of} over seeds {number(spread.value)} ({_interval(spread)})"
    if spread.undefined > _UNDEFINED:
        sentence += f", and in {percent(spread.undefined, 0)} of the draws it is not defined"
    sure = spread.n >= LEAST_PAIRS and spread.undefined <= _UNDEFINED
    return Finding(spread, sentence, None if sure else OPEN)


_AT_MOST = "\N{LESS-THAN OR EQUAL TO}"
_AT_LEAST = "\N{GREATER-THAN OR EQUAL TO}"
CRITERIA: Final = {
    "time": Criterion(f"time to target {_AT_MOST} {TIME:g}", TIME, _time, log=True),
    "cost": Criterion(f"time added {_AT_MOST} 5%", 0.05, _cost),
    "memory": Criterion(f"peak memory (host, without a GPU) {_AT_MOST} 1.10", 1.10, _memory, log=True),
    "score": Criterion(f"score gained {_AT_LEAST} -{SCORE:g}", -SCORE, _score, at_least=True),
    "spread": Criterion(f"spread {_AT_MOST} 1.10", 1.10, _spread, log=True),
}


def _overall(arm: str, verdicts: Iterable[Verdict]) -> Overall:
    """All criteria in at least three quarters of an arm's groups."""
    groups: dict[str, list[Verdict]] = {}
    for each in verdicts:
        if each.arm == arm:
            groups.setdefault(each.group, []).append(each)
    total = len(groups)
    holds = sum(all(each.verdict == HOLDS for each in told) for told in groups.values())
    fails = sum(any(each.verdict == FAILS for each in told) for told in groups.values())
    verdict = OPEN
    if holds >= GROUPS * total:
        verdict = HOLDS
    elif total - fails < GROUPS * total:
        verdict = FAILS
    failed = dict.fromkeys(v.criterion for told in groups.values() for v in told if v.verdict == FAILS)
    sentence = (
        f"all criteria hold in {holds} of {counted(total, 'group')} ({percent(GROUPS, 0)} are asked for)"
    )
    if fails:
        sentence += f"; in {fails} at least one fails ({listed([c for c in CRITERIA if c in failed])})"
    if total - holds - fails:
        sentence += f"; {total - holds - fails} cannot be told yet"
    return Overall(arm, verdict, total, holds, fails, total - holds - fails, GROUPS, f"{sentence}.")
