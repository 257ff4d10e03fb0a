"""What the tests of all schedulers share: a space, whole searches, and a look at everything inside."""

from __future__ import annotations

from typing import Any

from asha_core.messages import Job
from asha_core.schedulers import scheduler_class
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.brackets import bracket_rungs
from asha_core.schedulers.state import TrialState
from asha_core.testing.driving import SPACE, Few, Step, drive, tell  # noqa: F401 - for those who import these
from asha_core.testing.looking import attributes, fingerprint

NINE = [float(value) for value in (5, 1, 9, 2, 8, 3, 9, 7, 6)]  # one pair of equals, the best of all


def make(name: str, **settings: Any) -> Scheduler:
    """A scheduler by its name."""
    return scheduler_class(name)(SPACE, **settings)


def seen(scheduler: Scheduler) -> Any:
    """The part of it that others may look at."""
    trials = [attributes(trial) for trial in scheduler.trials if isinstance(trial, TrialState)]
    return (
        list(scheduler.counts()),
        scheduler.units,
        fingerprint(scheduler.best),
        scheduler.rejected,
        scheduler.failures,
        fingerprint(trials),
    )


def step(job: Job | None) -> Step | None:
    return None if job is None else (job.trial, job.start, job.until)


def by_value(scheduler: Scheduler, values: list[float], workers: int = 1) -> list[Step]:
    """Run a search in which trial i has ``values[i]`` at every unit."""
    return drive(scheduler, lambda trial, _: values[trial], workers)


def planned_at_the_top(scheduler: Scheduler, trials: int) -> int:
    """How many of ``trials`` configurations are trained in full if floor(n/eta) go on from each rung."""
    brackets = scheduler.largest_brackets(trials)
    rungs = bracket_rungs(brackets, scheduler.reduction_factor, scheduler.survivors)
    return sum(rung.trials for rung in rungs if rung.level == scheduler.levels[-1])


def up(trial: int, *levels: int) -> list[Step]:
    """The jobs of a trial that goes through these levels without a break."""
    return [(trial, low, high) for low, high in zip((0, *levels), levels, strict=False)]


def fresh(trials: range | list[int], level: int = 1) -> list[Step]:
    """The first jobs of these trials."""
    return [(trial, 0, level) for trial in trials]
