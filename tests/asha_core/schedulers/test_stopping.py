"""Stopping ASHA, worked out by hand."""

from __future__ import annotations

import math

import pytest

from asha_core.messages import Failed, Rejected, Verdict
from asha_core.schedulers.state import RungCounts
from tests.asha_core.schedulers.helpers import NINE, by_value, drive, fresh, make, step, tell, up

IMPROVING = [job for trial in range(9) for job in up(trial, 1, 3, 9)]  # each is the best there is
WORSENING = [*up(0, 1, 3, 9), *fresh(range(1, 9))]  # k = 1, 1, 1, 1, 2, 2, 2, 3 and rank 2, 3, ... 9
MIXED = [
    *up(0, 1, 3, 9),  # 5: the first anywhere
    (1, 0, 1),  # 5 1: k = 1
    *up(2, 1, 3, 9),  # 5 1 9: k = 1, the best; at 3 units 5 9: k = 1, the best
    *fresh([3, 4]),  # 5 1 9 2 8: k = 1: rank 3 of 4, rank 2 of 5
    (5, 0, 1),  # 5 1 9 2 8 3: k = 2: rank 4
    *up(6, 1, 3),  # 5 1 9 2 8 3 9: k = 2: rank 2, behind its equal; at 3 units 5 9 9: k = 1
    *fresh([7, 8]),  # ... 7: k = 2, rank 4; ... 6: k = 3, rank 5
]


@pytest.mark.parametrize(
    ("values", "mode", "expected"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], "max", IMPROVING),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1], "min", IMPROVING),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1], "max", WORSENING),
        ([4] * 9, "max", WORSENING),  # of equals, the earlier
        ([4] * 9, "min", WORSENING),
        (NINE, "max", MIXED),
        ([-value for value in NINE], "min", MIXED),
        ([math.nan] * 9, "max", fresh(range(9))),
        ([math.inf] * 9, "max", fresh(range(9))),
        ([-math.inf] * 9, "min", fresh(range(9))),
    ],
)
def test_nine_trials_on_one_worker(values, mode, expected):
    scheduler = make("asha-stopping", max_resource=9, max_trials=9, mode=mode)
    assert by_value(scheduler, values) == expected
    # stopped or done, and never left waiting
    assert not any(row.paused for row in scheduler.counts())


def test_a_first_arrival_that_is_not_finite_is_stopped_and_the_next_goes_on():
    # nan, 1: n = 2, k = max(0, 1): rank 1. nan 1 2 by minimising: k = 1, rank 2
    scheduler = make("asha-stopping", max_resource=9, max_trials=3, mode="min")
    assert by_value(scheduler, [math.nan, 1.0, 2.0]) == [(0, 0, 1), *up(1, 1, 3, 9), (2, 0, 1)]


def test_it_is_decided_with_those_that_are_there_and_never_put_right():
    # 1 goes on as the first. 2 is better, and goes on; that 1 would not go on now changes nothing
    scheduler = make("asha-stopping", max_resource=9, max_trials=4)
    first, second, third = (scheduler.ask() for _ in range(3))
    assert tell(scheduler, first, 1.0) is Verdict.PAUSE
    assert tell(scheduler, second, 2.0) is Verdict.PAUSE
    assert tell(scheduler, third, 1.5) is Verdict.STOP  # k = 1, rank 2
    assert [step(scheduler.ask()) for _ in range(3)] == [(0, 1, 3), (1, 1, 3), (3, 0, 1)]
    assert scheduler.counts()[0] == RungCounts(1, running=1, promoted=2, stopped=1)


def test_who_goes_on_is_handed_out_before_anything_new_in_order_of_arrival():
    scheduler = make("asha-stopping", max_resource=9, mode="min")
    jobs = [scheduler.ask() for _ in range(3)]
    tell(scheduler, jobs[2], 3.0)
    tell(scheduler, jobs[0], 2.0)
    tell(scheduler, jobs[1], 1.0)
    assert [step(scheduler.ask()) for _ in range(4)] == [(2, 1, 3), (0, 1, 3), (1, 1, 3), (3, 0, 1)]


def test_a_failure_counts_in_n():
    # eta 2: 5, failed, 4: n = 3, k = 1, rank 2: over. 4.5: n = 4, k = 2, rank 2: on; with n = 3 it were over
    scheduler = make("asha-stopping", max_resource=4, reduction_factor=2, max_trials=4)
    jobs = [scheduler.ask() for _ in range(4)]
    assert tell(scheduler, jobs[0], 5.0) is Verdict.PAUSE
    assert scheduler.tell(Failed(1, 0, "raised")) is Verdict.STOP
    assert tell(scheduler, jobs[2], 4.0) is Verdict.STOP
    assert tell(scheduler, jobs[3], 4.5) is Verdict.PAUSE
    assert scheduler.counts()[0] == RungCounts(1, paused=2, stopped=1, failed=1)


def test_a_failure_before_all_others_lets_the_next_one_through():
    # failed, 1: n = 2, k = 1, and the failed one ranks last
    scheduler = make("asha-stopping", max_resource=9, max_trials=2)
    jobs = [scheduler.ask() for _ in range(2)]
    scheduler.tell(Failed(0, 0, "raised"))
    assert tell(scheduler, jobs[1], 1.0) is Verdict.PAUSE
    assert scheduler.ask().trial == 1
    assert scheduler.ask() is None


def test_a_rejected_one_counts_nowhere():
    # eta 2: 5, rejected, 4: n = 2, k = 1, rank 2
    scheduler = make("asha-stopping", max_resource=4, reduction_factor=2, max_trials=2)
    jobs = [scheduler.ask() for _ in range(2)]
    tell(scheduler, jobs[0], 5.0)
    scheduler.tell(Rejected(1, "diverges"))
    assert [step(scheduler.ask()) for _ in range(2)] == [(0, 1, 2), (2, 0, 1)]


def test_a_failure_on_the_way_to_the_last_rung_is_a_failure():
    scheduler = make("asha-stopping", max_resource=3, max_trials=1)
    tell(scheduler, scheduler.ask(), 1.0)
    assert step(scheduler.ask()) == (0, 1, 3)
    assert scheduler.tell(Failed(0, 0, "raised")) is Verdict.STOP
    assert scheduler.counts() == [RungCounts(1, promoted=1), RungCounts(3, failed=1)]
    assert scheduler.ask() is None


def test_a_unit_reported_past_a_rung_does_not_land_in_it():
    # levels 1, 3, 9, reports at 1, 2, 3, 6, 9: the second rung has one entry, and it is that of unit 3
    scheduler = make("asha-stopping", max_resource=9, max_trials=2, mode="min")
    for until, reports in ((1, [(1, 5.0)]), (3, [(2, 0.0), (3, 4.0)]), (9, [(6, 0.0), (9, 0.0)])):
        job = scheduler.ask()
        assert job.until == until
        for resource, value in reports:
            tell(scheduler, job, value, resource)
    assert [row.reached for row in scheduler.counts()] == [1, 1, 1]
    other = drive(scheduler, lambda _, until: {1: 4.5, 3: 3.9, 9: 1.0}[until])
    assert other == up(1, 1, 3, 9)  # better than 5 at 1, and than 4 at 3


def test_a_single_trial_goes_all_the_way():
    scheduler = make("asha-stopping", max_resource=200, max_trials=1)
    assert by_value(scheduler, [1.0]) == up(0, 1, 3, 9, 27, 81, 200)
    assert scheduler.least_trials == 1


def test_it_says_that_it_stops():
    assert make("asha-stopping").stops
    assert make("asha-stopping").survivors == 1
