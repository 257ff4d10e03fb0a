"""Warm starts that act again where a trial is promoted: once in each rung, before its first unit there."""

from __future__ import annotations

import pytest

from asha_core.messages import Lost, Refined
from asha_core.schedulers import MODEL_FREE
from asha_core.schedulers.asha import ASHA
from tests.asha_core.schedulers.helpers import SPACE, make, tell

ONE, TWO, THREE = (SPACE.from_unit([share] * len(SPACE)) for share in (0.25, 0.5, 0.75))


def begun() -> ASHA:
    """Nine trials, of which the first has come to the first rung and is the best; it is asked for next."""
    scheduler = make("asha", mode="min", max_resource=9, max_trials=9)
    scheduler.refines_promoted = True
    jobs = [scheduler.ask() for _ in range(3)]
    for job in jobs:
        tell(scheduler, job, float(job.trial))
    return scheduler


def test_a_promoted_trial_may_be_refined_and_goes_on_with_what_that_gave():
    scheduler = begun()
    job = scheduler.ask()
    assert (job.trial, job.start, job.refine) == (0, 1, True)
    proposed = job.configuration
    scheduler.tell(Refined(0, ONE, 0.5, {"learned": 3}, resource=1))
    tell(scheduler, job, -1.0, 2)
    scheduler.tell(Lost(0, 0, "killed"))
    again = scheduler.ask()
    assert (again.start, again.configuration, again.refine) == (2, ONE, False)
    assert scheduler.trials[0].trained_with(1) == proposed
    assert scheduler.trials[0].trained_with(2) == ONE
    assert (scheduler.best.resource, scheduler.best.configuration) == (2, ONE)
    assert scheduler.ask().earlier == (3,)


def test_it_is_refined_again_if_its_job_was_lost_before():
    scheduler = begun()
    job = scheduler.ask()
    scheduler.tell(Lost(0, 0, "killed"))
    assert scheduler.ask() == job._replace(attempt=1)


@pytest.mark.parametrize(
    "late",
    [Refined(0, TWO, 0.5, resource=0), Refined(0, TWO, 0.5, resource=3), Refined(0, TWO, 0.5)],
)
def test_what_is_of_another_rung_is_not_heard(late):
    scheduler = begun()
    job = scheduler.ask()
    scheduler.tell(late)
    assert scheduler.trials[0].configuration == job.configuration
    scheduler.tell(Refined(0, ONE, 0.5, resource=1))
    scheduler.tell(Refined(0, TWO, 0.5, resource=1))
    assert scheduler.trials[0].configuration == ONE
    tell(scheduler, job, 0.5, 2)
    scheduler.tell(Refined(0, TWO, 0.5, resource=1))
    assert scheduler.trials[0].configuration == ONE


@pytest.mark.parametrize("name", MODEL_FREE)
def test_each_rung_has_its_own(name):
    scheduler = make(name, mode="min", max_resource=9, max_trials=9)
    scheduler.refines_promoted = True
    jobs = []
    while (job := scheduler.ask()) is not None:
        jobs.append(job)
        assert job.refine
        if job.start:
            scheduler.tell(Refined(job.trial, {1: ONE, 3: THREE}[job.start], 0.5, resource=job.start))
        tell(scheduler, job, float(job.trial))
    assert len(jobs) > len({job.trial for job in jobs}) or len(scheduler.levels) == 1
    for job in jobs:
        for unit in range(job.start + 1, job.until + 1):
            expected = {0: scheduler.trials[job.trial].trained_with(1), 1: ONE, 3: THREE}[job.start]
            assert scheduler.trials[job.trial].trained_with(unit) == expected
    proposed = {job.trial: job.configuration for job in reversed(jobs) if job.start == 0}
    assert all(trial.trained_with(1) == proposed[trial.id] for trial in scheduler.trials)


@pytest.mark.parametrize("name", MODEL_FREE)
def test_otherwise_nobody_is_refined_after_the_first_unit(name):
    scheduler = make(name, mode="min", max_resource=9, max_trials=9)
    jobs = []
    while (job := scheduler.ask()) is not None:
        jobs.append(job)
        scheduler.tell(Refined(job.trial, TWO, 0.5, resource=job.start))
        tell(scheduler, job, float(job.trial))
    assert [job.refine for job in jobs] == [job.start == 0 for job in jobs]
    assert all(trial.before == () for trial in scheduler.trials)
