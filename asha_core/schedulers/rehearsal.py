"""A search run in no time: the scheduler decides, trials train nothing and keep their rank."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count

from asha_core.messages import Job, Report
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.retention import Files, Retention, Stock
from asha_core.searchers.base import Searcher
from asha_core.space import Configuration, SearchSpace
from asha_core.streams import uniforms


class NoSearch(Searcher):
    """The rehearsal's configurations, which nobody looks at."""

    name = "none"

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self._configuration = Configuration((), ())

    def propose(self, index: int) -> Configuration:
        """An empty one."""
        return self._configuration


class Rehearsal:
    """A whole search; every unit takes equally long, and trial i has a value that depends on (number, i).

    Workers whose units end at the same time report before any of them is given another job. At the deadline
    what runs has reported the units that it has completed.

    Args:
        scheduler: new, and used up.
        slots: workers.
        number: of the rehearsal.
        deadline: when it is stopped, in the time that one unit takes; None: never.
        room: for how many checkpoints there is room, all of one size; None: for all.

    Attributes:
        levels, bracket_of: the scheduler's.
        trials: those that began, as the search left them.
        time: when it ended, in the time that one unit takes.
        complete: whether nothing was left to do.
        again: units that were trained again because a checkpoint was gone.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        slots: int,
        number: int = 0,
        deadline: float | None = None,
        room: float | None = None,
    ) -> None:
        self._scheduler, self._slots, self._number = scheduler, slots, number
        self._shelf = None if room is None else _Shelf(scheduler, room)
        self._running: list[tuple[int, int, Job, int]] = []  # (end, order, job, units trained again)
        self._order = count()
        self.again = 0
        self.time: float = 0
        while deadline is None or self.time < deadline:
            self._hand_out(int(self.time))
            if not self._running or (deadline is not None and self._running[0][0] > deadline):
                break
            self.time = self._running[0][0]
            while self._running and self._running[0][0] == self.time:
                _, _, job, again = heappop(self._running)
                self._tell(job, job.until, again)
        self.levels, self.bracket_of = scheduler.levels, scheduler.bracket_of
        self.trials = tuple(scheduler.trials)
        self.complete = not self._running and scheduler.ask() is None
        if deadline is not None and not self.complete:
            self.time = max(deadline, 0)
            self._break_off(deadline)

    def _hand_out(self, now: int) -> None:
        while len(self._running) < self._slots and (job := self._scheduler.ask()) is not None:
            again = 0 if self._shelf is None else self._shelf.on_job(job)
            end = now + again + job.until - job.start
            heappush(self._running, (end, next(self._order), job, again))

    def _tell(self, job: Job, resource: int, again: int) -> None:
        value = uniforms(self._number, "rehearsal", job.trial, 1)[0]
        report = Report(job.trial, job.attempt, resource, value, 0.0)
        self._scheduler.tell(report)
        self.again += again
        if self._shelf is not None:
            self._shelf.on_event(report)

    def _break_off(self, deadline: float) -> None:
        for end, _, job, again in self._running:
            done = int(deadline - (end - job.until + job.start - again))
            if done > again:
                self._tell(job, job.start + done - again, again)
            else:
                self.again += done


class _Shelf:
    """A rehearsal's checkpoints, each of size 1."""

    def __init__(self, scheduler: Scheduler, room: float) -> None:
        self._retention = Retention(scheduler)
        self._stock = Stock(self._retention, room)

    def on_job(self, job: Job) -> int:
        """A trial goes on; returns the units that it has to train again."""
        self._retention.on_job(job)
        again = 0 if self._stock.of(job.trial) else job.start
        files: Files = {"last": (0, 1), "best": (0, 1)}
        self._stock.put(job.trial, files if job.until == 1 else {**files, "previous": (1, 1)})
        self._make_room()
        return again

    def on_event(self, report: Report) -> None:
        """A trial has trained."""
        self._retention.on_event(report)
        self._make_room()

    def _make_room(self) -> None:
        for _ in self._stock.excess():
            pass
