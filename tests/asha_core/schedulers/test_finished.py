"""A trial that ends early by itself: it takes its place at every rung that it gets to, and no more units."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from asha_core.errors import ReportError
from asha_core.messages import Finished, Lost, Report, Verdict
from asha_core.schedulers import MODEL_FREE
from asha_core.schedulers.state import Status
from tests.asha_core.schedulers.helpers import fingerprint, make, tell

every = pytest.mark.parametrize("name", MODEL_FREE)


def value_of(trial: int, unit: int) -> float:
    """Losses that rank otherwise at every unit, with a NaN now and then; no ties, which go by arrival."""
    number = (trial * 7919 + unit * 31) % 23
    return math.nan if number == 5 else number // 2 + trial / 100


def search(name: str, ends: dict[int, int], said: bool, workers: int, order: int, **settings):
    """A whole search in which trial i has converged after ``ends[i]`` units.

    Args:
        said: it says so; else its further units take no time, and repeat its value.
    Returns:
        The scheduler, and the jobs that took time, in order.
    """
    scheduler, pick = make(name, mode="min", **settings), random.Random(order)
    running, jobs = [], []
    while True:
        while len(running) < workers and (job := scheduler.ask()) is not None:
            end = ends.get(job.trial, math.inf)
            if end <= job.start:
                assert not said, "a trial that has finished is asked for"
                tell(scheduler, job, value_of(job.trial, end))
            else:
                jobs.append((job.trial, job.start, job.until))
                running.append(job)
        if not running:
            return scheduler, jobs
        job = running.pop(pick.randrange(len(running)))
        end = ends.get(job.trial, math.inf)
        last = min(job.until, end)
        for unit in range(job.start + 1, last):
            tell(scheduler, job, value_of(job.trial, unit), unit)
        if said and end == job.until:
            assert scheduler.tell(Finished(job.trial, job.attempt, end)) is Verdict.CONTINUE
        tell(scheduler, job, value_of(job.trial, last), last)
        if end < job.until:
            if said:
                verdict = scheduler.tell(Finished(job.trial, job.attempt, end))
                assert verdict is not Verdict.CONTINUE
            else:
                tell(scheduler, job, value_of(job.trial, end))


def places(scheduler) -> list[tuple[int, Status]]:
    return [(trial.rung, trial.status) for trial in scheduler.trials]


@every
@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_nothing_is_decided_otherwise_than_if_its_units_took_no_time(name, workers, share):
    for seed in range(6):
        draw = random.Random(f"{name} {seed}")
        ends = {trial: draw.randrange(1, 28) for trial in range(40) if draw.random() < share}
        settings = {"max_resource": 27, "max_trials": 40, "seed": seed}
        said, jobs = search(name, ends, True, workers, seed, **settings)
        idle, others = search(name, ends, False, workers, seed, **settings)
        assert places(said) == places(idle)
        assert jobs == others
        assert [replace(row, carried=0) for row in said.counts()] == list(idle.counts())
        assert [row.carried for row in said.counts()] == [
            sum(t.first <= rung and ends.get(t.id, 99) < level <= t.resource for t in idle.trials)
            for rung, level in enumerate(said.levels)
        ]
        assert said.state() == pytest.approx(idle.state())
        # the only units that count are those that were trained
        assert said.units == sum(min(trial.resource, ends.get(trial.id, 99)) for trial in idle.trials)
        assert (said.best.trial, said.best.value) == (idle.best.trial, idle.best.value)


@every
def test_it_is_never_asked_for_again_and_its_place_is_kept(name):
    scheduler = make(name, min_resource=2, max_resource=27, max_trials=27, mode="min")
    scheduler.ask()
    scheduler.tell(Report(0, 0, 1, 0.0, 1.0))  # the best there will be
    scheduler.tell(Finished(0, 0, 1))
    while (job := scheduler.ask()) is not None:
        assert job.trial != 0
        tell(scheduler, job, 1.0 + job.trial)
    assert scheduler.trials[0].resource == 1
    assert scheduler.best.trial == 0
    assert scheduler.trials[0].status == Status.DONE or name in ("hyperband", "pasha")


def started(name, **settings):
    scheduler = make(name, min_resource=9, max_resource=27, max_trials=2, mode="min", **settings)
    return scheduler, scheduler.ask()


@every
def test_it_has_to_have_a_value(name):
    scheduler, job = started(name)
    before = fingerprint(scheduler)
    with pytest.raises(ReportError, match="finished before its first report: there is no value to keep"):
        scheduler.tell(Finished(job.trial, 0, 1))
    assert fingerprint(scheduler) == before


@every
@pytest.mark.parametrize("resource", [0, -1, 28, 1.0, None])
def test_a_unit_that_it_cannot_have_finished_at_is_refused(name, resource):
    scheduler, job = started(name)
    scheduler.tell(Report(job.trial, 0, 1, 0.5, 1.0))
    before = fingerprint(scheduler)
    with pytest.raises(ReportError, match=f"trial 0 finished at resource {resource!r}: it must be"):
        scheduler.tell(Finished(job.trial, 0, resource))
    assert fingerprint(scheduler) == before


@every
def test_late_and_repeated_news_of_it_change_nothing(name):
    scheduler, job = started(name)
    scheduler.tell(Report(0, 0, 1, 0.5, 1.0))
    scheduler.tell(Lost(0, 0, "killed"))
    assert scheduler.ask().attempt == 1
    before = fingerprint(scheduler)
    assert scheduler.tell(Finished(0, 0, 1)) is Verdict.CONTINUE
    assert fingerprint(scheduler) == before
    scheduler.tell(Finished(0, 1, 1))
    before = fingerprint(scheduler)
    scheduler.tell(Finished(0, 1, 1))
    tell(scheduler, job._replace(attempt=1), 0.1)
    assert fingerprint(scheduler) == before


@every
def test_what_it_would_have_been_with_its_last_report_is_forgotten_without_that(name):
    scheduler, job = started(name)
    assert scheduler.tell(Finished(0, 0, job.until)) is Verdict.CONTINUE
    scheduler.tell(Lost(0, 0, "killed"))
    again = scheduler.ask()
    tell(scheduler, again, 0.5)
    assert not scheduler.trials[0].finished


@every
def test_whose_last_value_is_not_finite_is_the_worst_of_its_rung(name):
    scheduler = make(name, min_resource=9, max_resource=27, max_trials=9, mode="min")
    jobs = [scheduler.ask() for _ in range(3)]
    scheduler.tell(Report(0, 0, 1, 0.0, 1.0))
    scheduler.tell(Report(0, 0, 2, math.nan, 1.0))
    scheduler.tell(Finished(0, 0, 2))
    for job in jobs[1:]:
        tell(scheduler, job, float(job.trial))
    while (job := scheduler.ask()) is not None:
        tell(scheduler, job, float(job.trial))
    trial = scheduler.trials[0]
    assert trial.rung == trial.first
    assert scheduler.best.value == 0.0
