"""What the tests of all schedulers share: a space, whole searches, and a look at everything inside."""

from __future__ import annotations

import heapq
from array import array
from collections import deque
from enum import Enum
from typing import Any

from asha_core.messages import Job, Report
from asha_core.schedulers import scheduler_class
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.brackets import bracket_rungs
from asha_core.schedulers.state import TrialState
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Float, Int, SearchSpace

SPACE = SearchSpace({"x": Float(1e-3, 1.0, log=True), "n": Int(1, 9), "c": Choice(["a", "b"])})

NINE = [float(value) for value in (5, 1, 9, 2, 8, 3, 9, 7, 6)]  # one pair of equals, the best of all

# the trials, the settings and how far lazy clean-up went are not what a scheduler has decided
_UNSEEN = ("space", "searcher", "_candidates", "_made_with")

Step = tuple[int, int, int]  # (trial, start, until) of a job


class Few(RandomSearch):
    """A searcher with an end."""

    def __init__(self, size: int, seed: int = 0) -> None:
        super().__init__(SPACE, seed)
        self.size = size


def make(name: str, **settings: Any) -> Scheduler:
    """A scheduler by its name."""
    return scheduler_class(name)(SPACE, **settings)


def _attributes(thing: Any) -> dict[str, Any]:
    slots = [slot for kind in type(thing).__mro__ for slot in getattr(kind, "__slots__", ())]
    named = {slot: getattr(thing, slot) for slot in slots}
    return {**named, **getattr(thing, "__dict__", {})}


def fingerprint(thing: Any, inside: bool = False) -> Any:
    """Everything that can be seen of a scheduler, and everything that cannot, in a form that compares."""
    if isinstance(thing, float):
        return repr(thing)  # NaN is not equal to itself
    if thing is None or isinstance(thing, int | str | Enum | bytes):
        return thing
    if isinstance(thing, bytearray):
        return bytes(thing)
    if isinstance(thing, list | tuple | deque | array):
        return [fingerprint(member, True) for member in thing]
    if isinstance(thing, set | frozenset):
        return sorted(map(repr, thing))
    if isinstance(thing, dict):
        return {key: fingerprint(member, True) for key, member in thing.items()}
    if isinstance(thing, Scheduler) and inside:
        return "itself"
    if not type(thing).__module__.startswith("asha_core"):
        return repr(thing)
    members = _attributes(thing)
    return [type(thing).__name__, {k: fingerprint(v, True) for k, v in members.items() if k not in _UNSEEN}]


def seen(scheduler: Scheduler) -> Any:
    """The part of it that others may look at."""
    trials = [_attributes(trial) for trial in scheduler.trials if isinstance(trial, TrialState)]
    return (
        list(scheduler.counts()),
        scheduler.units,
        fingerprint(scheduler.best),
        scheduler.rejected,
        scheduler.failures,
        fingerprint(trials),
    )


def tell(scheduler: Scheduler, job: Job, value: float, resource: int | None = None):
    """Report one value, at the end of the job if nothing else is said."""
    return scheduler.tell(Report(job.trial, job.attempt, resource or job.until, value, 1.0))


def step(job: Job | None) -> Step | None:
    return None if job is None else (job.trial, job.start, job.until)


def drive(scheduler: Scheduler, value, workers: int = 1, pick=lambda n: 0, every_unit=False) -> list[Step]:
    """Run a search to its end with so many workers; pick says which running job ends next."""
    jobs: list[Step] = []
    running: list[Job] = []
    while True:
        while len(running) < workers and (job := scheduler.ask()) is not None:
            assert len(jobs) < 20_000, "it does not end"
            jobs.append(step(job))
            running.append(job)
        if not running:
            return jobs
        job = running.pop(pick(len(running)))
        for unit in range(job.start + 1 if every_unit else job.until, job.until + 1):
            tell(scheduler, job, value(job.trial, unit), unit)


def by_value(scheduler: Scheduler, values: list[float], workers: int = 1) -> list[Step]:
    """Run a search in which trial i has ``values[i]`` at every unit."""
    return drive(scheduler, lambda trial, _: values[trial], workers)


def planned_at_the_top(scheduler: Scheduler, trials: int) -> int:
    """How many of ``trials`` configurations are trained in full if floor(n/eta) go on from each rung."""
    brackets = scheduler.largest_brackets(trials)
    rungs = bracket_rungs(brackets, scheduler.reduction_factor, scheduler.survivors)
    return sum(rung.trials for rung in rungs if rung.level == scheduler.levels[-1])


def in_time(scheduler: Scheduler, value, workers: int) -> None:
    """Run a search on workers that take as long for a unit as each other."""
    running: list[tuple[int, int, Job]] = []
    now = count = 0
    while True:
        while len(running) < workers and (job := scheduler.ask()) is not None:
            count += 1
            heapq.heappush(running, (now + job.until - job.start, count, job))
        if not running:
            return
        now, _, job = heapq.heappop(running)
        for unit in range(job.start + 1, job.until + 1):
            tell(scheduler, job, value(job.trial, unit), unit)


def up(trial: int, *levels: int) -> list[Step]:
    """The jobs of a trial that goes through these levels without a break."""
    return [(trial, low, high) for low, high in zip((0, *levels), levels, strict=False)]


def fresh(trials: range | list[int], level: int = 1) -> list[Step]:
    """The first jobs of these trials."""
    return [(trial, 0, level) for trial in trials]
