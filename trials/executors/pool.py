"""Jobs in persistent worker processes, one a slot, each pinned to its device.

Each worker has two one-way pipes of its own: jobs down, events up. A pipe has exactly one writer and
one reader, and the engine closes its copy of the far ends, so a worker that dies, even in the middle
of a message, leaves an end of file and not a held lock. (``multiprocessing.Queue`` adds a feeder thread,
locks, and keeps the far end open: a torn message would block its reader for ever.)
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from asha_core.errors import TaskError, WorkerError
from asha_core.messages import Event, Failed, Job, Lost, Rejected, Report
from asha_core.runtime.executor import ExecutorEvent, WorkerReady
from trials.devices import Slot
from trials.worker import INTERRUPTS, Broken, Ready, WorkerSettings, main, worker_log

_START_TRIES = 2
_EXIT_SECONDS = 2.0


class _Worker:
    """The engine's side of one worker process."""

    def __init__(self, settings: WorkerSettings, slot: Slot, index: int) -> None:
        context = multiprocessing.get_context("spawn")
        jobs_far, self.jobs = context.Pipe(duplex=False)
        self.events, events_far = context.Pipe(duplex=False)
        self.ready = False
        self.job: Job | None = None
        self.process: SpawnProcess = context.Process(
            target=main,
            args=(settings, slot.device, index, jobs_far, events_far),
            name=f"asha-worker-{index}",
            daemon=False,  # a daemon may not have children, and data loaders have
        )
        with _environment(slot.environment):
            try:
                self.process.start()
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                raise WorkerError(
                    f"the task cannot be sent to worker processes ({error}): define it at the top level of a "
                    'module, with arguments that pickle; or run it here, with gpus="inline"'
                ) from error
        jobs_far.close()
        events_far.close()

    def submit(self, job: Job) -> None:
        self.job = job
        with suppress(OSError):  # it died a moment ago: wait() will find out
            self.jobs.send(job)

    def kill(self) -> None:
        """End the process and its whole group, at once; also what a dead one left of its group."""
        if self.process.exitcode is None:
            self.process.kill()  # it may not have a group of its own yet
        assert self.process.pid is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join()

    def forget(self) -> None:
        """Close the engine's ends of the pipes."""
        self.jobs.close()
        self.events.close()


class ProcessPool:
    """Worker processes behind the executor contract.

    Args:
        settings: what every worker is told.
        slots: one worker each.
    Raises (from ``wait``):
        WorkerError: a worker cannot be started. TaskError: the task cannot be set up there.
    """

    def __init__(self, settings: WorkerSettings, slots: Sequence[Slot]) -> None:
        self._settings = settings
        self._slots = slots
        self._failed_starts = [0] * len(slots)
        self._workers: list[_Worker] = []
        try:
            for index, slot in enumerate(slots):
                with _no_interrupts():
                    self._workers.append(_Worker(settings, slot, index))
        except BaseException:
            self.close()
            raise

    @property
    def devices(self) -> Sequence[str]:
        """The label of each slot's device."""
        return [slot.label for slot in self._slots]

    def free(self) -> Sequence[int]:
        """Slots without a job. A worker that is still starting takes its first job from the pipe."""
        return [index for index, worker in enumerate(self._workers) if worker.job is None]

    def submit(self, job: Job, slot: int) -> None:
        """Send a job to a free slot's worker."""
        worker = self._workers[slot]
        if worker.job is not None:
            raise ValueError(f"slot {slot} is not free: it runs trial {worker.job.trial}")
        worker.submit(job)

    def wait(self, timeout: float) -> list[ExecutorEvent]:
        """Events from all workers; a dead worker is replaced, and its job becomes ``Lost``."""
        sources: dict[Connection | int, int] = {}
        for index, worker in enumerate(self._workers):
            sources[worker.events] = index
            sources[worker.process.sentinel] = index
        answered = {sources[source] for source in wait(list(sources), timeout)}  # type: ignore[index]
        events: list[ExecutorEvent] = []
        for index, worker in enumerate(self._workers):
            # not by its answer alone: a forked child of a dead worker holds its pipes and sentinel open
            dead = not worker.process.is_alive()
            if dead:
                worker.kill()  # the children; then the pipe has an end
            if not (dead or index in answered):
                continue
            # a worker found dead has sent all that it ever will
            closed = self._drain(index, worker, events)
            if dead or closed:
                events += self._replace(index, worker)
        return events

    def _drain(self, index: int, worker: _Worker, events: list[ExecutorEvent]) -> bool:
        """Take in what a worker sent; True if its pipe is closed."""
        try:
            while worker.events.poll():
                message = worker.events.recv()
                if isinstance(message, Ready):
                    worker.ready = True
                    self._failed_starts[index] = 0
                    device = self._slots[index].label
                    events.append(WorkerReady(index, message.pid, device, message.seconds))
                elif isinstance(message, Broken):
                    raise TaskError(message.error)
                else:
                    events.append(message)
                    if worker.job is not None and _closes(message, worker.job):
                        worker.job = None
        except (EOFError, OSError):
            return True
        return False

    def _replace(self, index: int, worker: _Worker) -> list[ExecutorEvent]:
        worker.kill()
        worker.forget()
        job, code = worker.job, worker.process.exitcode
        if not worker.ready:
            self._failed_starts[index] += 1
            if self._failed_starts[index] >= _START_TRIES:
                raise WorkerError(self._why_no_start(index, code))
        with _no_interrupts():
            fresh = self._workers[index] = _Worker(self._settings, self._slots[index], index)
        if job is None:
            return []
        if not worker.ready:  # the job had not begun
            fresh.submit(job)
            return []
        return [Lost(job.trial, job.attempt, f"worker {index} {_ending(code)}")]

    def _why_no_start(self, index: int, code: int | None) -> str:
        log = worker_log(Path(self._settings.results), index)
        if not log.exists():  # it died before its own first line
            return (
                f"worker {index} {_ending(code)} while starting: a script that calls tune() must do so "
                'under `if __name__ == "__main__":`, and the function it tunes must be importable (not '
                "defined in a notebook or in python -c)"
            )
        lines = log.read_text(errors="replace").strip().splitlines()
        return f"worker {index} {_ending(code)} while starting" + (f": {lines[-1]}" if lines else "")

    def close(self) -> None:
        """End every worker: busy ones are killed with their children, idle ones are asked to leave."""
        idle = []
        for worker in self._workers:
            if worker.job is not None:
                worker.kill()
            else:
                idle.append(worker)
                with suppress(OSError):
                    worker.jobs.send(None)
        patience = time.monotonic() + _EXIT_SECONDS
        for worker in idle:
            worker.process.join(max(patience - time.monotonic(), 0.0))
            worker.kill()
        for worker in self._workers:
            worker.forget()
        self._workers.clear()


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM: a worker is started and known, or neither.

    The new process inherits the mask, so that Ctrl-C does not reach it while it imports; ``main`` lifts it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _closes(event: Event, job: Job) -> bool:
    """Whether ``event`` is the last one of ``job``."""
    if isinstance(event, Report):
        return event.resource >= job.until
    return isinstance(event, Failed | Rejected)


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"exited with status {code}"


_ENVIRONMENT_LOCK = threading.Lock()


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """``os.environ`` with ``changes``, for a process that starts inside."""
    with _ENVIRONMENT_LOCK:
        before = {name: os.environ.get(name) for name in changes}
        os.environ.update(changes)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
