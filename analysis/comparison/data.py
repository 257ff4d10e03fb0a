"""What is compared: the usable searches of one group, and up to where each of them is known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.comparison.arms import Estimate, Horizon
from analysis.journals.replicate import Replicate, horizon_and_source, times_to_target
from analysis.number_formats import relative_targets
from analysis.stats.arrays import Bools, Floats
from analysis.stats.summaries import student_interval
from analysis.study.loading import Pair, Study
from analysis.study.problems import Problem
from asha_core.runtime.budget import MEASURES, Measure

CONFIDENCE = 0.95
EFFECT = 0.85  # the ratio of times that the proposal is about
DRAWS = 2_000
RELATIVE = (0.9, 0.95, 0.99)  # of the best value of a group: targets where none were fixed


@dataclass(frozen=True, slots=True)
class GroupData:
    """One group of a study."""

    study: Study
    name: str
    runs: dict[str, list[Replicate]]  # arm -> its searches in order of seeds, the baseline first
    targets: tuple[float, ...]  # fixed before the runs, the last is the primary one
    later: tuple[float, ...]  # chosen after them
    horizons: dict[tuple[str, float | None], Horizon]  # by (measure, target or None)
    auc_start: float  # what counts before the first report

    @property
    def all(self) -> list[Replicate]:
        """The searches of all arms."""
        return [each for runs in self.runs.values() for each in runs]

    @property
    def sign(self) -> int:
        """1 if larger values are better, or -1."""
        return sign_of(self.all)

    @property
    def measure(self) -> Measure:
        """The study's: that of the tests."""
        return self.study.measure

    @property
    def primary(self) -> float | None:
        """The target that the criteria are about."""
        chosen = self.targets or self.later
        return chosen[-1] if chosen else None

    @property
    def others(self) -> list[str]:
        """The arms that are compared with the baseline; none without it."""
        base = self.study.baseline
        return [arm for arm in self.runs if arm != base] if base in self.runs else []

    def pairs(self, arm: str) -> list[Pair]:
        """(baseline, arm) of the seeds that both have."""
        used = {id(each) for each in self.all}
        return [pair for pair in self.study.pairs(self.name, arm) if {id(e) for e in pair} <= used]

    def limit(self, measure: str, target: float | None = None) -> float:
        """The horizon's value."""
        return self.horizons[measure, target].value

    def times(self, runs: Sequence[Replicate], target: float, measure: Measure) -> tuple[Floats, Bools]:
        """T@tau of each search, and whether it is censored, at the horizon then."""
        return times_to_target(runs, target, measure, self.limit(measure, target))


def group_data(
    study: Study, name: str, later: Sequence[float] = ()
) -> tuple[GroupData | None, list[Problem]]:
    """What can be compared of a group, and what is left out of it.

    Args:
        later: targets that were chosen after the runs; where none were fixed and none are given, shares of
            the best value that any search of the group reached, as ``RELATIVE`` has them.
    Returns:
        (data, problems): None if no search is left.
    """
    problems = []
    runs: dict[str, list[Replicate]] = {}
    for arm in study.arms(name):
        for each in study.of(name, arm):
            if all(each.ends[measure] > 0 for measure in MEASURES):
                runs.setdefault(arm, []).append(each)
            else:
                text = "it ended before any unit was trained: it is left out of the comparison"
                problems.append(Problem("no value", each.id, text, name, arm))
    used = [each for group in runs.values() for each in group]
    if not used:
        return None, problems
    fixed = study.targets(name)
    chosen = tuple(dict.fromkeys(t for t in later if t not in fixed)) or (() if fixed else derived(used))
    targets = (None, *fixed, *chosen)
    horizons: dict[tuple[str, float | None], Horizon] = {
        (m, t): Horizon(m, t, *horizon_and_source(used, m, t)) for m in MEASURES for t in targets
    }
    data = GroupData(study, name, runs, fixed, chosen, horizons, auc_start(used))
    return data, problems


def derived(runs: Sequence[Replicate]) -> tuple[float, ...]:
    """Targets relative to the best value reached: 90, 95 and 99% of it, or that many times worse for errors.

    None where values are negative: shares of them mean nothing.
    """
    values = [each.best for each in runs if math.isfinite(each.best)]
    if not values or min(values) <= 0:
        return ()
    mode = runs[0].mode
    best = max(values) if mode == "max" else min(values)
    return tuple(float(f"{target:.4g}") for target in relative_targets(best, mode, RELATIVE))


def auc_start(runs: Sequence[Replicate]) -> float:
    """What counts before the first report, for all searches of a group alike.

    0 where larger is better and no value is below 0 (an accuracy); else the worst first value of any search.
    """
    firsts = [float(each.curve.value[0]) for each in runs if len(each.curve.value)]
    if not firsts or (sign_of(runs) > 0 and min(firsts) >= 0):
        return 0.0
    return min(firsts) if sign_of(runs) > 0 else max(firsts)


def sign_of(runs: Sequence[Replicate]) -> int:
    """1 if larger values are better, or -1."""
    return 1 if runs[0].mode == "max" else -1


def mean_of(values: Iterable[float]) -> Estimate:
    """The mean of those that are finite, with Student's interval; NaN for what cannot be had."""
    found = np.array([value for value in values if math.isfinite(value)], dtype=np.float64)
    return Estimate(*student_interval(found, CONFIDENCE), len(found))
