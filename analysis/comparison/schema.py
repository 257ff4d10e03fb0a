"""The whole of a comparison: its groups, the verdicts on them, where it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from analysis.comparison.arms import Against, Arm, Horizon
from analysis.comparison.extras import Bands, BestConfigurations, Diagnostics, Sweep
from analysis.comparison.plain import plain
from analysis.journals.replicate import Measure
from analysis.study.problems import Problem

SCHEMA = 1
Judgement = Literal["holds", "fails", "not enough data"]


@dataclass(frozen=True, slots=True)
class Group:
    """One tuple (task x scheduler): searches that can be compared, paired by seed.

    targets: fixed before the runs; the last is the primary one. later: chosen after them, for which there are
    no p-values. seeds: of all arms. arms: the baseline first, if there is one. against: the others, in the
    same order; empty without a baseline. auc_start: what counts before the first report in areas under
    curves: 0, or where values below 0 occur or smaller is better the worst first value of any search.
    families: arms whose tests were corrected together.
    """

    name: str
    task: str
    scheduler: str
    metric: str
    mode: str
    unit: str
    seeds: tuple[int, ...]
    targets: tuple[float, ...]
    later: tuple[float, ...]
    auc_start: float
    families: tuple[tuple[str, ...], ...]
    horizons: tuple[Horizon, ...]
    arms: tuple[Arm, ...]
    against: tuple[Against, ...]
    bands: tuple[Bands, ...]
    diagnostics: tuple[Diagnostics, ...]
    sweeps: tuple[Sweep, ...]
    best_configurations: BestConfigurations | None

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
    """One criterion on one arm of one group.

    criterion: one of ``analysis.comparison.criteria.CRITERIA``.
    value, low, high: the estimate and its interval, against
    ``threshold``, in the criterion's own terms (a ratio, a share, or a difference of scores). n: pairs.
    p: corrected, of the time alone. seeds_needed: pairs with which it could be told, if they are known.
    """

    group: str
    arm: str
    criterion: str
    verdict: Judgement
    value: float
    low: float
    high: float
    threshold: float
    p: float | None
    n: int
    seeds_needed: int | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Overall:
    """Whether all criteria hold for an arm in enough of its groups (tuples).

    holds, fails, open: groups in which all hold, in which one at least fails, and the others. share: needed.
    """

    arm: str
    verdict: Judgement
    groups: int
    holds: int
    fails: int
    open: int
    share: float
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
    """Runs that were made with the same code on the same hardware.

    runs: their ids. first, last: when they began, ISO 8601. journals: their schemas.
    """

    commit: str | None
    versions: Mapping[str, str]
    hardware: Mapping[str, Any]
    journals: tuple[int, ...]
    runs: tuple[str, ...]
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A study's evidence; ``analysis.comparison.compare`` makes it.

    measure: of T@tau in the tests and the criteria. planned, used: runs. problems: what was left out, and
    what limits what can be said.
    """

    name: str
    directory: str
    baseline: str
    measure: Measure
    planned: int
    used: int
    groups: tuple[Group, ...]
    criteria: Criteria
    problems: tuple[Problem, ...]
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
            words: the summary for people, as ``analysis.report.words.in_words`` has it.
        """
        return {"schema": SCHEMA, "words": list(words), **plain(self)}


def _none(key: object) -> Any:
    raise KeyError(key)
