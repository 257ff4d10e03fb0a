"""The worker process: set-up, jobs from one pipe, events to another, and its end.

A worker process owns the read end of one pipe (jobs) and the write end of another (events); nobody
else holds either, so a worker that is killed can leave nothing behind but a closed pipe.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from asha_core.errors import AshaError
from asha_core.messages import Job
from asha_core.runtime.interrupts import INTERRUPTS, Arrivals
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.runtime.terminal.streams import UNUSABLE
from trials.worker import processes
from trials.worker.entrance import Entrance
from trials.worker.heartbeat import EventSender, start_heartbeat
from trials.worker.job_runner import JobRunner
from trials.worker.journalled_count import JournalledCount
from trials.worker.output import output_to, print_utf8, worker_log
from trials.worker.parcel import Sent

_FAMILY_SECONDS = 10.0  # that the end of a worker's family may take


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """What one worker is told about itself.

    Attributes:
        slot: its number.
        device: for torch.
        token: of the search (``trials.worker.processes``).
        server: the process that it is forked from; None: the engine starts it.
        dies_with_parent: the system may kill it when the thread that started it ends.
    """

    slot: int
    device: str
    token: str
    dies_with_parent: bool = False
    server: int | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker's message: it can take jobs; ``seconds`` is what its set-up took."""

    pid: int
    seconds: float


@dataclass(frozen=True, slots=True)
class SetupFailed:
    """A worker's message: the task cannot be set up there.

    Attributes:
        error: why.
        mistake: it is the user's, which trying again does not mend.
    """

    error: str
    mistake: bool


@dataclass(frozen=True, slots=True)
class Leaving:
    """A worker's message: it was asked to leave, and does so; a job that it has not closed did not begin."""


class _StopRequest:
    """SIGTERM: the worker finishes the unit that it trains, and leaves; an idle one leaves at once.

    It is heard though a task, or a library in it, has its own handler.

    Attributes:
        pipe: becomes readable; for a wait that a signal handler alone does not end.
    """

    def __init__(self) -> None:
        self._asked = False
        self._arrivals = Arrivals()
        self.pipe = self._arrivals.pipe

    def listen(self) -> None:
        """From now on; before, SIGTERM ends the process as it ends any."""
        self._arrivals.listen()
        signal.signal(signal.SIGTERM, self._on_signal)
        # torch ends the processes of its data loaders with SIGTERM: they must not inherit our patience
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))

    def _on_signal(self, number: int, frame: Any) -> None:
        self._asked = True

    def __call__(self) -> bool:
        return self._asked or self._arrivals()


def main(
    entrance: Entrance,
    sent: Sent,
    identity: WorkerIdentity,
    jobs: Connection,
    events: Connection,
    journalled: JournalledCount,
) -> None:
    """The worker process: set up, then job after job until the pipe closes."""
    began = time.perf_counter()
    entrance.enter()
    sender = EventSender(events)
    os.setsid()  # Ctrl-C is the engine's to handle; and a kill takes the whole group along
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until there is something to finish
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)  # the engine started this process without
    watcher = _leave_with_parent(identity)
    results = Path(sent.results)
    failed: SetupFailed | None = None
    print_utf8()
    with output_to(worker_log(results, identity.slot)):
        try:
            settings = sent.settings()
            start_heartbeat(sender)
            stop = _StopRequest()
            runner = JobRunner(
                settings,
                identity.device,
                slot=identity.slot,
                stopping=stop,
                wait_until_journalled=lambda: journalled.wait_for(sender.reports),
            )
        except AshaError as error:
            if error.__cause__ is not None:
                _log(error)
            failed = SetupFailed(str(error), mistake=True)
        except (Exception, SystemExit) as error:
            _log(error)
            failed = SetupFailed(_why_set_up_failed(error), mistake=False)
        else:
            stop.listen()
            try:
                sender.send(Ready(os.getpid(), time.perf_counter() - began))
                _work(runner, RunDirectory(results), jobs, sender, stop)
            except (EOFError, BrokenPipeError):  # the engine is gone
                watcher.join(_FAMILY_SECONDS)  # which ends this process, too
    if failed is not None:  # after the log is complete: the engine ends this process when it hears of it
        sender.send(failed)


def _work(
    runner: JobRunner, directory: RunDirectory, jobs: Connection, sender: EventSender, stop: _StopRequest
) -> None:
    while not stop():
        if jobs not in wait([jobs, stop.pipe]):  # some signal came
            continue
        if stop():
            break
        job: Job | None = jobs.recv()
        if job is None:
            return
        with output_to(directory.trial_log(job.trial)):
            if not runner.run(job, sender.send):
                break
    sender.send(Leaving())


def _log(error: BaseException) -> None:
    with suppress(*UNUSABLE):
        traceback.print_exception(error)


def _why_set_up_failed(error: BaseException) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}"
    return f"the task cannot be set up: {type(error).__name__}: {error} ({where})"


def _leave_with_parent(identity: WorkerIdentity) -> threading.Thread:
    """Kill this worker and all that the search has started as soon as the engine is gone.

    However busy training is: a thread, which is returned, waits for the engine's end. Where the engine has a
    reaper to see to the children, the system is asked, too, which also ends a worker that is stopped or
    starves its threads.
    """
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        processes.end_with_search(identity.token)

    thread = threading.Thread(target=watch, name="leave-with-parent", daemon=True)
    thread.start()
    if identity.dies_with_parent:
        processes.die_with_parent()
        if os.getppid() not in {parent.pid, identity.server}:  # it was gone before that
            os.killpg(0, signal.SIGKILL)
    return thread
