"""The proposal's criteria, tuple by tuple (task x scheduler), each with a verdict.

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

The whole is claimed of a variation if all five hold in at least 75% of its tuples; it fails if one fails in
more than 25% of them. Source: the hypotheses of the project's proposal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from analysis.comparison.arms import Against, Arm, TimeEffect
from analysis.comparison.phrases import between, counted, listed, number, p_value, percent, target_name
from analysis.comparison.schema import Comparison, Criteria, Group, Judgement, Overall, Verdict

TIME = 0.85  # ratio of times to the primary target
COST = 0.05  # added by the warm starts
MEMORY = 1.10  # ratio of peaks
SCORE = 0.002  # that may be lost
SPREAD = 1.10  # ratio of spreads
ALPHA = 0.05
TUPLES = 0.75  # share of tuples in which all are to hold
LEAST_PAIRS = 6  # of a two-sided test of signs at ALPHA
_UNDEFINED = 0.025  # share of draws beyond which an end of the interval is not to be relied on
_MOST_SEEDS = 2_000  # more are no plan
CRITERIA = ("time", "cost", "memory", "score", "spread")
HOLDS: Judgement = "holds"
FAILS: Judgement = "fails"
OPEN: Judgement = "not enough data"


def judge(comparison: Comparison) -> Criteria:
    """Every criterion on every arm of every group, and on each arm over its groups."""
    verdicts = [
        verdict
        for group in comparison.groups
        for against in group.against
        for verdict in _on(group, against, comparison.measure)
    ]
    arms = dict.fromkeys(verdict.arm for verdict in verdicts)
    return Criteria(tuple(verdicts), tuple(_overall(arm, verdicts) for arm in arms))


def _on(group: Group, against: Against, measure: str) -> Iterable[Verdict]:
    arm = group.arm(against.arm)
    yield _time(group, against, measure)
    yield _cost(group, arm)
    yield _memory(group, against)
    yield _score(group, against)
    yield _spread(group, against)


def interval_verdict(
    value: float, low: float, high: float, threshold: float, n: int, *, least: bool = False
) -> Judgement:
    """On which side of a threshold an interval lies.

    Args:
        value, low, high: the estimate and its interval; NaN decides nothing. n: pairs.
        least: whether the claim is "at least" and not "at most".
    """
    if math.isnan(value) or math.isnan(low) or math.isnan(high) or (low == high and n < LEAST_PAIRS):
        return OPEN
    if (low >= threshold) if least else (high <= threshold):
        return HOLDS
    return FAILS if ((high < threshold) if least else (low > threshold)) else OPEN


def seeds_to_tell(
    value: float, low: float, high: float, threshold: float, n: int, *, log: bool = False
) -> int | None:
    """How many pairs it takes for the interval to leave the threshold, if the estimate stays as it is.

    n (w / d)^2: w is the half of the interval towards the threshold, d the way from the estimate to there; in
    logarithms if ``log``. None if it cannot be told, or if it is more than anybody will run.
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


def _verdict(
    group: Group, arm: str, criterion: str, estimate: tuple[float, float, float], threshold: float, n: int,
    verdict: Judgement, sentence: str, seeds: int | None = None, p: float | None = None,
    what: str = "to tell",
) -> Verdict:  # fmt: skip
    if verdict == OPEN and seeds is not None:
        sentence += f"; about {counted(seeds, 'pair')} would be needed {what}"
    told = seeds if verdict == OPEN else None
    return Verdict(group.name, arm, criterion, verdict, *estimate, threshold, p, n, told, f"{sentence}.")


def _time(group: Group, against: Against, measure: str) -> Verdict:
    n = len(against.seeds)
    if group.primary is None or not group.targets:
        unknown = (math.nan, math.nan, math.nan)
        reason = "no target was fixed before the runs, so that no time to one can be tested"
        return _verdict(group, against.arm, "time", unknown, TIME, n, OPEN, reason)
    effect = against.at(group.primary, measure)
    ratio, tau = effect.ratio, target_name(group.primary, group.metric, group.mode)
    estimate = (ratio.value, ratio.low, ratio.high)
    if not effect.base_reached + effect.reached:
        reason = f"no search of either reached {tau}" if n else "no pair of seeds"
        return _verdict(group, against.arm, "time", estimate, TIME, n, OPEN, reason)
    of = "median" if ratio.of == "medians" else "restricted mean"
    p = effect.p_holm
    told = [between(ratio.low, ratio.high), counted(n, "pair")]
    told += [f"{p_value(p)} after Holm's correction"] if p is not None else []
    sentence = f"{of} time to {tau} {number(ratio.value)} of the baseline's ({', '.join(told)}){_but(effect)}"
    seeds, what = effect.seeds_needed, f"to see {percent(1 - TIME, 0)}"
    if n >= LEAST_PAIRS and seeds is not None and seeds <= n:
        seeds, what = seeds_to_tell(*estimate, TIME, n, log=True), "to tell"
    verdict = _time_verdict(effect)
    return _verdict(group, against.arm, "time", estimate, TIME, n, verdict, sentence, seeds, p, what)


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


def _but(effect: TimeEffect) -> str:
    """What takes from the strength of a time's p."""
    if effect.n < LEAST_PAIRS:
        return f": fewer than {LEAST_PAIRS} pairs can show nothing at p < {ALPHA:g}"
    if effect.p_holm is None or effect.p_holm >= ALPHA or shown(effect):
        return ""
    other = effect.p_holm_permutation
    told = "" if other is None else f" ({p_value(other)})"
    return f"; censored unequally, and the test of restricted means does not show it{told}"


def _cost(group: Group, arm: Arm) -> Verdict:
    extra = arm.overhead.seconds_extra
    estimate = (extra.value, extra.low, extra.high)
    if extra.n == 0:
        return _verdict(group, arm.name, "cost", estimate, COST, 0, OPEN, "no time was recorded")
    sentence = (
        f"warm starts added {percent(extra.value)} to the workers' time "
        f"({between(extra.low, extra.high, 1, of_share=True)}, {counted(extra.n, 'seed')})"
    )
    flops = arm.overhead.flops_extra
    if flops.n:
        sentence += f", and {percent(flops.value)} to the FLOPs"
    verdict = interval_verdict(*estimate, COST, extra.n)
    seeds = seeds_to_tell(*estimate, COST, extra.n)
    return _verdict(group, arm.name, "cost", estimate, COST, extra.n, verdict, sentence, seeds)


def memory_kind(against: Against) -> str | None:
    """Which peak the criterion is about: torch's on a GPU, else the workers' resident memory."""
    return next((name for name in ("gpu_bytes", "host_bytes") if name in against.peaks), None)


def _memory(group: Group, against: Against) -> Verdict:
    kind = memory_kind(against)
    if kind is None:
        nan, n = math.nan, len(against.seeds)
        reason = "no peak of memory was recorded"
        return _verdict(group, against.arm, "memory", (nan, nan, nan), MEMORY, n, OPEN, reason)
    peak = against.peaks[kind]
    estimate = (peak.value, peak.low, peak.high)
    what = "GPU memory" if kind == "gpu_bytes" else "host memory (there was no GPU)"
    sentence = (
        f"peak {what} {number(peak.value)} of the baseline's ({between(peak.low, peak.high)}, "
        f"{counted(peak.n, 'pair')})"
    )
    verdict = interval_verdict(*estimate, MEMORY, peak.n)
    seeds = seeds_to_tell(*estimate, MEMORY, peak.n, log=True)
    return _verdict(group, against.arm, "memory", estimate, MEMORY, peak.n, verdict, sentence, seeds)


def score_threshold(group: Group, baseline: str) -> float:
    """What may be lost: .002 of scores within [0, 1], else that share of the baseline's mean score."""
    values = [value for arm in group.arms for value in arm.best.values]
    if values and min(values) >= 0 and max(values) <= 1:
        return SCORE
    mean = group.arm(baseline).best.mean
    return SCORE * abs(mean) if math.isfinite(mean) else math.nan


def _score(group: Group, against: Against) -> Verdict:
    gain = against.gain
    estimate, threshold = (gain.value, gain.low, gain.high), -score_threshold(group, against.baseline)
    if gain.n == 0:
        return _verdict(
            group, against.arm, "score", estimate, threshold, 0, OPEN, "no pair of seeds has scores"
        )
    digits = 4 if abs(threshold) < 0.01 else 2
    better = "better" if gain.value >= 0 else "worse"
    sentence = (
        f"best {group.metric} on validation data {number(abs(gain.value), digits)} {better} than the "
        f"baseline's ({between(gain.low, gain.high, digits)}, {counted(gain.n, 'pair')})"
    )
    verdict = interval_verdict(*estimate, threshold, gain.n, least=True)
    # "at least" a threshold is "at most" its negative
    seeds = seeds_to_tell(-gain.value, -gain.high, -gain.low, -threshold, gain.n)
    return _verdict(group, against.arm, "score", estimate, threshold, gain.n, verdict, sentence, seeds)


def _spread(group: Group, against: Against) -> Verdict:
    spread, n = against.spread, len(against.seeds)
    nan = math.nan
    if spread is None or math.isnan(spread.value):
        reason = "no spread of times over seeds can be had"
        if spread is not None and spread.of.startswith("inter"):
            reason += ": fewer than three quarters of the searches reached the target"
        return _verdict(group, against.arm, "spread", (nan, nan, nan), SPREAD, n, OPEN, reason)
    estimate = (spread.value, spread.low, spread.high)
    sentence = (
        f"ratio of the {spread.of} over seeds {number(spread.value)} "
        f"({between(spread.low, spread.high)}, {counted(n, 'pair')})"
    )
    sure = n >= LEAST_PAIRS and spread.undefined <= _UNDEFINED
    if spread.undefined > _UNDEFINED:
        sentence += f", and in {percent(spread.undefined, 0)} of the draws it is not defined"
    verdict = interval_verdict(*estimate, SPREAD, n) if sure else OPEN
    seeds = seeds_to_tell(*estimate, SPREAD, n, log=True)
    return _verdict(group, against.arm, "spread", estimate, SPREAD, n, verdict, sentence, seeds)


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
    if holds >= TUPLES * total:
        verdict = HOLDS
    elif total - fails < TUPLES * total:
        verdict = FAILS
    failed = dict.fromkeys(v.criterion for told in groups.values() for v in told if v.verdict == FAILS)
    sentence = (
        f"all criteria hold in {holds} of {counted(total, 'tuple')} ({percent(TUPLES, 0)} are asked for)"
    )
    if fails:
        sentence += f"; in {fails} at least one fails ({listed([c for c in CRITERIA if c in failed])})"
    if total - holds - fails:
        sentence += f"; {total - holds - fails} cannot be told yet"
    return Overall(arm, verdict, total, holds, fails, total - holds - fails, TUPLES, f"{sentence}.")
