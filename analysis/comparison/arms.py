"""What a comparison consists of, as plain frozen dataclasses: what ``comparison.json`` holds.

Throughout: NaN is "cannot be had" and infinite is "never reached"; in JSON null, and "inf". Times are in the
measure that stands beside them: "seconds" (wall-clock), "gpu_hours" (devices held times hours; on a CPU of
worker processes) or "units" (of resource, such as epochs, the warm starts expressed in units).
Intervals are of 95%. "Better" is larger for a metric of mode "max" and smaller for one of mode "min".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from analysis.journals.replicate import Source
from analysis.stats.effects import Ratio
from analysis.stats.paired import Difference, McNemar, PermutationResult, WilcoxonResult
from analysis.stats.summaries import SuccessRate
from analysis.stats.survival import KaplanMeier, LogRank, kaplan_meier
from asha_core.runtime.budget import Measure

_UNKNOWN = Ratio(math.nan, math.nan, math.nan, "medians", 0, math.nan, 0)


@dataclass(frozen=True, slots=True)
class Horizon:
    """Up to where a group's searches are compared, by ``measure``."""

    measure: Measure
    target: float | None  # of T@tau; None: of what is no T@tau, such as areas and bands
    value: float
    source: Source  # what sets it: see ``horizon_and_source``
    run: str = ""  # whose end it is, by its id; "" for a budget

    @property
    def words(self) -> str:
        """What sets it, for people."""
        if self.source == "budget":
            return "the budget"
        if self.source == "half":
            return f"where half of the searches had ended ({self.run})"
        which = {"shortest run": "the first search that was stopped", "longest run": "the last search"}
        never = " and had not got there" if self.source == "shortest run" and self.target is not None else ""
        return f"where {which[self.source]}{never} ended ({self.run})"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over ``n`` seeds with Student's interval; NaN where it cannot be had."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Scores:
    """One number a seed."""

    seeds: tuple[int, ...]
    values: tuple[float, ...]
    mean: float
    sd: float
    median: float
    iqm: float  # interquartile mean
    low: float  # its bootstrap interval over seeds
    high: float

    @property
    def n(self) -> int:
        """Seeds that have it."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Times:
    """T@tau of one arm's seeds in one measure; censored ones stand at the horizon."""

    target: float
    measure: Measure
    seeds: tuple[int, ...]
    times: tuple[float, ...]
    censored: tuple[bool, ...]
    horizon: float
    reached: SuccessRate
    median: float  # Kaplan and Meier's
    low: float  # its interval
    high: float
    q25: float  # quartiles of the Kaplan-Meier curve
    q75: float
    restricted_mean: float  # of min(T, horizon)
    restricted_se: float
    sd_log: float  # standard deviation of log T; too small where some are censored

    @property
    def curve(self) -> KaplanMeier:
        """The Kaplan-Meier curve with its band."""
        return kaplan_meier(self.times, self.censored)


@dataclass(frozen=True, slots=True)
class Overhead:
    """What the warm starts cost, mean over seeds."""

    seconds_share: Estimate  # of workers times wall-clock
    seconds_extra: Estimate  # over everything else: the added cost
    flops_share: Estimate  # of training, validation and warm starts; NaN if not recorded
    flops_extra: Estimate


@dataclass(frozen=True, slots=True)
class Phases:
    """Mean over seeds of worker-seconds a search. training + warm_start + starting + waiting is all.

    The last four are the parts of ``training`` that were recorded; NaN where they were not.
    """

    training: float
    warm_start: float
    starting: float
    waiting: float
    train: float  # forward and backward
    evaluate: float  # validation
    checkpoint: float  # saving
    build: float  # building the network and loading its checkpoint


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums over the arm's searches. The last five are of trials by what their warm start did."""

    trials: int
    failed: int
    rejected: int
    units: float
    skipped: int  # nothing
    fallbacks: int  # fell back to something simpler
    non_finite: int  # estimates that are no finite numbers
    braked: int
    redrawn: int  # drew again


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
    """One variation of a group, its searches alone."""

    name: str
    variation: str
    settings: Mapping[str, Any]  # of the warm start
    experiments: tuple[str, ...]  # parts of the study that it belongs to
    seeds: tuple[int, ...]  # used, in order
    best: Scores  # best validation value of each search
    test: Scores | None  # of its chosen configuration on test data
    auc: Mapping[str, Scores]  # by measure, mean of the best value so far over [0, horizon]
    times: tuple[Times, ...]  # of every target and measure
    overhead: Overhead
    phases: Phases
    peaks: Mapping[str, float]  # "host_bytes", ... -> median over searches of the peak number of bytes
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

    There is a test of targets that were fixed before the runs, in the study's measure; p-values are None
    where there is none, or too few pairs. Without pairs there is nothing but NaN and None.
    """

    target: float
    measure: Measure
    n: int = 0  # pairs
    base_reached: int = 0  # how many of their baselines got there
    reached: int = 0  # how many of the arm's searches did
    ratio: Ratio = _UNKNOWN  # arm over baseline; below 1 the arm is faster
    hodges_lehmann: Ratio = _UNKNOWN  # of paired times, the estimate that belongs to the primary test
    wilcoxon: WilcoxonResult | None = None  # the primary test
    p: float | None = None  # its p-value
    p_holm: float | None = None  # after Holm's correction over the ``family``: the one to quote
    permutation: PermutationResult | None = None  # of restricted means, if unequally many were censored
    p_permutation: float | None = None  # its p-value
    p_holm_permutation: float | None = None  # corrected likewise
    family: int = 0  # how many tests are corrected together: the arms of the same experiments, at this target
    mcnemar: McNemar | None = None  # of who reached the target; descriptive
    log_rank: LogRank | None = None  # of the whole curves, where searches ran; descriptive
    sd_log_ratio: float = math.nan  # of log(T / baseline's T), censored times at the horizon
    # of the pairs in which both searches reached the target (those that are both censored only seem alike),
    # if these are six and half of all at least: pairs with which 15% is found at 80% power
    seeds_needed: int | None = None
    detectable: float = math.nan  # the ratio that this number of pairs finds so often
    # of simulated searches, how many configurations were recorded: intervals and p-values are over these, and
    # so are the two numbers above
    configurations: int = 0
    note: str = ""  # what a reader must know of the test


@dataclass(frozen=True, slots=True)
class Dropped:
    """A seed that is in no pair, and why."""

    seed: int
    why: str


@dataclass(frozen=True, slots=True)
class Against:
    """One arm against the group's baseline, over the seeds that both have.

    Differences are arm minus baseline, in the metric's unit; None without pairs that have both. Ratios are
    arm over baseline, geometric means over pairs.
    """

    arm: str
    baseline: str
    seeds: tuple[int, ...]
    dropped: tuple[Dropped, ...]
    times: tuple[TimeEffect, ...]
    best: Difference | None
    gain: Estimate  # of ``best``, signed so that above 0 is better
    test: Difference | None
    auc: Mapping[str, Difference]  # by measure
    spread: Ratio | None  # of log T at the primary target in the study's measure
    peaks: Mapping[str, Estimate]  # ratios
    costs: Mapping[str, Estimate]  # ratios of whole searches: "seconds", "gpu_hours", "units", "flops"
    # of simulated searches, how many configurations were recorded: all intervals are over these
    configurations: int = 0

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
