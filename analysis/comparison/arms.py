"""What a comparison consists of, as plain frozen dataclasses: what ``comparison.json`` holds.

Throughout: NaN is "cannot be had" and infinite is "never reached"; in JSON null, and "inf". Times are in the
measure that stands beside them: "seconds" (wall-clock), "gpu_hours" (devices held times hours; on a CPU of
worker processes) or "units" (of resource, such as epochs, the warm starts expressed in units).
Intervals are of 95%. "Better" is larger for a metric of mode "max" and smaller for one of mode "min".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from analysis.journals.replicate import Measure
from analysis.stats.effects import Ratio
from analysis.stats.paired import Difference, McNemar, PermutationResult, WilcoxonResult
from analysis.stats.summaries import SuccessRate
from analysis.stats.survival import KaplanMeier, LogRank, kaplan_meier


@dataclass(frozen=True, slots=True)
class Horizon:
    """Up to where a group's searches are compared, by ``measure``.

    target: of T@tau; None: of what is no T@tau, such as areas and bands. source: what sets it: the configured
    "budget", the "shortest run" (of those that never reached the target), or, without either, the "longest
    run". run: the id of that run; "" for a budget.
    """

    measure: Measure
    target: float | None
    value: float
    source: Literal["budget", "shortest run", "longest run"]
    run: str = ""

    @property
    def words(self) -> str:
        """What sets it, for people."""
        if self.source == "budget":
            return "the budget"
        which = {"shortest run": "the shortest search", "longest run": "the last search"}[self.source]
        if self.source == "shortest run" and self.target is not None:
            which += " that never got there"
        return f"where {which} ended ({self.run})"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over ``n`` seeds with Student's interval; NaN where it cannot be had."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Scores:
    """One number a seed. iqm: interquartile mean; low, high: its bootstrap interval over seeds."""

    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float
    sd: float
    median: float
    iqm: float
    low: float
    high: float

    @property
    def n(self) -> int:
        """Seeds that have it."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Times:
    """T@tau of one arm's seeds in one measure; censored ones stand at the horizon.

    median with low, high: Kaplan and Meier's. q25, q75: its quartiles. restricted_mean, restricted_se: of
    min(T, horizon). sd_log: standard deviation of log T, censored ones at the horizon (so it is too small
    where there are some).
    """

    target: float
    measure: Measure
    seeds: tuple[int, ...]
    times: tuple[float, ...]
    censored: tuple[bool, ...]
    horizon: float
    reached: SuccessRate
    median: float
    low: float
    high: float
    q25: float
    q75: float
    restricted_mean: float
    restricted_se: float
    sd_log: float

    @property
    def curve(self) -> KaplanMeier:
        """The Kaplan-Meier curve with its band."""
        return kaplan_meier(self.times, self.censored)


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the warm starts cost, mean over seeds. share: of all; extra: over all else, the added cost.

    seconds: of workers times wall-clock. flops: of training, validation and warm starts; NaN if not recorded.
    """

    seconds_share: Estimate
    seconds_extra: Estimate
    flops_share: Estimate
    flops_extra: Estimate


@dataclass(frozen=True, slots=True)
class Phases:
    """Mean over seeds of worker-seconds a search. training + warm_start + starting + waiting is all.

    train, evaluate, checkpoint, build: the parts of ``training`` that were recorded (forward and backward,
    validation, saving, building the network and loading its checkpoint); NaN where they were not.
    """

    training: float
    warm_start: float
    starting: float
    waiting: float
    train: float
    evaluate: float
    checkpoint: float
    build: float


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums over the arm's searches. The last five: trials whose warm start was skipped, fell back to
    something simpler, had an estimate that is no finite number (estimates), braked, drew again.
    """

    trials: int
    failed: int
    rejected: int
    units: float
    skipped: int
    fallbacks: int
    non_finite: int
    braked: int
    redrawn: int


@dataclass(frozen=True, slots=True)
class RungSurvival:
    """Share of started trials that reached ``level`` units: mean over ``n`` searches, bootstrap interval."""

    level: int
    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Arm:
    """One variation of a group, its searches alone.

    seeds: used, in order. experiments: parts of the study that it belongs to. settings: of the warm start.
    best: best validation value of each search. test: of its chosen configuration on test data, or None.
    auc: by measure, mean of the best value so far over [0, horizon]. times: of every target and measure.
    peaks: median over searches of the peak number of bytes, by what was measured ("host_bytes", ...).
    """

    name: str
    variation: str
    settings: Mapping[str, Any]
    experiments: tuple[str, ...]
    seeds: tuple[int, ...]
    best: Scores
    test: Scores | None
    auc: Mapping[str, Scores]
    times: tuple[Times, ...]
    overhead: Overhead
    phases: Phases
    peaks: Mapping[str, float]
    counts: Counts
    rungs: tuple[RungSurvival, ...]

    def at(self, target: float, measure: str) -> Times:
        """T@tau of one target in one measure.

        Raises:
            KeyError: there is none.
        """
        return _at(self.times, target, measure)


@dataclass(frozen=True, slots=True)
class TimeEffect:
    """An arm's T@tau against the baseline's, in one measure, over pairs.

    n: pairs. base_reached, reached: of them, how many baselines and how many of the arm's searches got there.
    ratio: arm over baseline; below 1 the arm is faster. wilcoxon: the primary test, and permutation (of
    restricted means) beside it where the numbers of censored runs differ: both None for a target that was
    chosen after the runs and for measures other than the study's. p, p_permutation: theirs, and p_holm,
    p_holm_permutation: corrected over ``family`` tests, those of the group's arms of the same experiments at
    this target; None where there is no test or too few pairs. mcnemar, log_rank: descriptive.
    sd_log_ratio: of log(T / baseline's T), censored times at the horizon. seeds_needed: pairs with which 15%
    is found at 80% power. detectable: the ratio that this number of pairs finds so often. These two are of
    the pairs in which both searches reached the target (pairs that are both censored only seem alike); None
    and NaN where these are fewer than six or less than half. Without pairs (n = 0) there is nothing but NaN
    and None. note: what a reader must know of the test; or empty.
    """

    target: float
    measure: Measure
    n: int
    base_reached: int
    reached: int
    ratio: Ratio
    wilcoxon: WilcoxonResult | None
    p: float | None
    p_holm: float | None
    permutation: PermutationResult | None
    p_permutation: float | None
    p_holm_permutation: float | None
    family: int
    mcnemar: McNemar | None
    log_rank: LogRank | None
    sd_log_ratio: float
    seeds_needed: int | None
    detectable: float
    note: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A seed that is in no pair, and why."""

    seed: int
    why: str


@dataclass(frozen=True, slots=True)
class Against:
    """One arm against the group's baseline, over the seeds that both have.

    best, test, auc: differences arm minus baseline, in the metric's unit (auc by measure); None without pairs
    that have both. gain: of ``best``, signed so that above 0 is better. spread: of log T at the primary
    target in the study's measure. peaks, costs: ratios, arm over baseline, geometric means over pairs; costs
    of whole searches, by "seconds", "gpu_hours", "units", "flops".
    """

    arm: str
    baseline: str
    seeds: tuple[int, ...]
    dropped: tuple[Dropped, ...]
    times: tuple[TimeEffect, ...]
    best: Difference | None
    gain: Estimate
    test: Difference | None
    auc: Mapping[str, Difference]
    spread: Ratio | None
    peaks: Mapping[str, Estimate]
    costs: Mapping[str, Estimate]

    def at(self, target: float, measure: str) -> TimeEffect:
        """The effect on T@tau of one target in one measure.

        Raises:
            KeyError: there is none.
        """
        return _at(self.times, target, measure)


_Told = TypeVar("_Told", Times, TimeEffect)


def _at(times: Sequence[_Told], target: float, measure: str) -> _Told:
    for each in times:
        if (each.target, each.measure) == (target, measure):
            return each
    raise KeyError((target, measure))
