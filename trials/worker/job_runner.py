"""Runs jobs of one search on one device, whoever's process it is."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asha_core.errors import AshaError, ReportError, TaskError
from asha_core.messages import EARLIER, Event, Failed, Finished, Job, Refined, Report
from asha_core.runtime.executor import Notice
from asha_core.runtime.storage.records import json_values, to_json
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.space import as_kept, stored
from asha_core.streams import stream_seed
from trials.checkpoints.writer import Writer
from trials.costs.meter import Costs, MemoryPeaks
from trials.spec import TaskSpec
from trials.task import Task
from trials.trial import JobStopped, Trial
from trials.worker import memory
from trials.worker.failures import closing_event, stopped
from trials.worker.output import not_through_links
from trials.worker.process_state import SetOnce, restored
from warmstart.base import Outcome, Problem, WarmStart, accepted, acts, refined_by
from warmstart.hints import new_hints
from warmstart.registry import build

Send = Callable[[Event | Notice], None]

_LEARNED = 4096  # characters of JSON that one trial may leave to later ones


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What every worker of a search is told once, when it starts.

    Attributes:
        task: how to build it, or the task itself.
        results: the results directory.
        max_resource: units of a complete trial.
        warm_start: name of the strategy.
        warm_start_settings: its settings.
    """

    task: TaskSpec | Task
    results: str
    max_resource: int
    warm_start: str = "none"
    warm_start_settings: dict[str, Any] = field(default_factory=dict)


class JobRunner:
    """Runs jobs of one search on one device.

    Args:
        settings: the search's.
        device: for torch.
        slot: its number.
        inline: not in a worker process, whose output goes to the trial's log anyway.
        stopping: asked before each unit; once it is true, the job is closed as soon as it can go on later.
        wait_until_journalled: returns when all reports so far are journalled.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        device: str,
        *,
        slot: int | None = None,
        inline: bool = False,
        stopping: Callable[[], bool] = lambda: False,
        wait_until_journalled: Callable[[], None] = lambda: None,
    ) -> None:
        self._wait_until_journalled = wait_until_journalled
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
        self._hinted: set[Hashable] = set()  # of one task, and so about one thing
        self._set_once = SetOnce()
        self._peaks = MemoryPeaks(device)
        self._counted: dict[str, Any] = {}  # of the warm start's arithmetic
        self._task.setup(device)

    def run(self, job: Job, send: Send) -> bool:
        """Run one job to its end; every way out sends one closing event.

        Returns:
            Whether this process can run another: not after an error that its GPU does not forget.
        """
        job = job._replace(configuration=self._task.space.restored(job.configuration))
        closing = self._outcome(job, send)
        # the exception is gone, and with it the frames that held tensors: free them before the next job comes
        if isinstance(closing, Failed) and closing.kind == "oom":
            gc.collect()
        memory.release_gpu()
        works = not isinstance(closing, Failed) or memory.gpu_works()
        send(closing)
        return works

    def _outcome(self, job: Job, send: Send) -> Event:
        """Train, and say how it ended."""
        held: list[Report] = []
        try:
            with restored() as changed:
                closing = self._train(job, send, held)
            for text in self._set_once.on_job(changed):
                send(Notice(text, self._slot, job.trial, once=True))
            return closing
        except BaseException as error:
            if self._inline and not isinstance(error, Exception | SystemExit | JobStopped):
                raise  # Ctrl-C, which is for the engine
            if not isinstance(error, JobStopped):
                self._log(job, error)
                if not self._stopping():
                    return closing_event(job, error)
            # a last report that was made counts, whatever came between it and the end
            return held[0] if held else stopped(job, error)

    def _train(self, job: Job, send: Send, held: list[Report]) -> Report | Finished:
        def deliver(report: Report) -> None:
            # the last report closes the job, so it leaves only when the task has returned
            if report.resource == job.until:
                held.append(report)
            else:
                # the first unit is over when the second is: much is read after trial.report(value)
                send(self._telling(report, trial) if report.resource == 2 else report)

        if job.refine and self._warm_start and acts(self._warm_start, promoted=job.start > 0):
            job = self._refine(job, self._warm_start, send)
        self._peaks.begin()
        trial = self._trial(
            job,
            send=deliver,
            stopping=self._stopping,
            wait_until_journalled=self._wait_until_journalled,
            notice=lambda text: send(Notice(text, self._slot, job.trial)),
            # inline, what is sent is journalled by the engine, whose thread this is
            writer=Writer(beside=not self._inline),
            costs=Costs(self._peaks),
        )
        try:
            self._task.run(trial)
        finally:  # what it saved and reported counts, however it ended
            trial.finish()
            held[:] = [self._telling(report, trial) for report in held]
        if trial.stopped_early:
            finished = _finished(job, trial.done)
            if not held:
                return finished
            send(finished)  # the report that closes the job follows
        if not held:
            raise ReportError(
                f"trial {job.trial} returned after unit {trial.done}, but its job ends at {job.until}: "
                "loop over trial.units() and report every unit, or call trial.stop_early() if it has "
                "converged"
            )
        return held[0]

    def _trial(self, job: Job, **more: Any) -> Trial:
        return Trial(
            job,
            mode=self._task.mode,
            max_resource=self._max_resource,
            device=self._device,
            checkpoint=lambda kind: self._directory.trial_checkpoint(job.trial, kind),
            task=self._origin,
            **more,
        )

    def _telling(self, report: Report, trial: Trial) -> Report:
        """The report; if the trial was begun here, with what of its configuration nothing has read."""
        if trial.resumed:
            return report
        # what decides whether others exist acts through these, whoever reads it
        deciding = {parent for parents in self._task.space.conditions.values() for parent in parents}
        return report._replace(unread=tuple(name for name in trial.config.unread if name not in deciding))

    def _log(self, job: Job, error: BaseException) -> None:
        """The traceback, where people look for it; a disk that is full must not make things worse."""
        with suppress(Exception):
            if not (self._inline and isinstance(error, AshaError)):  # one line is enough on a terminal
                traceback.print_exception(error)
        if self._inline:  # its output is on the terminal, not in the trial's log
            with suppress(Exception):
                log = self._directory.trial_log(job.trial)
                log.parent.mkdir(exist_ok=True)
                with open(
                    log, "a", encoding="utf-8", errors="backslashreplace", opener=not_through_links
                ) as file:
                    traceback.print_exception(error, file=file)

    def _refine(self, job: Job, warm_start: WarmStart, send: Send) -> Job:
        self._peaks.begin()
        began = time.perf_counter()
        seed = stream_seed(job.seed, "promotion", job.start) if job.start else job.seed
        problem = self._problem(job)
        with _counting(problem, self._counted) as flops:
            # as a journal gives it again; and of a copy a strategy may do what it likes with it
            earlier = json_values(job.earlier)
            given = (
                _left_alone(warm_start, job)
                if problem is None
                else refined_by(warm_start, problem, job.configuration, seed, earlier)
            )
        outcome = accepted(warm_start.name, self._task.space, job.configuration, given)
        configuration, diagnostics = outcome.configuration, outcome.diagnostics
        _check_jsonable(warm_start.name, "configuration", stored(configuration))
        _check_jsonable(warm_start.name, "diagnostics", diagnostics)
        _check_small(warm_start.name, diagnostics.get("learned"))
        for hint in new_hints(diagnostics, self._hinted, problem=problem):
            send(Notice(hint, self._slot, job.trial, once=True))
        seconds = time.perf_counter() - began
        operations = flops(diagnostics)
        costs = {} if operations is None else {"flops": operations}
        costs |= {**_spent(problem), **self._peaks()}
        send(Refined(job.trial, as_kept(configuration), seconds, diagnostics, costs, job.start))
        return job._replace(configuration=configuration)

    def _problem(self, job: Job) -> Problem | None:
        """What a warm start may look at: of a promoted trial, from its checkpoint; None: that is gone."""
        if not job.start:
            return self._task.problem(job.seed, self._device)
        # what is wrong with a checkpoint the trial itself will tell
        trial = self._trial(job, send=lambda report: None, notice=lambda text: None)
        state = trial.resume_from()
        if trial.done < job.start:
            return None
        return self._task.promoted_problem(trial, state)


def _left_alone(warm_start: WarmStart, job: Job) -> Outcome:
    """What becomes of a promoted trial that begins anew."""
    note = f"the checkpoint of unit {job.start} is gone: no nudge"
    return Outcome(job.configuration, {"strategy": warm_start.name, "step": {}, "note": note})


def _finished(job: Job, done: int) -> Finished:
    """The event of a trial that stopped early, after ``done`` units of those that it was asked for."""
    resource = max(done, job.start)  # one that restarted from an older checkpoint reported more before
    if resource == 0:
        raise ReportError(
            f"trial {job.trial} stopped early before its first trial.report(value): there is no value to keep"
        )
    return Finished(job.trial, job.attempt, resource)


def _counting(
    problem: Problem | None, known: dict[str, Any]
) -> AbstractContextManager[Callable[[Mapping[str, Any]], float | None]]:
    """Counts the operations of a refinement, if the problem can; see ``TrainingProblem.counting``."""
    counting = getattr(problem, "counting", None)
    return nullcontext(lambda diagnostics: None) if counting is None else counting(known)


def _spent(problem: Problem | None) -> Mapping[str, float]:
    """What else a refinement has cost, by name, if the problem counts it; see ``PpoProblem.spent``."""
    spent: Callable[[], Mapping[str, float]] | None = getattr(problem, "spent", None)
    return {} if spent is None else spent()


def _check_small(strategy: str, learned: Any) -> None:
    """Raise ``TaskError`` for more than a job should carry many times."""
    size = len(to_json(learned))
    if size > _LEARNED:
        raise TaskError(
            f"warm start {strategy!r}: diagnostics['learned'] is {size:,} characters of JSON: give at most "
            f"{_LEARNED:,}, such as a number for each dimension: each new trial is told of {EARLIER} "
            "others"
        )


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
