"""What a search is expected to do: the scheduler itself, rehearsed until its trials or its time are over.

Asynchronous rules promote more than floor(n/eta): whoever is among the best of the few that have arrived goes
on, and may be overtaken later. From one rung of n trials the excess grows as sqrt(n) (Li et al. 2020,
arXiv:1810.05934, section 3.3), and it compounds from rung to rung: a third more units in a search of 500
configurations. And synchronous rules promote nobody before a rung is complete, which a search that has only
so much time may never see. So the plan does not calculate, it plays: each trial has a random value that it
keeps, each unit takes equally long, the scheduler decides, and at the deadline what runs counts the units
that it has reported. What the synchronous rules do depends on no value: one rehearsal tells it. For very many
trials, where the excess is small, floor(n/eta) is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from asha_core.errors import SettingError
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.brackets import (
    Bracket,
    ExpectedRung,
    affordable_trials,
    expected_rungs,
    rungs_until,
)
from asha_core.schedulers.hook_checks import rehearsing
from asha_core.schedulers.rehearsal import NoSearch, Rehearsal

MOST_REHEARSED = 20_000  # trials; a second or less
_MOST_TIMES = 10
_MOST_UNITS = 10**15  # more would take all of time
_SAME = 1e-9  # a deadline that is so close to a whole number of units is one


@dataclass(frozen=True, slots=True)
class ExpectedBracket:
    """What is expected of a bracket; means of some rehearsals."""

    levels: tuple[int, ...]  # of its rungs
    times: int  # how many such brackets there are
    begun: float  # trials that begin in each
    trials: tuple[float, ...]  # that reach each of its rungs
    units: tuple[float, ...]  # of resource on the way to each of its rungs, in each of the brackets


class Forecast:
    """What a search is expected to do until its trials or its time are over.

    Args:
        scheduler: rehearsed as ``scheduler.rehearsal``; untouched.
        trials: how many configurations may begin, ``scheduler.trial_limit`` as a rule; None: no limit.
        slots: workers.
        deadline: when the search is stopped, in the time that one unit takes; None: never. It is no limit on
            ``trials``: nothing tells a bracket that it comes.
        longest: if the scheduler settles on its way how far it goes (PASHA): as far as it can.

    Attributes:
        brackets: by the rung at which they begin.
        trials: configurations that begin, a mean.
        time: until it ends, in the time that one unit takes.
        complete: whether every trial is seen through before the deadline.
    Raises:
        SettingError: neither ``trials`` nor ``deadline`` is given: it never ends.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        trials: int | None,
        slots: int,
        *,
        deadline: float | None = None,
        longest: bool = False,
    ) -> None:
        search = _Search(scheduler, trials, slots, deadline, longest)
        rehearsals = [search.rehearse(number) for number in range(search.times)]
        if rehearsals:
            self.brackets = _means(rehearsals)
            self.time = sum(each.time for each in rehearsals) / search.times
            self.complete = all(each.complete for each in rehearsals)
        else:
            self.brackets = search.calculated()
            self.time = self.units / slots
            self.complete = trials is not None and search.cost(trials) <= search.units
        self.trials = sum(bracket.times * bracket.begun for bracket in self.brackets)

    @property
    def rungs(self) -> list[tuple[int, float, float]]:
        """(level, trials that reach it, units spent on the way to it), all brackets together."""
        trials: dict[int, float] = {}
        units: dict[int, float] = {}
        for bracket in self.brackets:
            for level, number, spent in zip(bracket.levels, bracket.trials, bracket.units, strict=True):
                trials[level] = trials.get(level, 0.0) + bracket.times * number
                units[level] = units.get(level, 0.0) + bracket.times * spent
        return [(level, trials[level], units[level]) for level in sorted(trials)]

    @property
    def in_full(self) -> float:
        """Trials that reach the last rung."""
        return max(((level, trials) for level, trials, _ in self.rungs), default=(0, 0.0))[1]

    @property
    def units(self) -> float:
        """Units of resource in all."""
        return sum(units for _, _, units in self.rungs)


def enough_for_the_top(scheduler: Scheduler, slots: int) -> int:
    """About the least number of configurations of which one is expected to be trained in full."""
    low, high = 0, scheduler.whole_bracket
    while high - low > 1:
        middle = (low + high) // 2
        if round(Forecast(scheduler, middle, slots, longest=True).in_full):
            high = middle
        else:
            low = middle
    return high


def units_again(
    scheduler: Scheduler,
    trials: int | None,
    slots: int,
    checkpoints: float,
    *,
    deadline: float | None = None,
    longest: bool = False,
) -> float | None:
    """Units expected to be trained again because a promoted trial's checkpoints were dropped.

    Args:
        checkpoints: how many there is room for, all of one size.
        trials, slots, deadline, longest: as for ``Forecast``.
    Returns:
        A mean of rehearsals; None for more trials than can be rehearsed. Trials keep their last and previous
        checkpoints there, and the best one is the last.
    """
    search = _Search(scheduler, trials, slots, deadline, longest)
    again = [search.rehearse(number, checkpoints).again for number in range(search.times)]
    return sum(again) / len(again) if again else None


class _Search:
    """What is rehearsed, and what is calculated where that would take too long.

    Attributes:
        units: the most that can be trained until the deadline.
        times: how many rehearsals; 0: too many trials.
    """

    def __init__(
        self, scheduler: Scheduler, trials: int | None, slots: int, deadline: float | None, longest: bool
    ) -> None:
        if trials is None and deadline is None:
            raise SettingError("a forecast needs a limit: give trials or deadline")
        self._scheduler, self._trials, self._slots, self._longest = scheduler, trials, slots, longest
        self._deadline = None if deadline is None else _exact(deadline)
        longest_time = _MOST_UNITS // slots
        self._time = longest_time if self._deadline is None else min(int(self._deadline), longest_time)
        self.units = self._time * slots
        about = affordable_trials(self.cost, self.units)
        about = about if trials is None else min(about, trials)
        most = 1 if scheduler.expectation_is_exact else _MOST_TIMES
        self.times = min(most, MOST_REHEARSED // max(about, 1))

    def rehearse(self, number: int, room: float | None = None) -> Rehearsal:
        """The search in no time; with room for so many checkpoints."""
        nothing = NoSearch(self._scheduler.space)
        actor = self._scheduler.rehearsal(self._trials, nothing, longest=self._longest)
        with rehearsing(self._scheduler):
            return Rehearsal(actor, self._slots, number, self._deadline, room)

    def cost(self, trials: int) -> int:
        """Units of so many trials, of which floor(n/eta) go on from each rung."""
        return sum(each.times * rung.units for each in self._spread(trials) for rung in self._rungs(each))

    def _spread(self, trials: int) -> list[Bracket]:
        of = self._scheduler.largest_brackets if self._longest else self._scheduler.brackets
        return of(trials)

    def calculated(self) -> list[ExpectedBracket]:
        """By floor(n/eta), of as many trials as the units are enough for, or of complete rungs."""
        scheduler, trials, units = self._scheduler, self._trials, self.units
        if not scheduler.expectation_is_exact:
            begun = affordable_trials(self.cost, units)
            begun = begun if trials is None else min(begun, trials)
            return _merged([self._whole(each) for each in self._spread(begun)])
        cycle = scheduler.cycle
        rounds = units // self.cost(cycle)
        if trials is not None:
            rounds = min(rounds, trials // cycle)
        units -= rounds * self.cost(cycle)
        found = [self._whole(each) for each in self._spread(rounds * cycle)]
        for bracket in self._spread(cycle if trials is None else min(cycle, trials - rounds * cycle)):
            rungs = rungs_until(self._rungs(bracket), units)
            units -= sum(rung.units for rung in rungs)
            found.append(_expected(bracket, -(-rungs[0].units // rungs[0].level), rungs))
        return _merged(found)

    def _rungs(self, bracket: Bracket) -> list[ExpectedRung]:
        """No trial gets further than the deadline is away."""
        scheduler, time = self._scheduler, self._time
        rungs = expected_rungs(
            bracket.levels, scheduler.reduction_factor, bracket.trials, scheduler.survivors
        )
        below = 0
        for place, (level, trials) in enumerate((rung.level, rung.trials) for rung in rungs):
            units = trials * max(min(level, time) - below, 0)
            rungs[place] = ExpectedRung(level, trials if level <= time else 0, units)
            below = level
        return rungs

    def _whole(self, bracket: Bracket) -> ExpectedBracket:
        return _expected(bracket, bracket.trials, self._rungs(bracket))


def _expected(bracket: Bracket, begun: int, rungs: Sequence[ExpectedRung]) -> ExpectedBracket:
    trials, units = tuple(float(rung.trials) for rung in rungs), tuple(float(rung.units) for rung in rungs)
    return ExpectedBracket(tuple(bracket.levels), bracket.times, begun, trials, units)


def _exact(deadline: float) -> float:
    """The deadline without the rounding of a quotient: a unit that ends with it is complete."""
    deadline = min(max(deadline, 0.0), float(_MOST_UNITS))
    nearest = round(deadline)
    return nearest if math.isclose(deadline, nearest, rel_tol=_SAME) else deadline


def _means(rehearsals: Sequence[Rehearsal]) -> list[ExpectedBracket]:
    """Of what the trials of each bracket did."""
    sums: dict[tuple[int, int], list[list[int]]] = {}
    for each in rehearsals:
        for trial in each.trials:
            levels = each.levels[trial.first :]
            key = trial.first, each.bracket_of(trial)
            begun, reached, units = sums.setdefault(key, [[0], [0] * len(levels), [0] * len(levels)])
            begun[0] += 1
            below = 0
            for rung in range(trial.rung - trial.first + 1):
                reached[rung] += trial.resource >= levels[rung]
                units[rung] += min(trial.resource, levels[rung]) - below
                below = levels[rung]
    found = []
    for (first, _), numbers in sorted(sums.items()):
        of_each = [tuple(number / len(rehearsals) for number in some) for some in numbers]
        found.append(ExpectedBracket(rehearsals[0].levels[first:], 1, of_each[0][0], of_each[1], of_each[2]))
    return _merged(found)


def _merged(brackets: Sequence[ExpectedBracket]) -> list[ExpectedBracket]:
    """Brackets in which the same happens are one, several times."""
    times: dict[ExpectedBracket, int] = {}
    for bracket in brackets:
        alike = replace(bracket, times=1)
        times[alike] = times.get(alike, 0) + bracket.times
    return [replace(each, times=number) for each, number in times.items() if each.begun and number]
