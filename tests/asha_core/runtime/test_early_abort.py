"""A search that can come to nothing is ended soon, and one that can come to something is not."""

from __future__ import annotations

import pytest

from asha_core.errors import HopelessError, TaskError
from asha_core.messages import Failed, Lost, Rejected, Report
from asha_core.runtime.loop import Search
from tests.asha_core.runtime.engine_doubles import FakeExecutor, ManualClock, asha, train
from tests.asha_core.runtime.test_loop import ClosingJournal


def run(work, slots=2, before=lambda job: (), **settings):
    """(outcome or the error, the scheduler, the journal's records)."""
    clock, journal, scheduler = ManualClock(), ClosingJournal(), asha(**settings)
    executor = FakeExecutor(clock, slots, work, before=before)
    try:
        result = Search(scheduler, executor, journal, clock).run()
    except TaskError as error:
        result = error
    assert (executor.closed, journal.closed) == (1, 1)
    return result, scheduler, journal.records


def failing(error, kind="error", others=lambda trial: False):
    def work(job, resource):
        text = "something else" if others(job.trial) else error.format(job.trial)
        return [Failed(job.trial, job.attempt, text, kind)]

    return work


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_five_trials_with_the_same_error_but_for_numbers_end_a_search(slots):
    error, scheduler, records = run(failing("size mismatch: {0}x7 at 0x7f{0}"), slots)
    assert type(error) is HopelessError
    said = str(error)
    assert said.startswith("the first 5 trials all failed with the same error, so the search was stopped: ")
    (last,) = [r for n, r in enumerate(r for r in records if r["type"] == "failed") if n == 4]
    assert f"size mismatch: {last['trial']}x7" in said
    assert f"(trials/{last['trial']}/log.txt)" in said
    assert "--retry-failed" in said
    assert scheduler.failures == 5
    assert (records[-1]["type"], records[-1]["reason"]) == ("end", "error")


def test_numbers_of_every_form_are_no_difference():
    shown = ["bad lr 6.8e-06", "bad lr 0.39", "bad lr -12", "bad lr nan", "bad lr 1E+5", "bad lr .5"]

    def work(job, resource):
        return [Failed(job.trial, job.attempt, shown[job.trial % len(shown)])]

    assert type(run(work)[0]) is HopelessError


def test_four_with_the_same_error_and_one_with_another_do_not():
    for odd in range(5):
        outcome, _, _ = run(failing("no", others=lambda trial, odd=odd: trial == odd))
        assert (outcome.reason, outcome.failures) == ("complete", 12)


def test_the_same_words_of_another_kind_are_another_error():
    def work(job, resource):
        return [Failed(job.trial, job.attempt, "no", "timeout" if job.trial == 2 else "error")]

    assert run(work)[0].reason == "complete"


@pytest.mark.parametrize("first", [0, 2, 4])
def test_after_any_report_a_search_goes_on(first):
    def work(job, resource):
        return train(job, resource) if job.trial == first else failing("no")(job, resource)

    outcome, _, _ = run(work, slots=1)
    assert outcome.reason == "complete"
    assert outcome.failures >= 11


def test_a_unit_before_the_failure_is_a_report():
    def work(job, resource):
        return train(job, resource) if resource == 1 else failing("no")(job, resource)

    outcome, _, _ = run(work, min_resource=3)
    assert (outcome.reason, outcome.failures) == ("complete", 12)


def test_fewer_trials_than_five_are_all_tried():
    outcome, _, _ = run(failing("no"), max_trials=4)
    assert (outcome.reason, outcome.failures) == ("complete", 4)
    assert type(run(failing("no"), max_trials=5)[0]) is HopelessError


def test_five_trials_whose_worker_died_again_and_again_end_a_search():
    def work(job, resource):
        return [Lost(job.trial, job.attempt, f"worker {job.trial % 2} was killed by signal 9")]

    error, _, records = run(work, max_retries=2)
    assert type(error) is HopelessError
    assert "was killed by signal 9" in str(error)
    assert sum(record["type"] == "lost" and record["kind"] == "died" for record in records) >= 15


def test_a_job_that_is_lost_and_goes_again_is_no_failed_trial():
    def work(job, resource):
        if job.attempt < 2:
            return [Lost(job.trial, job.attempt, "killed")]
        return train(job, resource)

    assert run(work, max_retries=2)[0].failures == 0


def test_memory_that_runs_out_once_is_no_failed_trial_and_twice_is_one():
    def once(job, resource):
        return train(job, resource) if job.alone else [Failed(job.trial, job.attempt, "full", "oom")]

    outcome, _, _ = run(once)
    assert (outcome.reason, outcome.failures) == ("complete", 0)
    error, scheduler, _ = run(failing("CUDA out of memory: tried {0} MiB", "oom"))
    assert type(error) is HopelessError
    assert scheduler.failures == 5


@pytest.mark.parametrize(("max_trials", "needed"), [(12, 3), (3, 3), (2, 2), (1, 1)])
def test_a_mistake_of_the_users_own_ends_it_sooner_with_its_own_words(max_trials, needed):
    error, scheduler, _ = run(failing("no such optimiser", "setup"), slots=1, max_trials=max_trials)
    assert type(error) is TaskError
    assert str(error) == "no such optimiser"
    assert scheduler.failures == needed


def test_what_was_screened_out_is_no_failure():
    def before(job):
        return [Rejected(job.trial, "diverges")] if job.trial < 40 else []

    outcome, scheduler, _ = run(train, before=before)
    assert (outcome.reason, scheduler.rejected) == ("complete", 40)


def test_a_report_between_refusals_begins_the_count_anew():
    def work(job, resource):
        if job.trial % 60:
            return [Failed(job.trial, job.attempt, "odd width", "invalid")]
        return [Report(job.trial, job.attempt, resource, 0.5, 0.1)]

    outcome, scheduler, _ = run(work, slots=1, max_trials=5)
    assert outcome.reason == "complete"
    assert scheduler.rejected > 200
