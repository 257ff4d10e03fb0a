"""A whole search in virtual time, without a directory, a journal or a process."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from asha_core.arguments import instance, integer, number
from asha_core.errors import SettingError, nearest
from asha_core.messages import Event, Finished, Refined, Rejected, Report
from asha_core.runtime.early_end import Patience
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Best
from asha_core.searchers.base import DrawsFromAnother, Searcher
from asha_core.searchers.random_search import RandomSearch
from asha_core.simulation.curve import CurveSource
from asha_core.simulation.decision_costs import Decisions, TimedDecisions
from asha_core.simulation.faults import Faults
from asha_core.simulation.virtual_workers import VirtualWorkers, check_fits


@dataclass(slots=True)
class Simulated:
    """What a simulated search came to.

    Attributes:
        scheduler: as the search left it.
        reason: how it ended: "complete", "budget", "stop_at" or "patience", as in ``Outcome``.
        seconds: virtual time that it took; units of resource where the curves have no seconds.
        units: units of resource that were trained.
        warm_start_seconds: spent by warm starts, over all slots.
        times, values, spent, warmed, begun, by: each improvement of the best value: when, what, after how
            many units and seconds of warm starts of all trials, when how many had begun, and by which one.
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
    warmed: list[float] = field(default_factory=list)
    begun: list[int] = field(default_factory=list)
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
    patience: Patience | str | int | None = None,
    decision_seconds: Decisions = 0.0,
    faults: Faults | None = None,
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
        stop_at: a value that is good enough: it ends there.
        patience: it ends when the best has not improved for so many results (a trial gives one each time it
            completes a rung), or for such a time: 50, or "2h".
        decision_seconds: what each decision takes of virtual time, in which nothing else is decided;
            "measured": as long as it really takes, and then no two searches are quite alike.
        faults: what goes wrong on purpose; None: nothing.
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
    draw_from(scheduler, curves.searcher)
    find = curves.finder(arm, scheduler.searcher)
    search = _Search(
        scheduler,
        VirtualWorkers(workers, find, faults),
        math.inf if budget is None else number("budget", budget),
        None if stop_at is None else number("stop_at", stop_at),
        Patience() if patience is None else Patience.read(patience),
        decision_seconds,
    )
    search.run()
    search.found.nearest = find.nearest
    return search.found


class _Search:
    """The loop: everything that happens at a moment is told, then free slots are given jobs."""

    def __init__(
        self,
        scheduler: Scheduler,
        slots: VirtualWorkers,
        deadline: float,
        stop_at: float | None,
        patience: Patience,
        decision_seconds: Decisions,
    ) -> None:
        self.found = Simulated(scheduler)
        self._scheduler = scheduler
        self._slots = slots
        self._deadline = deadline
        self._stop_at = stop_at
        self._patience = patience
        self._timed = None if decision_seconds == 0 else TimedDecisions(scheduler, decision_seconds)
        self._ask = scheduler.ask if self._timed is None else self._timed.ask
        self._tell = scheduler.tell if self._timed is None else self._timed.tell
        limits = (stop_at, patience.results, patience.seconds)
        self._limited = deadline < math.inf or any(limit is not None for limit in limits)
        self._now = 0.0
        self._since = math.inf  # when the best was found
        self._results = 0  # since then

    def run(self) -> None:
        """Until nothing is left to do, the deadline, a best value that is good enough, or no better one."""
        found, slots = self.found, self._slots
        while not self._limited or (reason := self._why_over()) is None:
            if slots.free:
                self._hand_out()
            due = slots.next_time()
            if due is None:
                reason = "complete"
                break
            # what came while it decided still counts, even past the deadline, as in the engine
            if self._limited and due > (last := max(self._last(), self._now)):
                self._now = last
                continue
            self._now, events = slots.pop(self._now)
            self._take_in(events)
        found.reason, found.seconds, found.unknown = reason, self._now, slots.unknown

    def _last(self) -> float:
        """Until when it goes on if no better value is found."""
        return min(self._deadline, self._patience_ends())

    def _patience_ends(self) -> float:
        seconds = self._patience.seconds
        return math.inf if seconds is None or self._scheduler.best is None else self._since + seconds

    def _why_over(self) -> str | None:
        """Why it ends although there is more to do; None: it does not."""
        best, stop_at = self._scheduler.best, self._stop_at
        sign = 1.0 if self._scheduler.mode == "max" else -1.0
        if stop_at is not None and best is not None and sign * best.value >= sign * stop_at:
            return "stop_at"
        results = self._patience.results
        if (results is not None and self._results >= results) or self._now >= self._patience_ends():
            return "patience"
        return "budget" if self._now >= self._deadline else None

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
        tell, scheduler, counted = self._tell, self._scheduler, self._patience.results is not None
        best, found = scheduler.best, self.found
        before = len(found.warmed)
        for event in events:
            tell(event)
            if scheduler.best is not best:
                best = scheduler.best
                self._note(best)
            elif type(event) is not Report and isinstance(event, Refined | Rejected):
                found.warm_start_seconds += event.seconds
            elif counted and best is not None and _is_result(event, scheduler):
                self._results += 1
        if (
            len(found.warmed) > before
        ):  # warm starts that ended at this moment count, as for who reads a journal
            found.warmed[before:] = [found.warm_start_seconds] * (len(found.warmed) - before)
        if self._timed is not None:
            self._now += self._timed.taken()

    def _note(self, best: Best | None) -> None:
        assert best is not None
        found, self._since, self._results = self.found, self._now, 0
        found.times.append(self._now)
        found.values.append(best.value)
        found.spent.append(self._scheduler.units)
        found.warmed.append(found.warm_start_seconds)
        found.begun.append(len(self._scheduler.trials))
        found.by.append(best.trial)


def _is_result(event: Event, scheduler: Scheduler) -> bool:
    """Whether a trial has completed a rung."""
    if isinstance(event, Report):
        return event.resource == scheduler.trials[event.trial].until
    return isinstance(event, Finished)


def checked_arm(curves: CurveSource, arm: str | None) -> str:
    """``arm``, if the curves have it; by default their first.

    Raises:
        SettingError: they do not.
    """
    if arm is None:
        return curves.arms[0]
    if arm not in curves.arms:
        raise SettingError(
            f"the curves have no arm {arm!r}{nearest(arm, curves.arms)}; asha-curves record --arms adds some"
        )
    return arm


def draw_from(scheduler: Scheduler, searcher: Callable[[int], Searcher]) -> None:
    """Let a scheduler that searches at random draw from a table's configurations.

    Args:
        searcher: what draws them, by a seed, such as ``curves.searcher``.
    """
    own = scheduler.searcher
    if type(own) is RandomSearch:
        scheduler.searcher = searcher(own.seed)
    elif isinstance(own, DrawsFromAnother):
        own.draw_from(searcher(scheduler.seed))
