"""Whole searches in no time: what the suites share that drive a scheduler."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from asha_core.messages import Event, Failed, Finished, Job, Lost, Refined, Rejected, Report, Retried, Verdict
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Status
from asha_core.searchers.base import TrialView
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Float, Int, SearchSpace

SPACE = SearchSpace({"x": Float(1e-3, 1.0, log=True), "n": Int(1, 9), "c": Choice(["a", "b"])})

_MOST_JOBS = 20_000

Value = Callable[[int, int], float]  # of (trial, unit)
Pick = Callable[[int], int]  # which of so many running jobs ends next
Step = tuple[int, int, int]  # (trial, start, until) of a job


class Few(RandomSearch):
    """Random search with an end."""

    def __init__(self, size: int, seed: int = 0, space: SearchSpace = SPACE) -> None:
        super().__init__(space, seed)
        self.size = size


class Listener(RandomSearch):
    """Random search that keeps what it hears.

    Attributes:
        heard: (trial, resource, loss).
    """

    def __init__(self, space: SearchSpace = SPACE, seed: int = 0) -> None:
        super().__init__(space, seed)
        self.heard: list[tuple[int, int, float]] = []

    def observe(self, trial: TrialView, resource: int, loss: float) -> None:
        """Keep it."""
        self.heard.append((trial.id, resource, loss))


def tell(scheduler: Scheduler, job: Job, value: float, resource: int | None = None) -> Verdict:
    """Report one value, at the end of the job if nothing else is said."""
    return scheduler.tell(Report(job.trial, job.attempt, resource or job.until, value, 1.0))


def asked(scheduler: Scheduler) -> Job:
    """The next job, which there must be."""
    job = scheduler.ask()
    assert job is not None, "the scheduler has no job to give"
    return job


def drive(
    scheduler: Scheduler,
    value: Value,
    workers: int = 1,
    pick: Pick = lambda n: 0,
    every_unit: bool = False,
) -> list[Step]:
    """Run a search to its end, and return its jobs.

    Args:
        every_unit: report each unit, and not the last one of each job alone.
    """
    jobs: list[Step] = []
    running: list[Job] = []
    while True:
        while len(running) < workers and (job := scheduler.ask()) is not None:
            assert len(jobs) < _MOST_JOBS, "it does not end"
            jobs.append((job.trial, job.start, job.until))
            running.append(job)
        if not running:
            return jobs
        job = running.pop(pick(len(running)))
        for unit in range(job.start + 1 if every_unit else job.until, job.until + 1):
            tell(scheduler, job, value(job.trial, unit), unit)


def troubled(scheduler: Scheduler, seed: int, workers: int = 4) -> list[Job | Event]:
    """Run a search in which trials fail, vanish, diverge, finish early and are tried again.

    Returns:
        Its jobs and events, in their order: what a journal keeps of it.
    """
    luck = random.Random(seed)
    history: list[Job | Event] = []
    running: list[Job] = []
    while True:
        while len(running) < workers and (job := scheduler.ask()) is not None:
            assert len(history) < _MOST_JOBS, "it does not end"
            history.append(job)
            running.append(job)
        if not running:
            return history
        events = trouble(running.pop(luck.randrange(len(running))), luck, scheduler.space)
        failed = [trial.id for trial in scheduler.trials if trial.status == Status.FAILED]
        if failed and luck.random() < 0.1:
            events.append(Retried(failed[0]))
        for event in events:
            history.append(event)
            scheduler.tell(event)


def trouble(job: Job, luck: random.Random, space: SearchSpace) -> list[Event]:
    """What comes of a job: a report at each unit; in one case of four another end."""
    trial, attempt, kind = job.trial, job.attempt, luck.random()
    reports: list[Event] = [
        Report(
            trial, attempt, unit, luck.choice([luck.random(), luck.random(), 0.5, math.nan, math.inf]), 1.0
        )
        for unit in range(job.start + 1, job.until + 1)
    ]
    if kind < 0.06:
        return [*reports[:-1], Failed(trial, attempt, "ValueError: no luck")]
    if kind < 0.12:
        return [*reports[:-1], Lost(trial, attempt, "killed by signal 9")]
    if kind < 0.18:
        return [*reports[:-1], Finished(trial, attempt, job.until), reports[-1]]
    if kind < 0.24 and job.start == 0:
        return [Refined(trial, space.from_unit([0.5] * len(space)), 0.1), *reports]
    if kind < 0.28 and job.start == 0:
        return [Rejected(trial, "diverges")]
    return reports


def repeat(scheduler: Scheduler, history: list[Job | Event]) -> list[Any]:
    """Ask and tell a fresh scheduler what another one was: as a resumed search does.

    Returns:
        Its jobs and verdicts.
    """
    answers: list[Any] = []
    for what in history:
        if isinstance(what, Job):
            job = scheduler.ask()
            assert job == what, f"the journal has the job {what}, and the scheduler gives {job}"
            answers.append(job)
        else:
            answers.append(scheduler.tell(what))
    return answers
