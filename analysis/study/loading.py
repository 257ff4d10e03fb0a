"""A study: paired searches, read and checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from analysis.journals.replicate import Replicate, horizon, times_to_target
from analysis.stats.arrays import Bools, Floats, Ints
from analysis.study.checks import check
from analysis.study.plan import grouped, read_plan
from analysis.study.problems import Problem
from analysis.study.reading import read_all
from analysis.study.simulated_replicates import read_simulated_runs
from asha_core.errors import ResultsError, SettingError, nearest
from asha_core.runtime.budget import Measure

Pair = tuple[Replicate, Replicate]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Where the configurations of a group's simulated searches come from: see ``drawn_rows``."""

    seed: int  # of the study
    configurations: int  # rows of the table


@dataclass(frozen=True, slots=True)
class PairedTimes:
    """T@tau of the pairs of an arm, each array (P,), in order of ``seeds``."""

    seeds: Ints
    base: Floats  # of the baseline
    base_censored: Bools  # not reached up to ``horizon``, which is then the time
    times: Floats  # of the arm
    censored: Bools
    horizon: float


@dataclass(frozen=True, slots=True)
class Study:
    """A study as it was read."""

    name: str
    directory: Path
    baseline: str  # the arm that the others of a group are compared with
    measure: Measure  # of T@tau in the tests
    planned: int  # how many runs there were to be
    replicates: list[Replicate]  # those that can be used, by group, arm and seed
    left_out: list[Replicate]  # those that were read and cannot be used, such as a search that was killed
    problems: list[Problem]  # all that is to be said of the runs; see ``KINDS``
    # (group, arm, seed) that are no pair with the baseline, since they ran on other hardware
    apart: frozenset[tuple[str, str, int]] = frozenset()
    drawn: Mapping[str, Drawn] = field(default_factory=dict)  # of groups whose searches were simulated

    @property
    def groups(self) -> list[str]:
        """Runs of one group are compared with each other."""
        return list(dict.fromkeys(each.group for each in self.replicates))

    def arms(self, group: str) -> list[str]:
        """The arms of a group, the baseline first."""
        arms = dict.fromkeys(each.arm for each in self.replicates if each.group == group)
        return sorted(arms, key=lambda arm: arm != self.baseline)

    def of(self, group: str, arm: str | None = None) -> list[Replicate]:
        """The replicates of an arm in order of their seeds; without ``arm`` those of the whole group."""
        return [each for each in self.replicates if each.group == group and arm in (None, each.arm)]

    def pairs(self, group: str, arm: str) -> list[Pair]:
        """(baseline, arm) of each seed that both have, in order of the seeds.

        Raises:
            SettingError: there is no such group, or it has no such arm.
        """
        for what, name, known in (("group", group, self.groups), (f"arm of {group}", arm, self.arms(group))):
            if name not in known:
                raise SettingError(f"{name!r} is no {what}{nearest(name, known)}")
        base = {each.seed: each for each in self.of(group, self.baseline)}
        return [
            (base[each.seed], each)
            for each in self.of(group, arm)
            if each.seed in base and (group, arm, each.seed) not in self.apart
        ]

    def targets(self, group: str) -> tuple[float, ...]:
        """The targets of a group, the primary one last; empty if there are none."""
        found = dict.fromkeys(each.targets for each in self.of(group))
        if len(found) == 1:
            return next(iter(found))
        mode = next((each.mode for each in self.of(group)), "max")
        return tuple(sorted({target for targets in found for target in targets}, reverse=mode == "min"))

    def horizon(self, group: str, measure: Measure | None = None, target: float | None = None) -> float:
        """Up to where the searches of a group can be compared, in ``measure`` (by default the study's).

        See ``analysis.journals.replicate.horizon``.
        """
        return horizon(self.of(group), measure or self.measure, target)

    def times(self, group: str, arm: str, target: float, measure: Measure | None = None) -> PairedTimes:
        """T@tau of the pairs of an arm, censored at the group's horizon.

        Raises:
            SettingError: no such measure, group or arm.
        """
        which = measure or self.measure
        limit = self.horizon(group, which, target)
        pairs = self.pairs(group, arm)
        seeds = np.array([base.seed for base, _ in pairs], dtype=np.int64)
        base = times_to_target([base for base, _ in pairs], target, which, limit)
        other = times_to_target([other for _, other in pairs], target, which, limit)
        return PairedTimes(seeds, *base, *other, limit)


def load_study(paths: str | Path | Sequence[str | Path], processes: int | None = None) -> Study:
    """Read a study, or a folder of plain runs, which are one, too.

    A run that cannot be read or used ends nothing: it is among the study's problems.

    Args:
        paths: directories of a study, of a run, or that hold runs.
        processes: how many read; by default as many as there are cores, if there is enough to read.
    Raises:
        ResultsError: a path holds no runs, study.json is damaged, or there is one run and it cannot be read.
    """
    given = list(paths) if isinstance(paths, Iterable) and not isinstance(paths, str | bytes) else [paths]
    plan = read_plan(given)
    found, problems = read_all([run for run in plan.runs if run.table is None], processes)
    simulated, others = read_simulated_runs([run for run in plan.runs if run.table is not None])
    found, problems = [*found, *simulated], [*problems, *others]
    if not found and problems and len(plan.runs) == 1:
        raise ResultsError(problems[0].sentence)
    plain = [each for each in found if not each.group]
    named = [*(each for each in found if each.group), *grouped(plain)]
    order = list(dict.fromkeys((each.group, each.arm) for each in [*plan.runs, *named]))
    places = {arm: place for place, arm in enumerate(order)}
    named.sort(key=lambda each: (places[each.group, each.arm], each.seed))
    checked = check(named, plan, problems)
    return Study(
        plan.name,
        plan.directory,
        plan.baseline,
        plan.measure,
        len(plan.runs),
        checked.used,
        checked.left_out,
        checked.problems,
        frozenset(checked.apart),
        {each.group: _drawn(each) for each in checked.used if each.table is not None},
    )


def _drawn(each: Replicate) -> Drawn:
    told = each.manifest["simulated"]
    return Drawn(int(told["study_seed"]), int(told["configurations"]))
