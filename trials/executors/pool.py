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
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any

from asha_core.errors import TaskError, WorkerError
from asha_core.messages import Event, Failed, Job, Lost, Report, closes
from asha_core.runtime.executor import ExecutorEvent, Notice, WorkerReady
from trials.devices import Slot
from trials.executors import fork_server, retirement
from trials.executors.hang_detector import HangDetector
from trials.executors.worker_process import Worker
from trials.executors.worker_slot import USUAL_LIMITS, StartLimits, WorkerSlot
from trials.worker import processes
from trials.worker.heartbeat import Heartbeat
from trials.worker.job_runner import WorkerSettings
from trials.worker.main import Leaving, Ready, SetupFailed
from trials.worker.parcel import Parcel
from trials.worker.reaper import Reaper

_STOPPED = "the search was stopped"
_EXIT_SECONDS = 2.0
_RESTART_TICK = 0.1  # seconds between looks at a slot that waits for its next worker


class ProcessPool:
    """Worker processes behind the executor contract.

    Args:
        settings: what every worker is told.
        slots: one worker each.
        heartbeat_timeout: seconds without a sign of life after which a worker is killed and replaced; None:
            never.
        start_timeout: likewise of one that is not ready yet.
        token: what the workers carry in their environment (``trials.worker.processes``), a new one for
            each pool.
        limits: when a slot gets its next worker.
        clock: monotonic; for the heartbeats.
        preload: modules that take long to import, for the server that workers are forked from.
    Raises:
        WorkerError: the task cannot be sent to another process. From ``wait``: no worker can be started in
            any slot.
        TaskError: likewise, because the task cannot be set up there.

    Attributes:
        search_token: the token, for ``end_marked`` if this process is killed.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        slots: Sequence[Slot],
        *,
        heartbeat_timeout: float | None = 60.0,
        start_timeout: float | None = 600.0,
        token: str | None = None,
        limits: StartLimits = USUAL_LIMITS,
        clock: Callable[[], float] = time.monotonic,
        preload: Sequence[str] = (),
    ) -> None:
        self.search_token = token or secrets.token_hex(8)
        self._hang_detector = HangDetector(heartbeat_timeout, start_timeout, clock)
        self._slots = [
            WorkerSlot(index, place, settings, self.search_token, limits) for index, place in enumerate(slots)
        ]
        self._pending: list[ExecutorEvent] = []  # for the next wait
        self._ever_ready = self._stopped = self._closed = False
        self._reaper = Reaper(self.search_token)
        shared = dict(set.intersection(*(set(place.environment.items()) for place in slots)))
        self._find_server = partial(fork_server.server, preload, shared)
        try:
            self._start_those_due(self._pending)
            if any(slot.waits for slot in self._slots):  # for a server: what cannot be sent is told now
                Parcel(settings).check()
        except BaseException:
            self.close()
            raise

    @property
    def devices(self) -> Sequence[str]:
        """The label of each slot's device."""
        return [slot.place.label for slot in self._slots]

    def free(self) -> Sequence[int]:
        """Slots without a job. A worker that is still starting takes its first job from the pipe."""
        return [slot.index for slot in self._slots if slot.free]

    def submit(self, job: Job, slot: int) -> None:
        """Send a job to a free slot's worker."""
        chosen = self._slots[slot]
        if self._stopped or not chosen.free:
            why = (
                f"it runs trial {chosen.job.trial}" if chosen.job else chosen.reason or "no job may begin now"
            )
            raise ValueError(f"slot {slot} is not free: {why}")
        chosen.submit(job)

    def wait(self, timeout: float) -> list[ExecutorEvent]:
        """Events from all workers; a dead worker is replaced, and its job becomes ``Lost``."""
        deadline = time.monotonic() + timeout
        for slot in self._slots:  # by the contract: what was handed out before is in the journal
            if slot.worker is not None:
                slot.worker.confirm_journalled()
        events, self._pending = self._pending, []
        while True:
            left = 0.0 if events else max(deadline - time.monotonic(), 0.0)
            self._receive(min(left, self._tick()), events)
            if self._hang_detector.due():
                self._replace_hung(events)
                self._reaper.renew()
            self._start_those_due(events)
            events += retirement.events_of(self._slots)
            if events or time.monotonic() >= deadline:
                return self._handed_out(events)

    def kill(self, slot: int, event: Failed | Lost) -> None:
        """End a slot's worker with all that it started, and start another; ``event`` closes its job.

        Unless the job has closed meanwhile: then ``event`` is dropped.
        """
        chosen = self._slots[slot]
        if chosen.worker is not None:
            self._drain(chosen, self._pending)
        if chosen.job is None or chosen.job.trial != event.trial:
            return
        if chosen.worker is not None:
            chosen.worker.end()
            self._drain(chosen, self._pending)  # what left it before its end
            chosen.end()
        if chosen.job is not None:
            self._pending.append(chosen.close_job(event))

    def stop(self) -> None:
        """Ask all jobs to stop, after the unit that they train. ``submit`` may not be called any more."""
        self._stopped = True
        for slot in self._slots:
            if slot.worker is not None:
                self._drain(slot, self._pending)
            if slot.job is None:
                continue
            if slot.worker is not None and slot.worker.ready:
                slot.worker.ask_to_stop()
                continue
            if slot.worker is not None:
                slot.end()
            self._pending.append(slot.lose_job(_STOPPED, "stopped"))
        for slot in self._slots:
            slot.stay_empty()

    def close(self) -> None:
        """End every worker: busy ones are killed with their children, idle ones are asked to leave."""
        if self._closed:
            return
        self._stopped = True
        idle = []
        for slot in self._slots:
            slot.stay_empty()
            if slot.worker is None:
                continue
            if slot.job is None and slot.worker.ready:
                idle.append(slot.worker)
                slot.worker.ask_to_leave()
            else:
                slot.worker.kill()
        deadline = time.monotonic() + _EXIT_SECONDS
        for worker in idle:
            worker.join(max(deadline - time.monotonic(), 0.0))
        workers = [slot.worker for slot in self._slots if slot.worker is not None]
        processes.end_search({worker.pid for worker in workers}, self.search_token)
        for worker in workers:
            worker.kill()
            worker.join(_EXIT_SECONDS)
            worker.release()
        for slot in self._slots:
            slot.worker = None
        self._reaper.release()
        self._closed = True

    def _start(self, slot: WorkerSlot, server: fork_server.Server | None) -> None:
        # without a reaper a worker must live long enough to end its children: see trials.worker.main
        if slot.start(self._reaper.alive, server):
            assert slot.worker is not None
            self._hang_detector.on_message(slot.worker)

    def _tick(self) -> float:
        """How long nothing may happen until there is something to look after."""
        if any(slot.waits for slot in self._slots):
            return _RESTART_TICK
        return self._hang_detector.interval

    def _receive(self, timeout: float, events: list[ExecutorEvent]) -> None:
        """Wait for messages and deaths, and see to both."""
        sources: dict[Connection | int, int] = {}
        for slot in self._slots:
            if slot.worker is not None:
                sources[slot.worker.events] = slot.index
                sources[slot.worker.sentinel] = slot.index
        answered = {sources[source] for source in wait(list(sources), timeout)}  # type: ignore[index]
        for slot in self._slots:
            worker = slot.worker
            if worker is None:
                continue
            # not by its answer alone: a forked child of a dead worker holds its pipes and sentinel open
            dead = worker.dead
            if dead:
                worker.end()  # the children; then the pipe has an end
            if not (dead or slot.index in answered):
                continue
            # a worker found dead has sent all that it ever will
            closed = self._drain(slot, events)
            # one that leaves has said all: its exit may take for ever, and the slot is needed
            if dead or closed or worker.setup_failed is not None or (worker.leaving and not self._stopped):
                self._replace(slot, worker, worker.how_it_ended() if dead or closed else "", events)

    def _drain(self, slot: WorkerSlot, events: list[ExecutorEvent]) -> bool:
        """Take in what a worker sent; True if its pipe is closed."""
        worker = slot.worker
        assert worker is not None
        try:
            while worker.events.poll():
                message = worker.events.recv()
                self._hang_detector.on_message(worker)
                if isinstance(message, Event):
                    worker.received += isinstance(message, Report)
                    self._on_event(slot, message, events)
                else:
                    self._on_message(slot, worker, message, events)
        except (EOFError, OSError):
            return True
        except Exception as error:  # whatever unpickling raises
            if slot.job is not None:
                text = f"worker {slot.index} sent what cannot be read here: {type(error).__name__}: {error}"
                failed = Failed(slot.job.trial, slot.job.attempt, text, "setup")
                events.append(slot.close_job(failed))
            return True
        return False

    def _on_message(
        self, slot: WorkerSlot, worker: Worker, message: Any, events: list[ExecutorEvent]
    ) -> None:
        if isinstance(message, Heartbeat):
            worker.memory = message.memory
        elif isinstance(message, Ready):
            worker.ready = self._ever_ready = True
            slot.succeeded()
            seconds = time.monotonic() - worker.began
            events.append(WorkerReady(slot.index, message.pid, slot.place.label, seconds))
            for other in self._slots:  # so one can be started, here at least
                if other.start_error is not None and other.reason is None:
                    other.failed(str(other.start_error))
        elif isinstance(message, SetupFailed):
            worker.setup_failed = message
        elif isinstance(message, Leaving):
            worker.leaving = True
        elif isinstance(message, Notice):
            events.append(message)

    def _on_event(self, slot: WorkerSlot, event: Event, events: list[ExecutorEvent]) -> None:
        job = slot.job
        if job is None or not closes(event, job):
            events.append(event)
        elif isinstance(event, Lost) and event.kind == "stopped" and not self._stopped:
            reason = f"worker {slot.index} was asked to leave (SIGTERM)"
            events.append(slot.lose_job(reason, "stopped"))
        else:
            events.append(slot.close_job(event))

    def _replace(
        self,
        slot: WorkerSlot,
        worker: Worker,
        ending: str,
        events: list[ExecutorEvent],
        *,
        hung: bool = False,
    ) -> None:
        """A worker has ended, or must: close its job, and see to the next one."""
        slot.end()
        if slot.job is not None and self._stopped:
            events.append(slot.lose_job(_STOPPED, "stopped"))
        elif slot.job is not None and worker.ready and not worker.leaving:
            events.append(slot.lose_job(f"worker {slot.index} {ending}", "hung" if hung else "died"))
        if self._stopped:
            slot.stay_empty()
        elif worker.setup_failed is not None:
            self._on_setup_failure(slot, worker.setup_failed)
        elif not worker.ready and not (hung or self._ever_ready or worker.was_killed):
            slot.park(WorkerError(slot.why_no_start(ending)))
        elif not worker.ready:
            slot.failed(f"worker {slot.index} {ending}" if hung else slot.why_no_start(ending))
            if hung and slot.reason is None:  # after minutes in which nothing was heard
                events.append(Notice(f"worker {slot.index} is started again: it {ending}", slot.index))

    def _on_setup_failure(self, slot: WorkerSlot, failure: SetupFailed) -> None:
        why = slot.with_log(failure.error)
        if failure.mistake:
            slot.start_error = TaskError(why)
            slot.retire(why)
        elif self._ever_ready:  # it can be set up elsewhere: here its memory may not be free yet, say
            slot.failed(why)
        else:
            slot.park(TaskError(why))

    def _replace_hung(self, events: list[ExecutorEvent]) -> None:
        for slot in self._slots:
            worker = slot.worker
            if worker is None or not self._hang_detector.is_suspect(worker):
                continue
            self._drain(slot, events)  # it may have written while the others were seen to
            if not self._hang_detector.is_suspect(worker):
                continue
            reason = self._hang_detector.why_hung(worker)
            if reason is None:
                continue
            worker.end()
            self._drain(slot, events)
            self._replace(slot, worker, reason, events, hung=True)

    def _start_those_due(self, events: list[ExecutorEvent]) -> None:
        if self._stopped:
            return
        may_fork, server = False, None
        if any(slot.waits for slot in self._slots) and (server := self._find_server()) is not None:
            ready = server.ready()
            if ready is None:
                return
            may_fork = ready
        for slot in self._slots:
            may, notice = slot.may_start()
            if notice is not None:
                events.append(notice)
            if may:
                self._start(slot, server if may_fork else None)

    def _handed_out(self, events: list[ExecutorEvent]) -> list[ExecutorEvent]:
        """What ``wait`` returns; if no slot is left, first all that has come from those that were.

        Raises:
            AshaError: no slot is left.
        """
        error = None if self._stopped else retirement.why_none_is_left(self._slots, self._ever_ready)
        if error is not None:
            others = [event for event in events if not retirement.is_part_of_one(event)]
            if not others:
                raise error
            # nothing seems to have ended until the next call raises
            self._pending = [event for event in events if retirement.is_part_of_one(event)]
            return others
        for slot in self._slots:
            slot.settling = False
            if slot.worker is not None:
                slot.worker.handed = slot.worker.received
        return events
