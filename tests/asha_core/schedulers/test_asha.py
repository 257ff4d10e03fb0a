"""Promotion ASHA, worked out by hand."""

from __future__ import annotations

import math

import pytest

from asha_core.messages import Failed, Rejected, Report, Verdict
from asha_core.schedulers.state import RungCounts
from tests.asha_core.schedulers.helpers import NINE, by_value, drive, fresh, make, step, tell, up

IMPROVING = [
    *fresh([0, 1, 2]),  # n = 3, k = 1: 2 is the top
    (2, 1, 3),
    *up(3, 1, 3),  # the best of 4; rung of 3 units: n = 2, k = 0
    *up(4, 1, 3, 9),  # there n = 3, k = 1: and it is the best there too
    *[job for trial in (5, 6, 7, 8) for job in up(trial, 1, 3, 9)],
]
WORSENING = [
    *fresh([0, 1, 2]),  # n = 3, k = 1: 0
    (0, 1, 3),
    *fresh([3, 4, 5]),  # n = 6, k = 2: 0, 1
    (1, 1, 3),
    *fresh([6, 7, 8]),  # n = 9, k = 3: 0, 1, 2
    *[(2, 1, 3), (0, 3, 9)],  # the rung of 3 units: n = 3, k = 1: 0
]
MIXED = [
    *fresh([0, 1, 2]),  # 5 1 9: top 2
    (2, 1, 3),
    *fresh([3, 4]),  # 5 1 9 2 8: top 2, gone already
    *[(5, 0, 1), (4, 1, 3)],  # 5 1 9 2 8 3: k = 2: 2, 4
    *[(6, 0, 1), (6, 1, 3), (6, 3, 9)],  # 5 1 9 2 8 3 9: k = 2: 2, 6 (equal to 2, later)
    *fresh([7, 8]),  # 5 1 9 2 8 3 9 7 6: k = 3: 2, 6, 4, all gone
]


@pytest.mark.parametrize(
    ("values", "mode", "expected"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], "max", IMPROVING),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1], "min", IMPROVING),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1], "max", WORSENING),
        ([4] * 9, "max", WORSENING),  # of equals, the earlier
        ([4] * 9, "min", WORSENING),
        ([math.nan] * 9, "max", fresh(range(9))),
        ([math.inf] * 9, "max", fresh(range(9))),
        ([-math.inf] * 9, "max", fresh(range(9))),
    ],
)
def test_nine_trials_on_one_worker(values, mode, expected):
    assert by_value(make("asha", max_resource=9, max_trials=9, mode=mode), values) == expected


def test_values_that_change_with_the_resource():
    # at 3 units: trial 2 has 1.0, trial 4 has 2.0, trial 6 has 3.0, so 6 goes on to 9
    scheduler = make("asha", max_resource=9, max_trials=9)
    assert drive(scheduler, lambda trial, until: NINE[trial] if until == 1 else trial / 2) == MIXED


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_counts_and_ranks_last(odd):
    # odd, 1, 2: n = 3, k = 1: the best finite one is trial 2, whichever way is better
    for mode, best in (("max", 2), ("min", 1)):
        scheduler = make("asha", max_resource=9, max_trials=3, mode=mode)
        assert by_value(scheduler, [odd, 1.0, 2.0]) == [*fresh([0, 1, 2]), (best, 1, 3)]


def test_the_upper_rung_is_served_first():
    # rungs 1, 2, 4 with eta 2: when both rungs have somebody, the upper one goes first
    scheduler = make("asha", max_resource=4, reduction_factor=2, max_trials=8)
    jobs = [scheduler.ask() for _ in range(8)]
    for job in jobs[:4]:
        tell(scheduler, job, float(job.trial))
    climbers = [scheduler.ask(), scheduler.ask()]
    assert [step(job) for job in climbers] == [(3, 1, 2), (2, 1, 2)]
    for job in (*climbers, *jobs[4:]):
        tell(scheduler, job, float(job.trial))
    assert [step(scheduler.ask()) for _ in range(2)] == [(3, 2, 4), (7, 1, 2)]


def test_running_trials_do_not_count_until_they_report():
    scheduler = make("asha", max_resource=9, max_trials=9)
    jobs = [scheduler.ask() for _ in range(9)]
    for job in jobs[:2]:
        tell(scheduler, job, 1.0)
    assert scheduler.ask() is None  # n = 2
    tell(scheduler, jobs[2], 0.0)
    assert scheduler.ask().trial == 0


@pytest.mark.parametrize(
    ("n", "eta", "expected"), [(9, 3, 3), (27, 3, 9), (81, 3, 27), (80, 3, 26), (64, 4, 16)]
)
def test_when_all_have_reported_exactly_the_floor_of_n_over_eta_go_up(n, eta, expected):
    scheduler = make("asha", max_resource=100, reduction_factor=eta, max_trials=n)
    for job in [scheduler.ask() for _ in range(n)]:
        tell(scheduler, job, (job.trial * 37 % n) / n)
    climbers = []
    while (job := scheduler.ask()) is not None:
        climbers.append(job.trial)
    best_first = sorted(range(n), key=lambda trial: -(trial * 37 % n))
    assert climbers == best_first[:expected]


def test_a_last_rung_that_is_no_power_is_trained_to_the_end():
    # R = 5, eta = 2: levels 1, 2, 4, 5. Improving: from the second arrival on, each is the best of its rung
    scheduler = make("asha", max_resource=5, reduction_factor=2, max_trials=5)
    assert scheduler.levels == (1, 2, 4, 5)
    assert by_value(scheduler, [1.0, 2.0, 3.0, 4.0, 5.0]) == [
        *fresh([0, 1]),  # n = 2, k = 1
        (1, 1, 2),
        *up(2, 1, 2, 4),  # at 2: n = 2, k = 1; at 4: n = 1, k = 0
        *up(3, 1, 2, 4, 5),
        *up(4, 1, 2, 4, 5),
    ]
    assert [row.level for row in scheduler.counts()] == [1, 2, 4, 5]
    assert scheduler.counts()[-1] == RungCounts(5, done=2)


def test_a_failure_counts_as_the_worst_and_a_rejection_nowhere():
    scheduler = make("asha", max_resource=9, max_trials=3)
    for _ in range(3):
        scheduler.ask()
    scheduler.tell(Report(0, 0, 1, 0.1, 1.0))
    scheduler.tell(Failed(1, 0, "raised"))
    assert scheduler.tell(Rejected(2, "diverges")) is Verdict.STOP
    replacement = scheduler.ask()  # n = 2 entries, and the rejected one does not use up a trial
    assert step(replacement) == (3, 0, 1)
    tell(scheduler, replacement, 0.2)
    assert scheduler.ask().trial == 3
    assert scheduler.counts()[0] == RungCounts(1, paused=1, promoted=1, failed=1)


def test_a_trial_that_failed_higher_up_keeps_its_place_below():
    # 3, 2, 1: the first goes up and fails; of n = 3 its place is taken. A fourth, worst: n = 4, k = 1
    scheduler = make("asha", max_resource=9, max_trials=4)
    for value in (3.0, 2.0, 1.0):
        tell(scheduler, scheduler.ask(), value)
    climber = scheduler.ask()
    assert step(climber) == (0, 1, 3)
    scheduler.tell(Failed(0, 0, "raised"))
    assert step(scheduler.ask()) == (3, 0, 1)


def test_nobody_is_ever_stopped():
    scheduler = make("asha", max_resource=9, max_trials=9)
    by_value(scheduler, NINE)
    assert not scheduler.stops
    assert [row.stopped for row in scheduler.counts()] == [0, 0, 0]
    assert [row.reached for row in scheduler.counts()] == [9, 3, 1]
