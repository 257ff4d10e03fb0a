"""The whole of a comparison: its groups, the verdicts on them, where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from analysis.comparison.arms import Against, Arm, Horizon
from analysis.comparison.as_json import as_json
from analysis.comparison.extras import Bands, BestConfigurations, Diagnostics, Sweep
from analysis.study.problems import Problem
from asha_core.runtime.budget import Measure

SCHEMA = 1
Judgement = Literal["holds", "fails", "not enough data"]


@dataclass(frozen=True, slots=True)
class Group:
    """One group (task x scheduler): searches that can be compared, paired by seed."""

    name: str
    task: str
    scheduler: str
    metric: str
    mode: str
    unit: str
    seeds: tuple[int, ...]  # of all arms
    targets: tuple[float, ...]  # fixed before the runs; the last is the primary one
    later: tuple[float, ...]  # chosen after them, for which there are no p-values
    # what counts before the first report in areas under curves: 0, or where values below 0 occur or smaller
    # is better the worst first value of any search
    auc_start: float
    families: tuple[tuple[str, ...], ...]  # arms whose tests were corrected together
    horizons: tuple[Horizon, ...]
    arms: tuple[Arm, ...]  # the baseline first, if there is one
    against: tuple[Against, ...]  # the others, in the same order; empty without a baseline
    bands: tuple[Bands, ...]
    diagnostics: tuple[Diagnostics, ...]
    sweeps: tuple[Sweep, ...]
    best_configurations: BestConfigurations | None
    # of simulated searches, by study.json: table, sha256, configurations, timed, workers, decision_seconds;
    # warm_start_cost, if warm starts were charged at another price than their recorded seconds
    simulated: Mapping[str, Any] | None = None

    @property
    def primary(self) -> float | None:
        """The target that the criteria and most figures are about; None without targets."""
        chosen = self.targets or self.later
        return chosen[-1] if chosen else None

    @property
    def all_targets(self) -> tuple[float, ...]:
        """Those fixed before the runs, and then those chosen after them."""
        return *self.targets, *self.later

    def arm(self, name: str) -> Arm:
        """One of the arms.

        Raises:
            KeyError: there is none of this name.
        """
        return next((each for each in self.arms if each.name == name), None) or _none(name)

    def horizon(self, measure: str, target: float | None = None) -> Horizon:
        """Up to where searches are compared.

        Raises:
            KeyError: no such measure or target.
        """
        found = (h for h in self.horizons if (h.measure, h.target) == (measure, target))
        return next(found, None) or _none((measure, target))


@dataclass(frozen=True, slots=True)
class Verdict:
    """One criterion on one arm of one group."""

    group: str
    arm: str
    criterion: str  # one of ``analysis.comparison.criteria.CRITERIA``
    verdict: Judgement
    value: float  # the estimate, in the criterion's own terms: a ratio, a share, or a difference of scores
    low: float  # its interval
    high: float
    threshold: float
    p: float | None  # corrected, of the time alone
    n: int  # pairs
    seeds_needed: int | None  # pairs with which it could be told, if they are known
    sentence: str


@dataclass(frozen=True, slots=True)
class Overall:
    """Whether all criteria hold for an arm in enough of its groups."""

    arm: str
    verdict: Judgement
    groups: int
    holds: int  # groups in which all hold
    fails: int  # in which one at least fails
    open: int  # the others
    share: float  # of groups in which all are to hold
    sentence: str


@dataclass(frozen=True, slots=True)
class Criteria:
    """The verdicts, by group, arm and criterion, and over all groups of an arm."""

    verdicts: tuple[Verdict, ...]
    overall: tuple[Overall, ...]

    def of(self, group: str, arm: str) -> tuple[Verdict, ...]:
        """Those on one arm of one group, in the order of ``analysis.comparison.criteria.CRITERIA``."""
        return tuple(each for each in self.verdicts if (each.group, each.arm) == (group, arm))


@dataclass(frozen=True, slots=True)
class Source:
    """Runs that were made with the same code on the same hardware."""

    commit: str | None
    versions: Mapping[str, str]
    hardware: Mapping[str, Any]
    journals: tuple[int, ...]  # their schemas
    runs: tuple[str, ...]  # their ids
    first: str  # when they began, ISO 8601
    last: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A study's evidence; ``analysis.comparison.compare`` makes it."""

    name: str
    directory: str
    baseline: str
    measure: Measure  # of T@tau in the tests and the criteria
    planned: int  # runs
    used: int  # runs
    groups: tuple[Group, ...]
    criteria: Criteria
    problems: tuple[Problem, ...]  # what was left out, and what limits what can be said
    sources: tuple[Source, ...]

    def group(self, name: str) -> Group:
        """One of the groups.

        Raises:
            KeyError: there is none of this name.
        """
        return next((each for each in self.groups if each.name == name), None) or _none(name)

    def to_json(self, words: Sequence[str] = ()) -> dict[str, Any]:
        """What comparison.json holds: NaN is null, infinite is "inf"; samples of trials are left out.

        Args:
            words: the summary for people, as ``analysis.report.sentences.in_words`` has it.
        """
        return {"schema": SCHEMA, "words": list(words), **as_json(self)}


def _none(key: object) -> Any:
    raise KeyError(key)
