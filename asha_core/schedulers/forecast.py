"""What a search is expected to cost: the scheduler itself, rehearsed on trials that keep their rank.

Asynchronous rules promote more than floor(n/eta): whoever is among the best of the few that have arrived goes
on, and may be overtaken later. From one rung of n trials the excess grows as sqrt(n) (Li et al. 2020,
arXiv:1810.05934, section 3.3), and it compounds from rung to rung: a third more units in a search of 500
configurations. So the plan does not calculate, it plays: each trial has a random value that it keeps, each
unit takes equally long, and the scheduler decides. The synchronous rules need no rehearsal, and for very many
trials, where the excess is small, floor(n/eta) is taken.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count

from asha_core.messages import Job, Report
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.brackets import Bracket, affordable_trials, expected_rungs
from asha_core.schedulers.retention import Files, Retention, Stock
from asha_core.searchers.base import Searcher
from asha_core.space import Configuration, SearchSpace
from asha_core.streams import uniforms

MOST_REHEARSED = 20_000  # trials; a second or less
_MOST_TIMES = 10
_CLOSE = 0.01


class _NoSearch(Searcher):
    """The rehearsal's configurations, which nobody looks at."""

    name = "none"

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._configuration = Configuration((), ())

    def propose(self, index: int) -> Configuration:
        return self._configuration


class Forecast:
    """What ``trials`` configurations are expected to do.

    Args:
        scheduler: rehearsed as ``scheduler.rehearsal``; untouched.
        trials: how many configurations begin.
        slots: workers.
        longest: if the scheduler settles on its way how far it goes (PASHA): as far as it can.

    Attributes:
        brackets: (bracket, how many trials reach each of its rungs), means of some rehearsals.
    """

    def __init__(self, scheduler: Scheduler, trials: int, slots: int, *, longest: bool = False) -> None:
        self.trials = trials
        self.brackets: list[tuple[Bracket, list[float]]]
        if scheduler.expectation_is_exact or not 0 < trials <= MOST_REHEARSED:
            eta, least = scheduler.reduction_factor, scheduler.survivors
            brackets = scheduler.largest_brackets(trials) if longest else scheduler.brackets(trials)
            self.brackets = [
                (each, [float(rung.trials) for rung in expected_rungs(each.levels, eta, each.trials, least)])
                for each in brackets
            ]
            return
        times = _times(trials)
        sums: dict[int, list[int]] = {}
        for time in range(times):
            actor = scheduler.rehearsal(trials, _NoSearch(scheduler.space), longest=longest)
            _play(actor, slots, time)
            for trial in actor.trials:
                reached = sums.setdefault(trial.first, [0] * (len(actor.levels) - trial.first))
                for rung in range(trial.first, trial.rung + 1):
                    reached[rung - trial.first] += 1
        levels = actor.levels
        self.brackets = [
            (Bracket(levels[first:], round(sums[first][0] / times)), [n / times for n in sums[first]])
            for first in sorted(sums)
        ]

    @property
    def rungs(self) -> list[tuple[int, float, float]]:
        """(level, trials that reach it, units spent on the way to it), all brackets together."""
        trials: dict[int, float] = {}
        units: dict[int, float] = {}
        for bracket, reached in self.brackets:
            below = 0
            for level, number in zip(bracket.levels, reached, strict=True):
                trials[level] = trials.get(level, 0.0) + bracket.times * number
                units[level] = units.get(level, 0.0) + bracket.times * number * (level - below)
                below = level
        return [(level, trials[level], units[level]) for level in sorted(trials)]

    @property
    def in_full(self) -> float:
        """Trials that reach the last rung."""
        return max(((level, trials) for level, trials, _ in self.rungs), default=(0, 0.0))[1]

    @property
    def units(self) -> float:
        """Units of resource in all."""
        return sum(units for _, _, units in self.rungs)


def affordable(scheduler: Scheduler, units: float, slots: int, *, longest: bool = False) -> int:
    """About the most configurations that are expected to cost at most ``units``."""

    def calculated(trials: int) -> int:
        brackets = scheduler.largest_brackets(trials) if longest else scheduler.brackets(trials)
        return scheduler.bracket_units(brackets)

    found = affordable_trials(calculated, units)
    if scheduler.expectation_is_exact:
        return found
    for _ in range(5):  # the excess changes slowly with the number of trials
        cost = Forecast(scheduler, found, slots, longest=longest).units
        if found == 0 or units * (1 - _CLOSE) <= cost <= units:
            break
        found = min(int(found * units / cost), found + max(int(units - cost), 0))
    return found


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
    scheduler: Scheduler, trials: int, slots: int, checkpoints: float, *, longest: bool = False
) -> float | None:
    """Units expected to be trained again because a promoted trial's checkpoints were dropped.

    Args:
        checkpoints: how many there is room for, all of one size.
        trials, slots, longest: as for ``Forecast``.
    Returns:
        A mean of rehearsals; None for more trials than can be rehearsed. Trials keep their last and previous
        checkpoints there, and the best one is the last.
    """
    if trials > MOST_REHEARSED:
        return None
    again = 0
    for time in range(_times(trials)):
        actor = scheduler.rehearsal(trials, _NoSearch(scheduler.space), longest=longest)
        shelf = _Shelf(actor, checkpoints)
        _play(actor, slots, time, shelf)
        again += shelf.again
    return again / _times(trials)


def _times(trials: int) -> int:
    """How many rehearsals."""
    return max(1, min(_MOST_TIMES, MOST_REHEARSED // max(trials, 1)))


class _Shelf:
    """A rehearsal's checkpoints, each of size 1.

    again: units trained again so far.
    """

    def __init__(self, scheduler: Scheduler, room: float) -> None:
        self.again = 0
        self._retention = Retention(scheduler)
        self._stock = Stock(self._retention, room)

    def on_job(self, job: Job) -> int:
        """A trial goes on; returns the units that it has to train again."""
        self._retention.on_job(job)
        again = 0 if self._stock.of(job.trial) else job.start
        self.again += again
        files: Files = {"last": (0, 1), "best": (0, 1)}
        self._stock.put(job.trial, files if job.until == 1 else {**files, "previous": (1, 1)})
        self._make_room()
        return again

    def on_event(self, report: Report) -> None:
        """A trial is at its rung."""
        self._retention.on_event(report)
        self._make_room()

    def _make_room(self) -> None:
        for _ in self._stock.excess():
            pass


def _play(scheduler: Scheduler, slots: int, number: int, shelf: _Shelf | None = None) -> None:
    """Run a whole search in no time, with values that depend on (number, trial)."""
    order = count()
    running: list[tuple[int, int, Job]] = []
    now = 0
    while True:
        while len(running) < slots and (job := scheduler.ask()) is not None:
            again = 0 if shelf is None else shelf.on_job(job)
            heappush(running, (now + job.until - job.start + again, next(order), job))
        if not running:
            return
        now, _, job = heappop(running)
        value = uniforms(number, "rehearsal", job.trial, 1)[0]
        report = Report(job.trial, job.attempt, job.until, value, 0.0)
        scheduler.tell(report)
        if shelf is not None:
            shelf.on_event(report)
