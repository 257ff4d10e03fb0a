"""What all schedulers promise: settings, retries, late events, mistakes in reports, seeds."""

from __future__ import annotations

import math
import random

import pytest

from asha_core.errors import ReportError, SettingError
from asha_core.messages import Failed, Job, Lost, Refined, Rejected, Report, Verdict
from asha_core.schedulers import SCHEDULERS, scheduler_class
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Status
from asha_core.searchers.random_search import RandomSearch
from asha_core.streams import stream_seed
from tests.asha_core.schedulers.helpers import SPACE, Few, drive, fingerprint, make, seen, step, tell

every = pytest.mark.parametrize("name", SCHEDULERS)
HELD_BACK = [name for name in SCHEDULERS if name != "random"]


@every
def test_a_scheduler_is_found_by_the_name_that_it_says(name):
    kind = scheduler_class(name)
    assert kind.name == name
    assert issubclass(kind, Scheduler)
    assert make(name).describe()["name"] == name


def test_a_name_that_nobody_has_is_told_with_the_nearest():
    with pytest.raises(SettingError, match=r"unknown scheduler 'ascha'; did you mean \"asha\"\?"):
        scheduler_class("ascha")


@every
def test_the_description_says_what_was_resolved(name):
    described = make(name, max_resource=9, seed=3, max_trials=7, max_retries=1).describe()
    levels = [9] if name == "random" else [1, 3, 9]
    assert (
        described
        == {
            "name": name,
            **({"rules": 2} if name in ("sh", "sync-hyperband") else {}),  # those of others never changed
            "levels": levels,
            "reduction_factor": 3,
            "brackets": levels if "hyperband" in name else levels[:1],
            "seed": 3,
            "max_trials": 7,
            "max_retries": 1,
            "searcher": "random",
            **({"bracket_size": 7} if name == "sh" else {}),
        }
    )


@every
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mode": "maximise"}, ("mode is 'maximise'", "known: max, min")),
        ({"max_trials": 0}, ("max_trials is 0", "at least 1")),
        ({"max_retries": -1}, ("max_retries is -1", "at least 0")),
        ({"reduction_factor": 1}, ("reduction_factor is 1", "at least 2")),
        ({"min_resource": 10, "max_resource": 9}, ("min_resource is 10", "max_resource is 9")),
    ],
)
def test_a_mistake_in_a_setting_is_named(name, settings, said):
    with pytest.raises(SettingError) as caught:
        make(name, **settings)
    for part in said:
        assert part in str(caught.value)


@every
def test_a_search_goes_on_by_the_rules_that_it_was_begun_with(name):
    begun = make(name, max_resource=9).describe()
    for described in (begun, {key: value for key, value in begun.items() if key != "rules"}):
        scheduler = make(name, max_resource=9)
        scheduler.go_on_as(described)
        assert scheduler.describe() == described
    assert make(name, max_resource=9).describe() == begun  # one that begins now decides as ever


@every
@pytest.mark.parametrize("rules", [0, -1, 9, "2", None, True, 1.0])
def test_rules_that_this_version_does_not_know_are_refused(name, rules):
    with pytest.raises(
        SettingError, match=f"rules {rules!r} of {name}, and this version of asha-core knows 1"
    ):
        make(name).go_on_as({"name": name, "rules": rules})


# -- limits ----------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize(
    ("max_trials", "size", "limit"), [(None, None, None), (5, None, 5), (None, 4, 4), (5, 4, 4), (4, 5, 4)]
)
def test_as_many_configurations_begin_as_the_limits_allow(name, max_trials, size, limit):
    searcher = None if size is None else Few(size)
    scheduler = make(name, max_resource=9, max_trials=max_trials, searcher=searcher)
    assert scheduler.trial_limit == limit
    jobs = [scheduler.ask() for _ in range(20)]
    assert [job.trial for job in jobs if job] == list(range(20 if limit is None else limit))


@every
def test_a_rejected_one_uses_up_no_trial_but_a_configuration_of_the_grid(name):
    for settings, expected in (({"max_trials": 2}, 4), ({"searcher": Few(3)}, 3)):
        scheduler = make(name, max_resource=9, **settings)
        for trial in range(2):
            scheduler.ask()
            assert scheduler.tell(Rejected(trial, "diverges")) is Verdict.STOP
        while scheduler.ask():
            pass
        assert len(scheduler.trials) == expected
        assert scheduler.rejected == 2


@every
def test_asking_in_vain_changes_nothing(name):
    scheduler = make(name, max_resource=9, max_trials=4)
    jobs = [scheduler.ask() for _ in range(4)]
    for job in jobs[:2]:
        tell(scheduler, job, 0.5)
    while scheduler.ask():
        pass
    before = fingerprint(scheduler)
    assert scheduler.ask() is None
    assert fingerprint(scheduler) == before


@every
@pytest.mark.parametrize("workers", [1, 3, 8])
def test_a_search_ends_with_everybody_at_rest(name, workers):
    scheduler = make(name, max_resource=27, max_trials=30)
    drive(scheduler, lambda trial, until: float(trial * 7919 % 31), workers)
    counts = scheduler.counts()
    assert not any(row.running for row in counts)
    assert counts[-1].done > 0 or name == "pasha"  # which need not go so far
    assert sum(row.reached for row in counts) == 30 + sum(row.promoted for row in counts)
    assert scheduler.units == sum(trial.resource for trial in scheduler.trials)
    if scheduler.stops:
        assert not any(row.paused for row in counts)
    else:
        assert not any(row.stopped for row in counts)


@every
def test_equal_searches_are_equal_to_the_last_detail(name):
    both = []
    for _ in range(2):
        scheduler, pick = make(name, max_resource=27, max_trials=25), random.Random(5)
        drive(scheduler, lambda trial, until: (trial * 31 + until) % 17 / 4, 4, pick.randrange)
        both.append(fingerprint(scheduler))
    assert both[0] == both[1]


@every
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("workers", [1, 5])
def test_configurations_and_seeds_depend_on_seed_and_number_alone(name, mode, workers):
    scheduler, pick = make(name, max_resource=27, max_trials=20, seed=3, mode=mode), random.Random(1)
    asked, found = scheduler.ask, {}

    def ask():
        job = asked()
        if job is not None:
            assert found.setdefault(job.trial, (job.seed, job.configuration)) == (job.seed, job.configuration)
        return job

    scheduler.ask = ask  # the same scheduler, watched
    drive(scheduler, lambda trial, until: float((trial * 7919 + until) % 101), workers, pick.randrange)
    searcher = RandomSearch(SPACE, 3)
    assert found == {i: (stream_seed(3, "trial", i), searcher.propose(i)) for i in range(20)}
    assert len({seed for seed, _ in found.values()}) == 20


@every
def test_another_seed_gives_other_configurations(name):
    first, second = (make(name, seed=seed) for seed in (0, 1))
    assert all(first.ask().configuration != second.ask().configuration for _ in range(20))


# -- the best --------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize(("mode", "best"), [("max", (0, 3, 0.7)), ("min", (1, 2, 0.1))])
def test_the_best_is_the_best_finite_value_at_any_unit_and_of_equals_the_earlier(name, mode, best):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=2, mode=mode)
    scheduler.ask(), scheduler.ask()
    assert scheduler.best is None
    for trial, resource, value in (
        *[(0, 1, math.nan), (0, 2, 0.3), (0, 3, 0.7), (1, 1, 0.7), (1, 2, 0.1), (0, 4, 0.1)],
        *[(1, 3, math.inf), (1, 4, -math.inf)],
    ):
        scheduler.tell(Report(trial, 0, resource, value, 1.0))
    assert (scheduler.best.trial, scheduler.best.resource, scheduler.best.value) == best
    assert scheduler.best.configuration == scheduler.trials[best[0]].configuration


# -- retries ---------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_lost_job_is_tried_again_so_often_and_then_failed(name, retries):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=1, max_retries=retries)
    first = job = scheduler.ask()
    for attempt in range(1, retries + 1):
        assert scheduler.tell(Lost(0, job.attempt, "killed")) is Verdict.STOP
        assert scheduler.trials[0].status == Status.WAITING
        assert scheduler.counts()[0].running == 1
        job = scheduler.ask()
        assert job == Job(0, first.configuration, 0, 9, attempt, first.seed, True)
        assert scheduler.counts()[0].running == 1
    scheduler.tell(Lost(0, job.attempt, "killed"))
    assert scheduler.ask() is None
    assert scheduler.failures == 1
    assert (scheduler.counts()[0].failed, scheduler.counts()[0].running) == (1, 0)


BLAMELESS = ["stopped", "engine", "disk", "not-begun"]


@every
@pytest.mark.parametrize("kind", BLAMELESS)
def test_a_loss_that_is_nobodys_fault_uses_up_no_retry(name, kind):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=1, max_retries=1)
    for attempt in range(5):
        assert scheduler.ask().attempt == attempt
        assert scheduler.tell(Lost(0, attempt, "gone", kind)) is Verdict.STOP
        assert scheduler.trials[0].status == Status.WAITING
        assert (scheduler.counts()[0].running, scheduler.counts()[0].failed) == (1, 0)
    assert scheduler.ask().attempt == 5
    scheduler.tell(Lost(0, 5, "gone", "hung"))
    assert scheduler.trials[0].status == Status.WAITING
    assert scheduler.ask().attempt == 6
    scheduler.tell(Lost(0, 6, "gone", kind))
    assert scheduler.ask().attempt == 7
    scheduler.tell(Lost(0, 7, "gone", "died"))
    assert (scheduler.trials[0].status, scheduler.failures) == (Status.FAILED, 1)
    assert scheduler.ask() is None


@every
@pytest.mark.parametrize("kind", BLAMELESS)
def test_without_retries_a_loss_that_is_nobodys_fault_is_still_none(name, kind):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=1, max_retries=0)
    for attempt in range(3):
        assert scheduler.ask().attempt == attempt
        scheduler.tell(Lost(0, attempt, "gone", kind))
    assert scheduler.failures == 0


@every
def test_memory_that_runs_out_is_tried_again_alone_and_then_failed(name):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=2, max_retries=0)
    first, other = scheduler.ask(), scheduler.ask()
    assert not first.alone
    assert scheduler.tell(Failed(0, 0, "no memory", "oom")) is Verdict.STOP
    assert (scheduler.trials[0].status, scheduler.counts()[0].running) == (Status.WAITING, 2)
    again = scheduler.ask()
    assert again == Job(0, first.configuration, 0, 9, 1, first.seed, True, True)
    assert (scheduler.trials[0].faults, scheduler.counts()[0].running) == (0, 2)
    assert not scheduler.trials[other.trial].alone
    assert scheduler.tell(Failed(0, 1, "no memory", "oom")) is Verdict.STOP
    assert (scheduler.trials[0].status, scheduler.failures) == (Status.FAILED, 1)
    assert scheduler.ask() is None


@every
def test_who_is_alone_stays_alone_whatever_becomes_of_it(name):
    scheduler = make(name, max_resource=9, max_trials=1, reduction_factor=2)
    scheduler.ask()
    scheduler.tell(Failed(0, 0, "no memory", "oom"))
    job = scheduler.ask()
    assert job.alone
    tell(scheduler, job, 0.5, 1) if job.until > 1 else None
    scheduler.tell(Lost(0, 1, "killed", "died"))
    job = scheduler.ask()
    assert (job.attempt, job.alone) == (2, True)
    tell(scheduler, job, 0.5)
    while (job := scheduler.ask()) is not None:
        assert job.alone
        tell(scheduler, job, 0.5)


@every
def test_who_goes_on_after_its_memory_ran_out_is_alone_there_too(name):
    scheduler = make(name, max_resource=9, max_trials=12)
    alone = {}

    def value(trial, until):
        return float(trial)

    running = []
    while True:
        while len(running) < 3 and (job := scheduler.ask()) is not None:
            assert job.alone == (job.trial in alone)
            running.append(job)
        if not running:
            break
        job = running.pop(0)
        if job.trial in (9, 11) and job.trial not in alone:
            alone[job.trial] = job.until
            scheduler.tell(Failed(job.trial, job.attempt, "no memory", "oom"))
        else:
            tell(scheduler, job, value(job.trial, job.until))
    assert set(alone) == {9, 11}
    assert scheduler.failures == 0


@every
@pytest.mark.parametrize("kind", ["error", "setup", "timeout"])
def test_a_failure_of_another_kind_is_not_tried_again(name, kind):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=1)
    scheduler.ask()
    assert scheduler.tell(Failed(0, 0, "no", kind)) is Verdict.STOP
    assert (scheduler.trials[0].status, scheduler.failures) == (Status.FAILED, 1)
    assert not scheduler.trials[0].alone
    assert scheduler.ask() is None


@every
def test_late_news_of_memory_leaves_a_trial_among_the_others(name):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=1)
    scheduler.ask()
    scheduler.tell(Lost(0, 0, "killed"))
    scheduler.ask()
    scheduler.tell(Failed(0, 0, "no memory", "oom"))
    assert scheduler.trials[0].status == Status.RUNNING
    assert not scheduler.trials[0].alone


@every
def test_retries_go_in_order_before_new_trials(name):
    scheduler = make(name, max_resource=9)
    jobs = [scheduler.ask() for _ in range(5)]
    scheduler.tell(Lost(4, 0, "killed"))
    scheduler.tell(Lost(3, 0, "killed"))
    order = [scheduler.ask() for _ in range(3)]
    assert [(job.trial, job.until, job.attempt) for job in order[:2]] == [
        (4, jobs[4].until, 1),
        (3, jobs[3].until, 1),
    ]
    assert (order[2].trial, order[2].attempt) == (5, 0)


@pytest.mark.parametrize("name", ["asha", "asha-stopping", "pasha"])
def test_a_retry_goes_before_those_that_go_on(name):
    scheduler = make(name, max_resource=9)
    for job in [scheduler.ask() for _ in range(5)][:3]:
        tell(scheduler, job, float(job.trial))
    scheduler.tell(Lost(4, 0, "killed"))
    assert scheduler.ask().trial == 4


@every
def test_a_refined_configuration_survives_a_lost_worker(name):
    scheduler = make(name, max_trials=1)
    assert scheduler.ask().refine
    refined = SPACE.configuration({"x": 0.25, "n": 3, "c": "b"})
    scheduler.tell(Refined(0, refined, 0.5))
    scheduler.tell(Lost(0, 0, "killed"))
    job = scheduler.ask()
    assert (job.configuration, job.refine) == (refined, False)


@every
def test_a_configuration_is_refined_once_and_before_its_first_unit(name):
    scheduler = make(name, min_resource=9, max_resource=9)
    one, other = (SPACE.from_unit([u, u, u]) for u in (0.2, 0.8))
    first, second = scheduler.ask(), scheduler.ask()
    scheduler.tell(Refined(0, one, 0.5))
    scheduler.tell(Refined(0, other, 0.5))
    assert scheduler.trials[0].configuration == one
    tell(scheduler, second, 0.5, 1)
    scheduler.tell(Refined(1, other, 0.5))
    assert scheduler.trials[1].configuration == second.configuration
    assert first.configuration != one


@every
def test_units_repeated_after_a_retry_count_once(name):
    scheduler = make(name, min_resource=3, max_resource=3, max_trials=1)
    scheduler.ask()
    for resource in (1, 2):
        scheduler.tell(Report(0, 0, resource, 0.5, 1.0))
    scheduler.tell(Lost(0, 0, "killed"))
    job = scheduler.ask()
    assert (job.start, job.refine) == (2, False)  # what was reported is not trained again
    verdicts = [scheduler.tell(Report(0, 1, resource, 0.9, 1.0)) for resource in (1, 2, 3)]
    assert verdicts == [Verdict.CONTINUE, Verdict.CONTINUE, Verdict.STOP]
    assert scheduler.units == 3
    assert (scheduler.best.resource, scheduler.best.value) == (3, 0.9)


# -- late events -----------------------------------------------------------------------------------


def ends():
    """How a trial can end, and the status that it has then."""
    return [
        ([Report(0, 0, 9, 0.5, 1.0)], Status.DONE),
        ([Failed(0, 0, "raised")], Status.FAILED),
        ([Failed(0, 0, "raised", kind="setup")], Status.FAILED),
        ([Failed(0, 0, "raised", kind="invalid")], Status.REJECTED),
        ([Rejected(0, "diverges")], Status.REJECTED),
        ([Failed(0, 0, "raised", kind="timeout")], Status.FAILED),
        ([Failed(0, 0, "no memory", kind="oom")], Status.WAITING),
        ([Lost(0, 0, "killed")], Status.WAITING),
        ([Lost(0, 0, "stopped", kind="stopped")], Status.WAITING),
    ]


@every
@pytest.mark.parametrize(("events", "status"), ends(), ids=lambda part: getattr(part, "name", "after"))
def test_what_comes_after_the_end_changes_nothing(name, events, status):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=2)
    scheduler.ask(), scheduler.ask()
    for event in events:
        assert scheduler.tell(event) is Verdict.STOP
    assert scheduler.trials[0].status == status
    before = fingerprint(scheduler), seen(scheduler)
    for late in (
        *[event for events_, _ in ends() for event in events_],
        Refined(0, SPACE.from_unit([0.1] * 3), 1),
    ):
        assert scheduler.tell(late) is Verdict.STOP
    assert (fingerprint(scheduler), seen(scheduler)) == before


@every
def test_an_attempt_that_was_given_up_is_not_heard(name):
    scheduler = make(name, min_resource=9, max_resource=9, max_trials=1)
    scheduler.ask()
    scheduler.tell(Lost(0, 0, "killed"))
    scheduler.ask()
    before = fingerprint(scheduler)
    for late in (Report(0, 0, 9, 0.5, 1.0), Failed(0, 0, "late"), Lost(0, 0, "late")):
        assert scheduler.tell(late) is Verdict.CONTINUE
    assert fingerprint(scheduler) == before


@pytest.mark.parametrize("name", HELD_BACK)
def test_a_rejection_of_a_trial_that_went_on_is_a_failure(name):
    # with this seed both begin in the first bracket
    scheduler = make(name, max_resource=2, reduction_factor=2, max_trials=2, seed=5)
    jobs = [scheduler.ask() for _ in range(2)]
    assert [job.until for job in jobs] == [1, 1]
    tell(scheduler, jobs[0], 1.0)
    tell(scheduler, jobs[1], 0.0)
    assert step(scheduler.ask()) == (0, 1, 2)
    for event in (Rejected(0, "too late to screen out"), Failed(0, 0, "late", kind="invalid")):
        assert scheduler.tell(event) is Verdict.STOP
    below, above = scheduler.counts()
    assert (below.promoted, above.failed, scheduler.rejected) == (1, 1, 0)
    # it did start, and was compared: nobody may take its place
    assert scheduler.ask() is None


# -- mistakes --------------------------------------------------------------------------------------


def asked(name: str, n: int = 18) -> Scheduler:
    scheduler = make(name, min_resource=9, max_resource=9)
    for _ in range(n):
        scheduler.ask()
    return scheduler


@every
@pytest.mark.parametrize(
    ("event", "said"),
    [
        (Report(17, 0, 10, 0.5, 1.0), ("trial 17", "resource 10", "ends at 9", "job.until")),
        (Report(17, 0, 0, 0.5, 1.0), ("trial 17", "resource 0", "count from 1")),
        (Report(17, 0, -4, 0.5, 1.0), ("trial 17", "resource -4", "count from 1")),
        (Report(17, 0, 2.0, 0.5, 1.0), ("trial 17", "resource 2.0", "must be an integer")),
        (Report(18, 0, 1, 0.5, 1.0), ("Report", "trial 18", "0 to 17")),
        (Report(-1, 0, 1, 0.5, 1.0), ("Report", "trial -1", "0 to 17")),
        (Lost(40, 0, "killed"), ("Lost", "trial 40", "0 to 17")),
        (Rejected(40, "no"), ("Rejected", "trial 40", "0 to 17")),
    ],
)
def test_an_event_that_cannot_be_counted_is_named(name, event, said):
    scheduler = asked(name)
    before = fingerprint(scheduler)
    with pytest.raises(ReportError) as caught:
        scheduler.tell(event)
    for part in said:
        assert part in str(caught.value)
    assert fingerprint(scheduler) == before


@every
@pytest.mark.parametrize("value", ["ninety", "0.5", None, [0.5], 10**400], ids=lambda value: str(value)[:5])
def test_a_value_that_is_not_a_number_is_a_report_error_and_changes_nothing(name, value):
    scheduler = asked(name, 1)
    before = fingerprint(scheduler)
    with pytest.raises(ReportError):
        scheduler.tell(Report(0, 0, 9, value, 1.0))
    assert fingerprint(scheduler) == before


@every
@pytest.mark.parametrize("value", [1, True])
def test_a_value_that_is_nearly_a_float_is_one(name, value):
    scheduler = asked(name, 1)
    scheduler.tell(Report(0, 0, 9, value, 1.0))
    assert (scheduler.best.value, type(scheduler.best.value)) == (1.0, float)


@every
def test_an_event_before_any_ask_does_not_name_trial_minus_one(name):
    with pytest.raises(ReportError) as caught:
        make(name).tell(Report(0, 0, 1, 0.5, 1.0))
    assert "-1" not in str(caught.value)
