"""The engine's loop: one thread that talks to the scheduler, the executor and the journal.

Each time round: hand jobs to free slots, wait for events, journal them, tell the scheduler. A record
is in the journal before it has an effect: a job before it is submitted, an event before it is told.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Protocol

from asha_core.errors import TaskError
from asha_core.messages import Event, Failed, Lost, Refined, Rejected, Report
from asha_core.runtime.budget import Budget
from asha_core.runtime.clock import Clock
from asha_core.runtime.executor import Executor, ExecutorEvent, WorkerReady
from asha_core.runtime.journal import Record, event_record, job_record
from asha_core.runtime.observers import Observer, Outcome, SearchView, SlotView
from asha_core.schedulers.base import Scheduler

_TICK = 0.25
_MISTAKES = 3  # setup failures without a report that end a search
_REJECTIONS = 100  # invalid configurations in a row that do


class Journal(Protocol):
    """Where records go."""

    def append(self, t: float, records: Iterable[Record]) -> None:
        """Keep records that happened at ``t``."""
        ...

    def close(self) -> None:
        """No more records."""
        ...


class Search:
    """One search, from the first job to the outcome.

    Args:
        scheduler: decides. executor: runs. journal: remembers. clock: tells the time.
        budget: when to stop.
        observers: who watches.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        executor: Executor,
        journal: Journal,
        clock: Clock,
        budget: Budget | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._scheduler = scheduler
        self._executor = executor
        self._journal = journal
        self._clock = clock
        self._budget = budget or Budget()
        self._observers = observers
        slots = [SlotView(index, device) for index, device in enumerate(executor.devices)]
        self.view = SearchView(scheduler, self._budget, slots)
        self._mistakes = 0
        self._refused = 0  # configurations refused in a row, without a report between
        self._slot_of: dict[int, int] = {}  # trial -> slot, for running trials

    def run(self) -> Outcome:
        """Search until the scheduler has nothing left, the budget is spent, or Ctrl-C.

        The executor and the journal are closed on every way out.
        """
        try:
            try:
                for observer in self._observers:
                    observer.on_start(self.view)
                reason = self._loop()
            except KeyboardInterrupt:
                reason = "interrupted"
            self._end(reason)
        except BaseException:
            self._end("error")
            raise
        finally:
            with ExitStack() as stack:  # whatever one of them raises, the others are closed too
                for observer in self._observers:
                    stack.callback(observer.close)
                stack.callback(self._journal.close)
                stack.callback(self._executor.close)
        outcome = self.outcome(reason)
        for observer in self._observers:
            observer.on_end(self.view, outcome)
        return outcome

    def _end(self, reason: str) -> None:
        self.view.now = self._clock.now()
        self._journal.append(self.view.now, [{"type": "end", "reason": reason}])

    def _loop(self) -> str:
        deadline = self._budget.deadline
        while True:
            self._hand_out()
            if not self._slot_of:
                return "complete"
            for observer in self._observers:
                observer.on_tick(self.view)
            timeout = _TICK
            if deadline is not None:
                timeout = min(_TICK, max(deadline - self._clock.now(), 0.0))
            events = self._executor.wait(timeout)
            self.view.now = self._clock.now()
            if events:  # those that came with the deadline still count
                self._journal.append(self.view.now, [event_record(event) for event in events])
                for event in events:
                    self._take_in(event)
            if deadline is not None and self.view.now >= deadline:
                return "budget"

    def _hand_out(self) -> None:
        for slot in self._executor.free():
            job = self._scheduler.ask()
            if job is None:
                return
            self._journal.append(self._clock.now(), [job_record(job, slot)])
            self._executor.submit(job, slot)
            self._slot_of[job.trial] = slot
            seat = self.view.slots[slot]
            seat.job, seat.resource = job, job.start
            for observer in self._observers:
                observer.on_job(self.view, job, slot)

    def _take_in(self, event: ExecutorEvent) -> None:
        view = self.view
        if isinstance(event, WorkerReady):
            view.slots[event.slot].ready = True
        else:
            self._scheduler.tell(event)
            self._account(event)
            if isinstance(event, Report):
                self._refused = 0
            elif isinstance(event, Failed):
                self._give_up_on_a_hopeless_task(event)
        for observer in self._observers:
            observer.on_event(view, event)

    def _give_up_on_a_hopeless_task(self, event: Failed) -> None:
        """Stop a search when the next trials would fail as the last ones did."""
        scheduler = self._scheduler
        if event.kind == "setup" and not scheduler.units:
            self._mistakes += 1
            if self._mistakes >= min(_MISTAKES, scheduler.trial_limit or _MISTAKES):
                raise TaskError(event.error)
        elif event.kind == "invalid":
            self._refused += 1
            if self._refused >= _REJECTIONS:
                raise TaskError(
                    f"{self._refused} configurations in a row were refused, the last one with: {event.error}"
                )

    def _account(self, event: Event) -> None:
        view = self.view
        slot = self._slot_of.get(event.trial)
        seat = view.slots[slot] if slot is not None else None
        job = seat.job if seat is not None else None
        closes = isinstance(event, Rejected | Failed | Lost)
        if isinstance(event, Report):
            view.training_seconds += event.seconds
            if seat is not None:
                seat.resource, seat.value = event.resource, event.value
                seat.unit_seconds = event.seconds
            closes = job is not None and event.resource >= job.until
        elif isinstance(event, Lost) and seat is not None:
            seat.ready, seat.unit_seconds = False, math.nan  # its worker is being replaced
        elif isinstance(event, Refined):
            view.warm_start_seconds += event.seconds
        if closes and seat is not None:
            del self._slot_of[event.trial]
            seat.job = None

    def outcome(self, reason: str) -> Outcome:
        """What has been achieved and spent up to now."""
        view = self.view
        return Outcome(
            reason=reason,
            best=self._scheduler.best,
            trials=len(self._scheduler.trials) - self._scheduler.rejected,
            units=self._scheduler.units,
            failures=self._scheduler.failures,
            seconds=view.now,
            gpu_seconds=view.now * self._budget.devices,
            warm_start_seconds=view.warm_start_seconds,
            training_seconds=view.training_seconds,
        )
