"""The engine's loop: one thread that talks to the scheduler, the executor and the journal.

Each time round: hand jobs to free slots, wait for events, journal them, tell the scheduler. A record
is in the journal before it has an effect: a job before it is submitted, an event before it is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress

from asha_core.messages import Event, Failed, Job, Lost, Refined, Report, Retried
from asha_core.runtime.audience import Audience
from asha_core.runtime.budget import Budget
from asha_core.runtime.clock import Clock
from asha_core.runtime.early_abort import EarlyAbort
from asha_core.runtime.executor import (
    Executor,
    ExecutorEvent,
    Notice,
    Retired,
    VirtualExecutor,
    WorkerReady,
)
from asha_core.runtime.interrupts import StopSignal
from asha_core.runtime.observers import Observer, Outcome, SearchView
from asha_core.runtime.replay import EarlierSessions
from asha_core.runtime.slots import Slots
from asha_core.runtime.storage.disk import DiskWatch
from asha_core.runtime.storage.journal import DiskFull, Journal
from asha_core.runtime.storage.records import Record, event_record, job_record
from asha_core.runtime.terminal.streams import say
from asha_core.runtime.trial_timeouts import Limits, TrialTimeouts
from asha_core.schedulers.base import Scheduler

_TICK = 0.25
_ALIVE = 30.0  # seconds without a record after which one says that time passed
_GRACE = 5.0  # seconds in which running jobs may reach a place from which they can go on


class Search:
    """One search, from the first job to the outcome.

    Args:
        scheduler: decides; of a resumed search, brought to where its journal ends.
        executor: runs the jobs.
        journal: where jobs and events are kept before they have an effect.
        clock: what time it is.
        budget: when to stop.
        observers: who watches.
        limits: how long a trial may train or be silent.
        disk: None: a full disk is not waited for.
        stop: who asks it to stop.
        earlier: of a resumed search, what happened before.
        may_end: asked with the time; a reason to end before trials and budget do, or None.
        may_end_at: when ``may_end`` may have one although nothing has happened.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        executor: Executor,
        journal: Journal,
        clock: Clock,
        budget: Budget | None = None,
        observers: Sequence[Observer] = (),
        *,
        limits: Limits | None = None,
        disk: DiskWatch | None = None,
        stop: StopSignal | None = None,
        earlier: EarlierSessions | None = None,
        may_end: Callable[[float], str | None] = lambda now: None,
        may_end_at: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self._scheduler = scheduler
        self._executor = executor
        self._journal = journal
        self._clock = clock
        self._budget = budget or Budget()
        self._deadline = math.inf if self._budget.deadline is None else self._budget.deadline
        self._disk = disk
        self._stop = stop or StopSignal()
        self._earlier = earlier
        self._may_end = may_end
        self._may_end_at = may_end_at
        self._virtual = isinstance(executor, VirtualExecutor)
        self._tick = math.inf if self._virtual else _TICK
        self._slots = Slots(executor.devices, always_ready=self._virtual)
        self.view = SearchView(scheduler, self._budget, self._slots.views)
        self._audience = Audience(observers, self.view)
        self._timeouts = TrialTimeouts(limits or Limits())
        self._early_abort = EarlyAbort(scheduler)
        self._written = 0.0  # when the journal last had a record
        self._shown: set[str] = set()  # texts of notices that are told once

    def run(self) -> Outcome:
        """Search until the scheduler has nothing left, the budget is spent, or Ctrl-C.

        The executor and the journal are closed on every way out.
        """
        try:
            try:
                if self._earlier is not None:
                    self._take_up(self._earlier)
                self._audience.tell("on_start")
                reason = self._loop()
            except KeyboardInterrupt:
                reason = "interrupted"
            self._stop.ignore_signals()
            self._final_tick()
            self._end(reason)
        except BaseException:
            self._end("error")
            raise
        finally:
            with ExitStack() as stack:  # whatever one of them raises, the others are closed too
                for observer in self._audience.all:
                    stack.callback(self._audience.close, observer)
                stack.callback(self._journal.close)
                stack.callback(self._executor.close)
        outcome = self.outcome(reason)
        self._audience.tell("on_end", outcome)
        for notice in self.view.notices:  # which came too late for the journal
            say(notice.text)
        return outcome

    # -- beginning and end ---------------------------------------------------------------------

    def _take_up(self, earlier: EarlierSessions) -> None:
        """Take up what earlier sessions left: who watches hears of it, and what ran goes back.

        In virtual time it goes on from where it was.
        """
        resumption = {"type": "resume", "held": self._budget.devices, "changes": {}, **earlier.record}
        if isinstance(self._executor, VirtualExecutor):
            self._go_on(earlier, resumption, self._executor)
            return
        for t, what in earlier.history:
            self.view.now = t
            if not isinstance(what, Job):
                self._add_times(what, None)
            if isinstance(what, Job):
                self._audience.replay("on_job", what, 0)
            else:
                self._audience.replay("on_event", what)
        self.view.now = self._clock.now()
        gone: list[Event] = [
            Lost(job.trial, job.attempt, "its engine ended", "engine") for job in earlier.running.values()
        ]
        gone += [Retried(trial) for trial in earlier.retried]
        self._write([resumption, *map(event_record, gone)])
        for event in gone:
            self._scheduler.tell(event)
            self._audience.replay("on_event", event)

    def _go_on(self, earlier: EarlierSessions, resumption: Record, executor: VirtualExecutor) -> None:
        """Put every job back into its slot, with as much of it told as the journal has."""
        last: dict[int, int] = {}  # trial -> where in the history its job or its last event is
        told: dict[int, list[float]] = {}  # trial -> when its job began and its events were told
        places = iter(earlier.slots)
        for index, (t, what) in enumerate(earlier.history):
            self.view.now = t
            if isinstance(what, Job):
                slot = next(places)
                executor.knows(what)
                if slot < len(self._slots.views):  # there may have been more workers
                    self._slots.assign(what, slot)
                    self._slots.waiting.discard(slot)
                    self._timeouts.on_start(slot, what, t)
                last[what.trial], told[what.trial] = index, [t]
                self._audience.replay("on_job", what, slot)
            else:
                self._account(what)
                last[what.trial] = index
                told.get(what.trial, []).append(t)
                self._audience.replay("on_event", what)
        self.view.now = self._clock.now()
        self._write([resumption])
        for job in sorted(self._slots.jobs(), key=lambda job: last[job.trial]):
            place, times = self._slots.slot_of(job.trial), told[job.trial]
            assert place is not None
            executor.take_up(job, place, times[0], len(times) - 1)
        there = [job for job in earlier.running.values() if self._slots.slot_of(job.trial) is None]
        self._process(
            [
                *(
                    Lost(job.trial, job.attempt, "its worker is not there any more", "engine")
                    for job in there
                ),
                *(Retried(trial) for trial in earlier.retried),
            ]
        )
        while earlier.in_between and (events := executor.wait(0.0)):
            self._handle(events)

    def _end(self, reason: str) -> None:
        """The last records: what still runs goes back, so that a later session finds nothing running."""
        self.view.now = self._clock.now()
        events = [Lost(job.trial, job.attempt, "the search ended", "stopped") for job in self._slots.jobs()]
        try:
            records = [*map(event_record, events), {"type": "end", "reason": reason}]
            self._journal.append(self.view.now, records)
        except DiskFull:  # without them it reads like a search that was killed, and goes on as well
            return
        if reason != "error":  # which may be the scheduler's own
            for event in events:
                self._scheduler.tell(event)

    # -- the loop ------------------------------------------------------------------------------

    def _loop(self) -> str:
        if (over := self._over(self._clock.now())) is not None:  # since earlier sessions
            return "complete" if self._was_complete() else over
        self._stop.polite = True
        while not self._stop.requested:
            if self._submit_jobs() and not self._slots.busy:
                return "complete"
            self._audience.tell("on_tick")
            # those that come with the deadline still count
            self._handle(self._executor.wait(self._timeout()))
            if (over := self._over(self.view.now)) is not None:
                return over
            self._kill_overdue()
            self._process_notices()
            if self.view.now - self._written > _ALIVE and not self._virtual:
                self._write([{"type": "alive"}])
        self._stop_jobs()
        return "interrupted"

    def _timeout(self) -> float:
        """How long to wait for an event: no longer than until something is due without one."""
        due = min(self._timeouts.next_due(), self._may_end_at(), self._deadline)
        return min(self._tick, max(due - self._clock.now(), 0.0))

    def _over(self, now: float) -> str | None:
        """Why it ends although there is more to do; None: it does not."""
        early = self._may_end(now)
        return "budget" if early is None and now >= self._deadline else early

    def _was_complete(self) -> bool:
        """Whether an earlier session saw every trial through, and this one may begin no others."""
        earlier, limit = self._earlier, self._scheduler.trial_limit
        if earlier is None or earlier.reason != "complete" or earlier.retried:
            return False
        return limit is None or len(self._scheduler.trials) - self._scheduler.rejected >= limit

    def _stop_jobs(self) -> None:
        """Wait a little for what runs to be saved; a second signal interrupts this."""
        self._process(
            [Notice("stopping: jobs end after their unit, or where they can go on; again: at once")]
        )
        for slot in tuple(self._slots.waiting):  # they were never submitted
            self._return_job(slot, "the search was stopped", "stopped")
        self._executor.stop()
        until = self._clock.now() + _GRACE
        while self._slots.busy and self._clock.now() < until:
            self._audience.tell("on_tick")
            self._handle(self._executor.wait(_TICK))

    # -- down: jobs ----------------------------------------------------------------------------

    def _submit_jobs(self) -> bool:
        """Give jobs to free slots; True if the scheduler had none for one of them."""
        if self._waits_for_disk():
            return False
        free, nothing = self._executor.free(), False
        for slot in free:
            if not self._slots.takes_jobs(slot):
                continue
            job = self._scheduler.ask()
            if job is None:
                nothing = True
                break
            self._write([job_record(job, slot)])
            self._slots.assign(job, slot)
            self._submit(slot, free)
            self._audience.tell("on_job", job, slot)
        for slot in tuple(self._slots.waiting):
            nothing &= self._submit(slot, free)
        return nothing

    def _submit(self, slot: int, free: Sequence[int]) -> bool:
        """Hand the slot's job to its worker, unless it has to wait for others on its device.

        Returns:
            Whether it still has its job: one whose slot is given up meanwhile goes back to the scheduler.
        """
        if self.view.slots[slot].retired:
            self._return_job(slot, "its slot was given up", "not-begun")
            return False
        if slot in free and self._slots.may_run(slot):
            self._slots.waiting.discard(slot)
            self._executor.submit(self._slots.job(slot), slot)
            self._start_timeout(slot)
        return True

    def _start_timeout(self, slot: int) -> None:
        """Start the clock of the slot's job, if it has one and its worker is ready."""
        view = self.view.slots[slot]
        if view.ready and view.job is not None and slot not in self._slots.waiting:
            self._timeouts.on_start(slot, view.job, self._clock.now())

    def _return_job(self, slot: int, reason: str, kind: str) -> None:
        """A job that was handed out and never submitted."""
        job = self._slots.job(slot)
        self._process([Lost(job.trial, job.attempt, reason, kind)])

    def _waits_for_disk(self) -> bool:
        """Whether the disk is full."""
        if self._disk is None or not self._disk.paused:
            return False
        if self._disk.pause_ended(self._clock.now()):
            self._process([Notice("there is room on the disk again: going on")])
        return self._disk.paused

    # -- up: events ----------------------------------------------------------------------------

    def handle(self, event: ExecutorEvent) -> None:
        """Take in an event now; for an executor that runs jobs inside its ``wait``."""
        self._handle([event])
        if self._over(self.view.now) is not None:  # ``wait`` does not return before the job has ended
            self._executor.stop()

    def _handle(self, events: Sequence[ExecutorEvent]) -> None:
        self.view.now = self._clock.now()
        if self._stop.requested:
            events = [_as_stopped(event) for event in events]
        if events:
            self._process(events)

    def _process(self, events: Sequence[ExecutorEvent]) -> None:
        events = [event for event in events if type(event) is Report or not self._shown_before(event)]
        self._write(map(event_record, events))
        for event in events:
            self._dispatch(event)

    def _shown_before(self, event: ExecutorEvent) -> bool:
        if not (isinstance(event, Notice) and event.once):
            return False
        before = event.text in self._shown
        self._shown.add(event.text)
        return before

    def _dispatch(self, event: ExecutorEvent) -> None:
        view = self.view
        if type(event) is Report:  # of which there are very many
            self._take_in_report(event)
        elif isinstance(event, WorkerReady):
            view.slots[event.slot].ready = True
            self._start_timeout(event.slot)
        elif isinstance(event, Retired):
            view.slots[event.slot].retired = True
        elif not isinstance(event, Notice):
            self._scheduler.tell(event)
            self._account(event)
            self._early_abort.on_event(event)
        self._audience.tell("on_event", event)

    def _take_in_report(self, report: Report) -> None:
        self._scheduler.tell(report)
        slots, view, slot = self._slots, self.view, self._slots.slot_of(report.trial)
        view.training_seconds += report.seconds
        self._timeouts.on_event(slot, report, view.now)
        if self._disk is not None:
            self._disk.on_written()
        if slot is not None and slots.on_event(slot, report, view.now):
            self._timeouts.on_end(slot)
        self._early_abort.on_event(report)

    def _account(self, event: Event) -> None:
        slot = self._slots.slot_of(event.trial)
        self._add_times(event, slot)
        self._watch_disk(event)
        if slot is not None and self._slots.on_event(slot, event, self.view.now):
            self._timeouts.on_end(slot)

    def _add_times(self, event: Event, slot: int | None) -> None:
        if isinstance(event, Report):
            self.view.training_seconds += event.seconds
        elif isinstance(event, Refined):
            self.view.warm_start_seconds += event.seconds
        self._timeouts.on_event(slot, event, self.view.now)

    def _watch_disk(self, event: Event) -> None:
        if self._disk is None:
            return
        if isinstance(event, Report):
            self._disk.on_written()
        elif isinstance(event, Lost) and event.kind == "disk":
            told = self._disk.paused
            self._disk.on_full(self.view.now)
            if not told:
                text = f"the disk is full, no new jobs until there is room: {self._disk.describe()}"
                self.view.notices.append(Notice(text))

    def _kill_overdue(self) -> None:
        for slot, event in self._timeouts.overdue(self.view.slots, self.view.now):
            self._timeouts.on_end(slot)
            self.view.slots[slot].ready = self._virtual  # its worker is being replaced
            self._executor.kill(slot, event)

    # -- the journal ---------------------------------------------------------------------------

    def _final_tick(self) -> None:
        self.view.ending = True
        with suppress(KeyboardInterrupt):  # an observer's own
            self._audience.tell("on_tick")
            self._process_notices()

    def _process_notices(self) -> None:
        if self.view.notices:
            notices, self.view.notices = self.view.notices, []
            self._process(notices)

    def _write(self, records: Iterable[Record]) -> None:
        """Append to the journal; while the disk is full, nothing else happens."""
        kept = list(records)
        waiting = False
        while True:
            now = self._clock.now()
            try:
                self._journal.append(now, kept)
            except DiskFull as full:
                if self._stop.requested:
                    raise KeyboardInterrupt from None
                if not waiting:  # it cannot be journalled: only who watches hears of it
                    waiting = True
                    self._audience.tell("on_event", Notice(f"{full}: everything waits until there is room"))
                self._clock.sleep(1.0)
            else:
                self._written = now
                return

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
            gpu_seconds=self._budget.gpu_seconds_at(view.now),
            warm_start_seconds=view.warm_start_seconds,
            training_seconds=view.training_seconds,
        )


def _as_stopped(event: ExecutorEvent) -> ExecutorEvent:
    """An event of a search that was asked to stop: whatever ended a job then is no fault of its trial.

    The signal may have come to its worker as well, and to what that had started, as Slurm sends it.
    """
    if isinstance(event, Failed) and event.kind != "timeout":  # which is the engine's own
        how = event.error
    elif isinstance(event, Lost) and event.counts:
        how = event.reason
    else:
        return event
    return Lost(event.trial, event.attempt, f"the search was stopped ({how})", "stopped")
