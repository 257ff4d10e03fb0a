"""A whole search in virtual time, without a directory, a journal or a process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from asha_core.arguments import instance, integer, number
from asha_core.errors import SettingError, nearest
from asha_core.messages import Event, Job, Refined, Rejected, Report
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Best
from asha_core.searchers.base import DrawsFromAnother
from asha_core.searchers.random_search import RandomSearch
from asha_core.simulation.curve import CurveSource
from asha_core.simulation.virtual_workers import VirtualWorkers, check_fits

T = TypeVar("T")
Decisions = float | Literal["measured"]


@dataclass(slots=True)
class Simulated:
    """What a simulated search came to.

    Attributes:
        scheduler: as the search left it.
        reason: how it ended: "complete", "budget" or "target" (``stop_at`` was reached).
        seconds: virtual time that it took; units of resource where the curves have no seconds.
        units: units of resource that were trained.
        warm_start_seconds: spent by warm starts, over all slots.
        times, values, spent, by: each improvement of the best value: when, what, after how many units of all
            trials together, and by which trial.
        nearest: trials that proposed what the table lacks, and were answered by the nearest configuration.
        unknown: trials that were to train further than their curves were recorded: their last value stood in.
    """

    scheduler: Scheduler
    reason: str = "complete"
    seconds: float = 0.0
    warm_start_seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    spent: list[int] = field(default_factory=list)
    by: list[int] = field(default_factory=list)
    nearest: int = 0
    unknown: int = 0

    @property
    def best(self) -> Best | None:
        """The best value, whose, and after how many units; None: no trial reported a finite one."""
        return self.scheduler.best

    @property
    def units(self) -> int:
        """Units of resource that were trained."""
        return self.scheduler.units

    @property
    def trials(self) -> int:
        """Configurations that were begun."""
        return len(self.scheduler.trials)

    def time_to(self, target: float) -> float | None:
        """Virtual time until the best value first was as good as ``target``; None: it never was."""
        sign = 1.0 if self.scheduler.mode == "max" else -1.0
        for when, value in zip(self.times, self.values, strict=True):
            if sign * value >= sign * target:
                return when
        return None


def simulate(
    scheduler: Scheduler,
    curves: CurveSource,
    *,
    workers: int = 1,
    arm: str | None = None,
    budget: float | None = None,
    stop_at: float | None = None,
    decision_seconds: Decisions = 0.0,
) -> Simulated:
    """Run a search over recorded curves in virtual time.

    It decides what the engine decides with ``--executor simulate``, in the same order. A scheduler with the
    default random search draws from the table's configurations, each once, in an order that its seed decides.
    Another searcher's proposals are answered by the table's nearest configuration.

    Args:
        scheduler: a new one, made with ``curves.space``; it is used up.
        curves: a ``Curves``, or another source of curves.
        workers: slots.
        arm: whose curves, one of ``curves.arms``; by default the first.
        budget: virtual seconds after which it ends; None: when nothing is left to do.
        stop_at: a value that is good enough.
        decision_seconds: what each decision takes of virtual time, in which nothing else is decided;
            "measured": as long as it really takes, and then no two searches are quite alike.
    Raises:
        SettingError: the scheduler has been used, or does not fit the curves.

    >>> from asha_core import ASHA, Curves, Float, SearchSpace, simulate
    >>> space = SearchSpace({"x": Float(0, 1)})
    >>> curves = Curves.from_arrays(space, [{"x": x / 9} for x in range(9)], [[x] * 9 for x in range(9)])
    >>> found = simulate(ASHA(curves.space, max_resource=9), curves, workers=3)
    >>> found.best.value, found.trials, found.units
    (8.0, 9, 21)
    """
    instance("scheduler", scheduler, Scheduler, "a scheduler, such as ASHA(curves.space, max_resource=27)")
    integer("workers", workers, 1)
    if scheduler.trials:
        raise SettingError("this scheduler has been used by a search: make a new one")
    check_fits(scheduler, curves)
    arm = checked_arm(curves, arm)
    draw_from(scheduler, curves)
    find = curves.finder(arm, scheduler.searcher)
    search = _Search(scheduler, VirtualWorkers(workers, find), decision_seconds)
    deadline = math.inf if budget is None else number("budget", budget)
    search.run(deadline, None if stop_at is None else number("stop_at", stop_at))
    search.found.nearest = find.nearest
    return search.found


class _Search:
    """The loop: everything that happens at a moment is told, then free slots are given jobs."""

    def __init__(self, scheduler: Scheduler, slots: VirtualWorkers, decision_seconds: Decisions) -> None:
        self.found = Simulated(scheduler)
        self._scheduler = scheduler
        self._slots = slots
        self._timed = None if decision_seconds == 0 else _Timed(scheduler, decision_seconds)
        self._ask = scheduler.ask if self._timed is None else self._timed.ask
        self._tell = scheduler.tell if self._timed is None else self._timed.tell
        self._now = 0.0

    def run(self, deadline: float, stop_at: float | None) -> None:
        """Until nothing is left to do, the deadline, or a best value that is good enough."""
        found, slots, scheduler = self.found, self._slots, self._scheduler
        sign = 1.0 if scheduler.mode == "max" else -1.0
        while True:
            if slots.free:
                self._hand_out()
            due = slots.next_time()
            if due is None:
                break
            if max(due, self._now) > deadline:
                found.reason, self._now = "budget", deadline
                break
            self._now, events = slots.pop(self._now)
            self._take_in(events)
            best = scheduler.best
            if stop_at is not None and best is not None and sign * best.value >= sign * stop_at:
                found.reason = "target"
                break
        found.seconds, found.unknown = self._now, slots.unknown

    def _hand_out(self) -> None:
        slots, ask, timed = self._slots, self._ask, self._timed
        while slots.free:
            job = ask()
            if timed is not None:
                self._now += timed.taken()
            if job is None:
                return
            slots.submit(job, slots.free[0], self._now)

    def _take_in(self, events: list[Event]) -> None:
        tell, scheduler = self._tell, self._scheduler
        best = scheduler.best
        for event in events:
            tell(event)
            if scheduler.best is not best:
                best = scheduler.best
                assert best is not None
                found = self.found
                found.times.append(self._now)
                found.values.append(best.value)
                found.spent.append(scheduler.units)
                found.by.append(best.trial)
            elif type(event) is not Report and isinstance(event, Refined | Rejected):
                self.found.warm_start_seconds += event.seconds
        if self._timed is not None:
            self._now += self._timed.taken()


class _Timed:
    """A scheduler's decisions, timed: a number of seconds for each job, or what they really took."""

    def __init__(self, scheduler: Scheduler, seconds: Decisions) -> None:
        self._scheduler = scheduler
        self._fixed = None if seconds == "measured" else number("decision_seconds", seconds, least=0.0)
        self._taken = 0.0

    def taken(self) -> float:
        """Seconds since it was last asked."""
        taken, self._taken = self._taken, 0.0
        return taken

    def ask(self) -> Job | None:
        """As the scheduler's."""
        if self._fixed is None:
            return self._measured(self._scheduler.ask)
        job = self._scheduler.ask()
        self._taken += 0.0 if job is None else self._fixed
        return job

    def tell(self, event: Event) -> None:
        """As the scheduler's; it takes nothing where each job takes a number of seconds."""
        if self._fixed is None:
            self._measured(lambda: self._scheduler.tell(event))
        else:
            self._scheduler.tell(event)

    def _measured(self, call: Callable[[], T]) -> T:
        began = time.perf_counter()
        answer = call()
        self._taken += time.perf_counter() - began
        return answer


def checked_arm(curves: CurveSource, arm: str | None) -> str:
    """``arm``, if the curves have it; by default their first.

    Raises:
        SettingError: they do not.
    """
    if arm is None:
        return curves.arms[0]
    if arm not in curves.arms:
        raise SettingError(
            f"the curves have no arm {arm!r}{nearest(arm, curves.arms)}: they were recorded with "
            f"{', '.join(curves.arms)}"
        )
    return arm


def draw_from(scheduler: Scheduler, curves: CurveSource) -> None:
    """Let a scheduler that searches at random draw from the curves' configurations, in its seed's order."""
    own = scheduler.searcher
    if type(own) is RandomSearch:
        scheduler.searcher = curves.searcher(own.seed)
    elif isinstance(own, DrawsFromAnother):
        own.draw_from(curves.searcher(scheduler.seed))
