"""The worker: runs jobs, in its own process or (for debugging) in the engine's.

A worker process owns the read end of one pipe (jobs) and the write end of another (events); nobody
else holds either, so a worker that is killed can leave nothing behind but a closed pipe.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from asha_core.errors import AshaError, ConfigurationError, ReportError
from asha_core.messages import Event, Failed, Job, Refined, Report
from asha_core.runtime.results import RunDirectory
from trials.spec import TaskSpec
from trials.task import Task
from trials.trial import Trial
from warmstart.base import WarmStart, build

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


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
class Ready:
    """The worker can take jobs; ``seconds`` is what its set-up took."""

    pid: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker cannot be set up: the user's mistake, in one line."""

    error: str


class JobRunner:
    """Runs jobs of one search on one device.

    Args:
        settings: the search's. device: for torch.
        inline: not in a worker process, whose output goes to the trial's log anyway.
    """

    def __init__(self, settings: WorkerSettings, device: str, *, inline: bool = False) -> None:
        self._inline = inline
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

    def run(self, job: Job, send: Callable[[Event], None]) -> None:
        """Run one job to its end; every way out sends one closing event."""
        held: list[Report] = []

        def deliver(report: Report) -> None:
            # the last report closes the job, so it leaves only when the task has returned
            if report.resource == job.until:
                held.append(report)
            else:
                send(report)

        try:
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
            )
            self._task.run(trial)
            if not held:
                raise ReportError(
                    f"trial {job.trial} returned after unit {trial.done}, but its job ends at {job.until}: "
                    "loop over trial.units() and report every unit"
                )
        except (Exception, SystemExit) as error:
            if not (self._inline and isinstance(error, AshaError)):  # one line is enough on a terminal
                traceback.print_exc()
            if self._inline:  # its output is on the terminal, not in the trial's log
                log = self._directory.trial_log(job.trial)
                log.parent.mkdir(parents=True, exist_ok=True)
                with open(log, "a", encoding="utf-8") as file:
                    traceback.print_exc(file=file)
            text = str(error) if isinstance(error, AshaError) else f"{type(error).__name__}: {error}"
            kind = "setup" if isinstance(error, AshaError) else "error"
            if isinstance(error, ConfigurationError):
                kind = "invalid"
            send(Failed(job.trial, job.attempt, text, kind))
        else:
            send(held[0])

    def _refine(self, job: Job, warm_start: WarmStart, send: Callable[[Event], None]) -> Job:
        began = time.perf_counter()
        problem = self._task.problem(job.seed, self._device)
        outcome = warm_start.refine(problem, job.configuration, job.seed)
        configuration, diagnostics = outcome.configuration, outcome.diagnostics
        if not self._task.space.allows(configuration):
            configuration = job.configuration
            step = dict.fromkeys(diagnostics.get("step", {}), 0.0)
            diagnostics = {**diagnostics, "step": step, "note": "the constraints refuse the nudge: no nudge"}
        seconds = time.perf_counter() - began
        send(Refined(job.trial, configuration, seconds, diagnostics))
        return job._replace(configuration=configuration)


@contextlib.contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Everything that this process prints, C libraries included, goes to the end of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.close(target)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


def worker_log(results: Path, slot: int) -> Path:
    """Where a worker's output goes that belongs to no trial."""
    return results / "workers" / f"{slot}.log"


def main(settings: WorkerSettings, device: str, slot: int, jobs: Connection, events: Connection) -> None:
    """The worker process: set up, then job after job until the pipe closes."""
    began = time.perf_counter()
    os.setsid()  # Ctrl-C is the engine's to handle; and a kill takes the whole group along
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)  # the engine started this process without
    _leave_with_parent()
    results = Path(settings.results)
    with output_to(worker_log(results, slot)):
        try:
            runner = JobRunner(settings, device)
        except AshaError as error:
            events.send(Broken(str(error)))
            return
        except Exception as error:
            traceback.print_exc()
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}, line {place.lineno}"
            events.send(Broken(f"the task cannot be set up: {type(error).__name__}: {error} ({where})"))
            return
        events.send(Ready(os.getpid(), time.perf_counter() - began))
        directory = RunDirectory(results)
        while (job := _next(jobs)) is not None:
            with output_to(directory.trial_log(job.trial)):
                runner.run(job, events.send)


def _next(jobs: Connection) -> Job | None:
    try:
        job: Job | None = jobs.recv()
    except EOFError:  # the engine is gone
        return None
    return job


def _leave_with_parent() -> None:
    """Kill this worker and its children as soon as the engine is gone, however busy training is."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="leave-with-parent", daemon=True).start()
