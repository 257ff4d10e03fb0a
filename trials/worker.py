"""The worker: runs jobs, in its own process or (for debugging) in the engine's.

A worker process owns the read end of one pipe (jobs) and the write end of another (events); nobody
else holds either, so a worker that is killed can leave nothing behind but a closed pipe.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from asha_core.errors import AshaError, ReportError, TaskError
from asha_core.messages import Event, Failed, Job, Lost, Refined, Report
from asha_core.runtime.executor import Notice
from asha_core.runtime.records import to_json
from asha_core.runtime.results import RunDirectory
from trials import memory, processes
from trials.failures import closing_event
from trials.heartbeat import Outbox, start_beating
from trials.ledger import Ledger
from trials.output import output_to, worker_log
from trials.spec import TaskSpec
from trials.task import Task
from trials.trial import JobStopped, Trial
from warmstart.base import WarmStart, build

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, in <linux/prctl.h>

Send = Callable[[Event | Notice], None]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What every worker of a search is told once, when it starts.

    task: how to build it, or the task itself. warm_start: name of the strategy, and its settings.
    results: the results directory. max_resource: units of a complete trial.
    """

    task: TaskSpec | Task
    results: str
    max_resource: int
    warm_start: str = "none"
    warm_start_settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where one worker runs.

    slot: its number. device: for torch. token: of the search (``trials.processes``).
    dies_with_parent: the system may kill it when the thread that started it ends.
    """

    slot: int
    device: str
    token: str
    dies_with_parent: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker can take jobs; ``seconds`` is what its set-up took."""

    pid: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker cannot be set up; ``mistake``: by the user's mistake, which trying again does not mend."""

    error: str
    mistake: bool


@dataclass(frozen=True, slots=True)
class Leaving:
    """The worker was asked to leave, and does so; a job that it has not closed did not begin."""


class JobRunner:
    """Runs jobs of one search on one device.

    Args:
        settings: the search's. device: for torch. slot: its number.
        inline: not in a worker process, whose output goes to the trial's log anyway.
        stopping: asked before each unit; once it is true, the job is closed as soon as it can go on later.
        settle: returns when all reports so far are journalled.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        device: str,
        *,
        slot: int | None = None,
        inline: bool = False,
        stopping: Callable[[], bool] = lambda: False,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self._settle = settle
        self._inline = inline
        self._stopping = stopping
        self._slot = slot
        self._directory = RunDirectory(Path(settings.results))
        self._device = device
        self._max_resource = settings.max_resource
        task = settings.task
        self._task: Task = task.build() if isinstance(task, TaskSpec) else task
        self._origin = self._task.describe()
        self._warm_start: WarmStart | None = (
            None
            if settings.warm_start == "none"
            else build(settings.warm_start, settings.warm_start_settings)
        )
        self._task.setup(device)

    def run(self, job: Job, send: Send) -> bool:
        """Run one job to its end; every way out sends one closing event.

        Returns:
            Whether this process can run another: not after an error that its GPU does not forget.
        """
        closing = self._outcome(job, send)
        # the exception is gone, and with it the frames that held tensors: free them before the next job comes
        if isinstance(closing, Failed) and closing.kind == "oom":
            memory.collect()
        memory.release_gpu()
        works = not isinstance(closing, Failed) or memory.gpu_works()
        send(closing)
        return works

    def _outcome(self, job: Job, send: Send) -> Event:
        """Train, and say how it ended."""
        held: list[Report] = []
        try:
            return self._train(job, send, held)
        except JobStopped:
            # a last report that was made counts, whatever came between it and the end
            return held[0] if held else Lost(job.trial, job.attempt, "the search was stopped", "stopped")
        except BaseException as error:
            if self._inline and not isinstance(error, Exception | SystemExit):
                raise  # Ctrl-C, which is for the engine
            self._log(job, error)
            return closing_event(job, error)

    def _train(self, job: Job, send: Send, held: list[Report]) -> Report:
        def deliver(report: Report) -> None:
            # the last report closes the job, so it leaves only when the task has returned
            if report.resource == job.until:
                held.append(report)
            else:
                send(report)

        if job.refine and self._warm_start is not None:
            job = self._refine(job, self._warm_start, send)
        trial = Trial(
            job,
            mode=self._task.mode,
            max_resource=self._max_resource,
            device=self._device,
            checkpoint=lambda kind: self._directory.trial_checkpoint(job.trial, kind),
            task=self._origin,
            send=deliver,
            stopping=self._stopping,
            settle=self._settle,
            notice=lambda text: send(Notice(text, self._slot, job.trial)),
        )
        self._task.run(trial)
        if not held:
            raise ReportError(
                f"trial {job.trial} returned after unit {trial.done}, but its job ends at {job.until}: "
                "loop over trial.units() and report every unit"
            )
        return held[0]

    def _log(self, job: Job, error: BaseException) -> None:
        """The traceback, where people look for it; a disk that is full must not make things worse."""
        with suppress(Exception):
            if not (self._inline and isinstance(error, AshaError)):  # one line is enough on a terminal
                traceback.print_exception(error)
        if self._inline:  # its output is on the terminal, not in the trial's log
            with suppress(Exception):
                log = self._directory.trial_log(job.trial)
                log.parent.mkdir(parents=True, exist_ok=True)
                with open(log, "a", encoding="utf-8", errors="backslashreplace") as file:
                    traceback.print_exception(error, file=file)

    def _refine(self, job: Job, warm_start: WarmStart, send: Send) -> Job:
        began = time.perf_counter()
        problem = self._task.problem(job.seed, self._device)
        outcome = warm_start.refine(problem, job.configuration, job.seed)
        configuration, diagnostics = outcome.configuration, outcome.diagnostics
        _check_jsonable(warm_start.name, "configuration", configuration)
        _check_jsonable(warm_start.name, "diagnostics", diagnostics)
        if not self._task.space.allows(configuration):
            configuration = job.configuration
            step = dict.fromkeys(diagnostics.get("step", {}), 0.0)
            diagnostics = {**diagnostics, "step": step, "note": "the constraints refuse the nudge: no nudge"}
        seconds = time.perf_counter() - began
        send(Refined(job.trial, configuration, seconds, diagnostics))
        return job._replace(configuration=configuration)


def _check_jsonable(strategy: str, what: str, values: Mapping[str, Any]) -> None:
    """Raise ``TaskError`` for what the journal could not keep: the engine must never meet it."""
    for key, value in values.items():
        try:
            to_json({key: value}).encode()
        except Exception as error:  # TypeError, RecursionError, UnicodeEncodeError
            raise TaskError(
                f"warm start {strategy!r}: {what}[{key!r}] is of type {type(value).__name__}, which JSON "
                f"cannot hold ({type(error).__name__}): give plain numbers, text, lists and mappings of them"
            ) from None


class _StopRequest:
    """SIGTERM: the worker finishes the unit that it trains, and leaves; an idle one leaves at once.

    Attributes:
        pipe: becomes readable; for a wait that a signal handler alone does not end.
    """

    def __init__(self) -> None:
        self._asked = False
        self.pipe, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)

    def listen(self) -> None:
        """From now on; before, SIGTERM ends the process as it ends any."""
        signal.signal(signal.SIGTERM, self._on_signal)
        # torch ends the processes of its data loaders with SIGTERM: they must not inherit our patience
        os.register_at_fork(after_in_child=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL))

    def _on_signal(self, number: int, frame: Any) -> None:
        self._asked = True
        with suppress(BlockingIOError):  # full of signals; one is enough
            os.write(self._write_end, b".")

    def __call__(self) -> bool:
        return self._asked


def main(
    settings: WorkerSettings, place: Place, jobs: Connection, events: Connection, ledger: Ledger
) -> None:
    """The worker process: set up, then job after job until the pipe closes."""
    began = time.perf_counter()
    outbox = Outbox(events)
    start_beating(outbox)
    os.setsid()  # Ctrl-C is the engine's to handle; and a kill takes the whole group along
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until there is something to finish
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)  # the engine started this process without
    _leave_with_parent(place)
    results = Path(settings.results)
    broken: Broken | None = None
    with output_to(worker_log(results, place.slot)):
        try:
            stop = _StopRequest()
            runner = JobRunner(
                settings,
                place.device,
                slot=place.slot,
                stopping=stop,
                settle=lambda: ledger.wait_for(outbox.reports),
            )
        except AshaError as error:
            broken = Broken(str(error), mistake=True)
        except Exception as error:
            broken = Broken(_why_broken(error), mistake=False)
        else:
            stop.listen()
            outbox.send(Ready(os.getpid(), time.perf_counter() - began))
            _work(runner, RunDirectory(results), jobs, outbox, stop)
    if broken is not None:  # after the log is complete: the engine ends this process when it hears of it
        outbox.send(broken)


def _work(
    runner: JobRunner, directory: RunDirectory, jobs: Connection, outbox: Outbox, stop: _StopRequest
) -> None:
    while not stop():
        wait([jobs, stop.pipe])
        if stop():
            break
        job = _next(jobs)
        if job is None:
            return
        with output_to(directory.trial_log(job.trial)):
            if not runner.run(job, outbox.send):
                break
    outbox.send(Leaving())


def _next(jobs: Connection) -> Job | None:
    try:
        job: Job | None = jobs.recv()
    except EOFError:  # the engine is gone
        return None
    return job


def _why_broken(error: Exception) -> str:
    with suppress(OSError):
        traceback.print_exception(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}"
    return f"the task cannot be set up: {type(error).__name__}: {error} ({where})"


def _leave_with_parent(place: Place) -> None:
    """Kill this worker and all that the search has started as soon as the engine is gone.

    However busy training is: a thread waits for the engine's end. Where the engine has a guard to see to the
    children, the system is asked, too, which also ends a worker that is stopped or starves its threads.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        processes.end_marked(place.token, but={os.getpid()})
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="leave-with-parent", daemon=True).start()
    if place.dies_with_parent and sys.platform == "linux":
        with suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent.pid:  # it was gone before that
            os.killpg(0, signal.SIGKILL)
