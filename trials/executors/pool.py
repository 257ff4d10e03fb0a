"""Jobs in persistent worker processes, one a slot, each pinned to its device.

Each worker has two one-way pipes of its own: jobs down, events up. A pipe has exactly one writer and
one reader, and the engine closes its copy of the far ends, so a worker that dies, even in the middle
of a message, leaves an end of file and not a held lock. (``multiprocessing.Queue`` adds a feeder thread,
locks, and keeps the far end open: a torn message would block its reader for ever.)
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from asha_core.errors import AshaError, TaskError, WorkerError
from asha_core.messages import Event, Failed, Job, Lost, Rejected, Report
from asha_core.runtime.executor import ExecutorEvent, Notice, Retired, WorkerReady
from trials.devices import Slot
from trials.executors.hang_detector import Vigil
from trials.executors.slot import Seat
from trials.executors.worker_process import Worker
from trials.worker import processes
from trials.worker.heartbeat import Beat
from trials.worker.job_runner import WorkerSettings
from trials.worker.main import Broken, Leaving, Ready
from trials.worker.reaper import Guard

_EXIT_SECONDS = 2.0
_RESTART_TICK = 0.1  # seconds between looks at a slot that waits for its next worker


class ProcessPool:
    """Worker processes behind the executor contract.

    Args:
        settings: what every worker is told.
        slots: one worker each.
        heartbeat_timeout: seconds without a sign of life after which a worker is killed and replaced; None:
            never.
        token: what the workers carry in their environment (``trials.worker.processes``), a new one for
            each pool.
        clock: monotonic; for the heartbeats.
    Raises:
        WorkerError: the task cannot be sent to another process. From ``wait``: no worker can be started
            in any slot. TaskError: likewise, because the task cannot be set up there.

    Attributes:
        search_token: the token, for ``end_marked`` if this process is killed.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        slots: Sequence[Slot],
        *,
        heartbeat_timeout: float | None = 60.0,
        token: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.search_token = token or secrets.token_hex(8)
        self._vigil = Vigil(heartbeat_timeout, clock)
        self._seats = [Seat(i, slot, settings, self.search_token) for i, slot in enumerate(slots)]
        self._pending: list[ExecutorEvent] = []  # for the next wait
        self._ever_ready = self._stopped = self._closed = False
        self._guard = Guard(self.search_token)
        try:
            for seat in self._seats:
                self._start(seat)
        except BaseException:
            self.close()
            raise

    @property
    def devices(self) -> Sequence[str]:
        """The label of each slot's device."""
        return [seat.slot.label for seat in self._seats]

    def free(self) -> Sequence[int]:
        """Slots without a job. A worker that is still starting takes its first job from the pipe."""
        return [seat.index for seat in self._seats if seat.free]

    def submit(self, job: Job, slot: int) -> None:
        """Send a job to a free slot's worker."""
        seat = self._seats[slot]
        if self._stopped or not seat.free:
            why = f"it runs trial {seat.job.trial}" if seat.job else seat.reason or "no job may begin now"
            raise ValueError(f"slot {slot} is not free: {why}")
        seat.submit(job)

    def wait(self, timeout: float) -> list[ExecutorEvent]:
        """Events from all workers; a dead worker is replaced, and its job becomes ``Lost``."""
        deadline = time.monotonic() + timeout
        for seat in self._seats:  # by the contract: what was handed out before is in the journal
            if seat.worker is not None:
                seat.worker.journalled()
        events, self._pending = self._pending, []
        while True:
            left = 0.0 if events else max(deadline - time.monotonic(), 0.0)
            self._take_in(min(left, self._patience()), events)
            if self._vigil.due():
                self._end_the_hung(events)
                self._guard.renew()
            self._start_those_due(events)
            self._announce_retired(events)
            if events or time.monotonic() >= deadline:
                return self._hand_out(events)

    def kill(self, slot: int, event: Failed | Lost) -> None:
        """End a slot's worker with all that it started, and start another; ``event`` closes its job.

        Unless the job has closed meanwhile: then ``event`` is dropped.
        """
        seat = self._seats[slot]
        if seat.worker is not None:
            self._drain(seat, self._pending)
        if seat.job is None or seat.job.trial != event.trial:
            return
        if seat.worker is not None:
            seat.worker.end()
            self._drain(seat, self._pending)  # what left it before its end
            seat.end()
        if seat.job is not None:
            self._close_job(seat, event, self._pending)

    def stop(self) -> None:
        """Ask all jobs to stop, after the unit that they train. ``submit`` may not be called any more."""
        self._stopped = True
        for seat in self._seats:
            if seat.worker is not None:
                self._drain(seat, self._pending)
            if seat.job is None:
                continue
            if seat.worker is not None and seat.worker.ready:
                seat.worker.terminate()
                continue
            if seat.worker is not None:
                seat.end()
            self._close_job(seat, _stopped(seat.job), self._pending)
        for seat in self._seats:
            seat.stay_empty()

    def close(self) -> None:
        """End every worker: busy ones are killed with their children, idle ones are asked to leave."""
        if self._closed:
            return
        self._stopped = True
        idle = []
        for seat in self._seats:
            seat.stay_empty()
            if seat.worker is None:
                continue
            if seat.job is None and seat.worker.ready:
                idle.append(seat.worker)
                seat.worker.dismiss()
            else:
                seat.worker.kill()
        patience = time.monotonic() + _EXIT_SECONDS
        for worker in idle:
            worker.join(max(patience - time.monotonic(), 0.0))
        workers = [seat.worker for seat in self._seats if seat.worker is not None]
        processes.end_search({worker.pid for worker in workers}, self.search_token)
        for worker in workers:
            worker.kill()
            worker.join(_EXIT_SECONDS)
            worker.forget()
        for seat in self._seats:
            seat.worker = None
        self._guard.release()
        self._closed = True

    def _start(self, seat: Seat) -> None:
        # without a guard a worker must live long enough to end its children: see trials.worker.main
        if seat.start(dies_with_parent=self._guard.alive):
            assert seat.worker is not None
            self._vigil.heard(seat.worker)

    def _patience(self) -> float:
        """How long nothing may happen until there is something to look after."""
        if any(seat.waits for seat in self._seats):
            return _RESTART_TICK
        return self._vigil.interval

    def _take_in(self, timeout: float, events: list[ExecutorEvent]) -> None:
        """Wait for messages and deaths, and see to both."""
        sources: dict[Connection | int, int] = {}
        for seat in self._seats:
            if seat.worker is not None:
                sources[seat.worker.events] = seat.index
                sources[seat.worker.sentinel] = seat.index
        answered = {sources[source] for source in wait(list(sources), timeout)}  # type: ignore[index]
        for seat in self._seats:
            worker = seat.worker
            if worker is None:
                continue
            # not by its answer alone: a forked child of a dead worker holds its pipes and sentinel open
            dead = worker.dead
            if dead:
                worker.end()  # the children; then the pipe has an end
            if not (dead or seat.index in answered):
                continue
            # a worker found dead has sent all that it ever will
            closed = self._drain(seat, events)
            # one that leaves has said all: its exit may take for ever, and the slot is needed
            if dead or closed or worker.broken is not None or (worker.leaving and not self._stopped):
                self._replace(seat, worker, worker.ending() if dead or closed else "", events)

    def _drain(self, seat: Seat, events: list[ExecutorEvent]) -> bool:
        """Take in what a worker sent; True if its pipe is closed."""
        worker = seat.worker
        assert worker is not None
        try:
            while worker.events.poll():
                message = worker.events.recv()
                self._vigil.heard(worker)
                if isinstance(message, Event):
                    worker.received += isinstance(message, Report)
                    self._take_event(seat, message, events)
                else:
                    self._take(seat, worker, message, events)
        except (EOFError, OSError):
            return True
        except Exception as error:  # whatever unpickling raises
            if seat.job is not None:
                text = f"worker {seat.index} sent what cannot be read here: {type(error).__name__}: {error}"
                self._close_job(seat, Failed(seat.job.trial, seat.job.attempt, text, "setup"), events)
            return True
        return False

    def _take(self, seat: Seat, worker: Worker, message: Any, events: list[ExecutorEvent]) -> None:
        if isinstance(message, Beat):
            worker.memory = message.memory
        elif isinstance(message, Ready):
            worker.ready = self._ever_ready = True
            seat.succeeded()
            events.append(WorkerReady(seat.index, message.pid, seat.slot.label, message.seconds))
            for other in self._seats:  # so it can be set up, here at least
                if other.broken is not None and other.reason is None:
                    other.failed(other.broken)
        elif isinstance(message, Broken):
            worker.broken = message
        elif isinstance(message, Leaving):
            worker.leaving = True
        elif isinstance(message, Notice):
            events.append(message)

    def _take_event(self, seat: Seat, event: Event, events: list[ExecutorEvent]) -> None:
        job = seat.job
        if job is None or not _closes(event, job):
            events.append(event)
            return
        if isinstance(event, Lost) and event.kind == "stopped" and not self._stopped:
            event = _stopped(job, f"worker {seat.index} was asked to leave (SIGTERM)")
        self._close_job(seat, event, events)

    def _close_job(self, seat: Seat, event: Event, events: list[ExecutorEvent]) -> None:
        """The slot is free as soon as the event is handed out."""
        events.append(event)
        seat.job = None
        seat.settling = True

    def _replace(self, seat: Seat, worker: Worker, ending: str, events: list[ExecutorEvent]) -> None:
        """A worker has ended, or must: close its job, and see to the next one."""
        seat.end()
        if seat.job is not None and self._stopped:
            self._close_job(seat, _stopped(seat.job), events)
        elif seat.job is not None and worker.ready and not worker.leaving:
            job = seat.job
            self._close_job(seat, Lost(job.trial, job.attempt, f"worker {seat.index} {ending}"), events)
        if self._stopped:
            seat.stay_empty()
        elif worker.broken is not None:
            self._judge(seat, worker.broken)
        elif not worker.ready:
            seat.failed(seat.why_no_start(ending))

    def _judge(self, seat: Seat, broken: Broken) -> None:
        if broken.mistake:
            seat.broken = broken.error
            seat.retire(broken.error)
        elif self._ever_ready:  # it can be set up elsewhere: here its memory may not be free yet, say
            seat.failed(broken.error)
        else:
            seat.park(broken.error)

    def _end_the_hung(self, events: list[ExecutorEvent]) -> None:
        for seat in self._seats:
            worker = seat.worker
            if worker is None or not self._vigil.suspects(worker):
                continue
            self._drain(seat, events)  # it may have written while the others were seen to
            if not self._vigil.suspects(worker):
                continue
            verdict = self._vigil.verdict(worker)
            if verdict is None:
                continue
            worker.end()
            self._drain(seat, events)
            job = seat.job
            if job is not None and worker.ready:
                reason = f"worker {seat.index} {verdict}"
                self._close_job(seat, Lost(job.trial, job.attempt, reason, "hung"), events)
            self._replace(seat, worker, verdict, events)

    def _start_those_due(self, events: list[ExecutorEvent]) -> None:
        if self._stopped:
            return
        for seat in self._seats:
            may, notice = seat.may_start()
            if notice is not None:
                events.append(notice)
            if may:
                self._start(seat)

    def _announce_retired(self, events: list[ExecutorEvent]) -> None:
        for seat in self._seats:
            if seat.reason is None or seat.announced:
                continue
            seat.announced = True
            events.append(Retired(seat.index, seat.reason))
            if seat.job is not None:
                job = seat.job
                self._close_job(seat, Lost(job.trial, job.attempt, seat.reason, "not-begun"), events)

    def _hand_out(self, events: list[ExecutorEvent]) -> list[ExecutorEvent]:
        """What ``wait`` returns; if no slot is left, first all that has come from those that were.

        Raises:
            AshaError: no slot is left.
        """
        error = self._nobody_left()
        if error is not None:
            told = [event for event in events if not _is_of_a_retirement(event)]
            if not told:
                raise error
            # nothing seems to have ended until the next call raises
            self._pending = [event for event in events if _is_of_a_retirement(event)]
            return told
        for seat in self._seats:
            seat.settling = False
            if seat.worker is not None:
                seat.worker.handed = seat.worker.received
        return events

    def _nobody_left(self) -> AshaError | None:
        if self._stopped or not all(seat.given_up for seat in self._seats):
            return None
        for seat in self._seats:
            if seat.broken is not None and not self._ever_ready:
                return TaskError(seat.broken)
        return WorkerError(next(seat.reason for seat in self._seats if seat.reason is not None))


def _closes(event: Event, job: Job) -> bool:
    """Whether ``event`` is the last one of ``job``."""
    if isinstance(event, Report):
        return event.resource >= job.until
    return isinstance(event, Failed | Rejected | Lost)


def _stopped(job: Job, reason: str = "the search was stopped") -> Lost:
    return Lost(job.trial, job.attempt, reason, "stopped")


def _is_of_a_retirement(event: ExecutorEvent) -> bool:
    return isinstance(event, Retired) or (isinstance(event, Lost) and event.kind == "not-begun")
