"""A trial that failed is tried again: its failure stays an entry, and what was decided stays decided."""

from __future__ import annotations

import pytest

from asha_core.messages import Failed, Rejected, Retried, Verdict
from asha_core.schedulers import MODEL_FREE
from asha_core.schedulers.state import Status
from tests.asha_core.schedulers.helpers import fingerprint, make, tell

every = pytest.mark.parametrize("name", MODEL_FREE)


def of_which_the_first_failed(name, max_trials, **settings):
    """All trials have begun; trial 0 has failed, and each other one has reported its number."""
    scheduler = make(name, mode="min", max_trials=max_trials, **settings)
    jobs = [scheduler.ask() for _ in range(max_trials)]
    scheduler.tell(Failed(0, 0, "no"))
    for job in jobs[1:]:
        tell(scheduler, job, float(job.trial))
    return scheduler


@every
def test_it_goes_again_from_its_last_unit_before_all_others(name):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=3, max_retries=0)
    job = scheduler.ask()
    tell(scheduler, job, 0.5, 1)
    scheduler.tell(Failed(0, 0, "no such file"))
    assert (scheduler.failures, scheduler.counts()[0].failed) == (1, 1)
    assert scheduler.tell(Retried(0)) is Verdict.STOP
    assert (scheduler.failures, scheduler.counts()[0].failed, scheduler.counts()[0].running) == (0, 0, 1)
    assert scheduler.ask() == job._replace(start=1, attempt=1, refine=False)
    scheduler.tell(Failed(0, 1, "no such file"))
    assert scheduler.trials[0].status == Status.FAILED


@every
def test_only_who_has_failed_is_tried_again(name):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=2)
    scheduler.ask(), scheduler.ask()
    scheduler.tell(Rejected(0, "no"))
    before = fingerprint(scheduler)
    for trial in (0, 1):
        scheduler.tell(Retried(trial))
    assert fingerprint(scheduler) == before


@every
def test_its_place_among_the_trials_is_kept_though_it_is_screened_out_then(name):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=1)
    scheduler.ask()
    scheduler.tell(Failed(0, 0, "no"))
    scheduler.tell(Retried(0))
    scheduler.ask()
    scheduler.tell(Rejected(0, "diverges"))
    assert (scheduler.trials[0].status, scheduler.rejected) == (Status.FAILED, 0)
    assert scheduler.ask() is None


def test_n_of_its_rung_does_not_grow():
    scheduler = of_which_the_first_failed("asha", max_resource=9, max_trials=5)
    assert scheduler.ask().trial == 1  # floor(5/3) is one
    scheduler.tell(Retried(0))
    tell(scheduler, scheduler.ask(), 9.0)
    assert scheduler.ask() is None  # of six there would be two


def test_the_best_goes_on_though_it_comes_late():
    scheduler = of_which_the_first_failed("asha", max_resource=9, max_trials=5)
    assert scheduler.ask().trial == 1
    scheduler.tell(Retried(0))
    tell(scheduler, scheduler.ask(), 0.0)
    assert scheduler.ask().trial == 0


def test_a_rung_that_is_open_waits_for_it_and_it_can_go_on():
    scheduler = make("sh", mode="min", max_resource=3, max_trials=3)
    jobs = [scheduler.ask() for _ in range(3)]
    scheduler.tell(Failed(0, 0, "no"))
    scheduler.tell(Retried(0))
    for job in jobs[1:]:
        tell(scheduler, job, float(job.trial))
    again = scheduler.ask()
    assert scheduler.ask() is None
    tell(scheduler, again, 0.0)
    assert scheduler.ask().trial == 0
    assert [trial.status.name for trial in scheduler.trials] == ["RUNNING", "STOPPED", "STOPPED"]


def test_a_rung_that_has_closed_stays_as_it_is():
    scheduler = of_which_the_first_failed("sh", max_resource=3, max_trials=3)
    scheduler.tell(Retried(0))
    tell(scheduler, scheduler.ask(), 0.0)
    assert scheduler.trials[0].status == Status.STOPPED
    assert scheduler.best.trial == 0
    assert scheduler.ask().trial == 1


def test_who_fails_again_where_the_rung_has_closed_has_failed():
    scheduler = of_which_the_first_failed("sh", max_resource=3, max_trials=3)
    scheduler.tell(Retried(0))
    again = scheduler.ask()
    assert scheduler.tell(Failed(0, again.attempt, "no")) is Verdict.STOP
    assert (scheduler.trials[0].status, scheduler.failures) == (Status.FAILED, 1)
    assert scheduler.ask().trial == 1
    assert scheduler.ask() is None


@pytest.mark.parametrize(
    ("name", "trials", "settings"),
    [("sync-hyperband", 4, {"max_resource": 3}), ("sh", 3, {"max_resource": 1, "bracket_size": 2})],
)
def test_the_last_of_a_bracket_that_was_never_full_can_be_tried_again(name, trials, settings):
    scheduler = make(name, max_trials=trials, **settings)
    while (job := scheduler.ask()).trial < trials - 1:
        for resource in range(job.start + 1, job.until + 1):
            tell(scheduler, job, 0.5, resource)
    scheduler.tell(Failed(job.trial, 0, "no"))
    scheduler.tell(Retried(job.trial))
    again = scheduler.ask()
    assert tell(scheduler, again, 0.9, again.until) is Verdict.STOP
    assert scheduler.trials[-1].status == Status.DONE
