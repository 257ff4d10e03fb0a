"""PASHA, worked out by hand: levels 1, 2, 4, 8 unless something else is said, the larger the better."""

from __future__ import annotations

import math

import pytest

from asha_core.messages import Failed, Rejected
from asha_core.schedulers.brackets import Bracket
from asha_core.schedulers.state import RungCounts
from tests.asha_core.schedulers.helpers import by_value, drive, fresh, make, planned_at_the_top, step, tell


def pasha(**settings):
    return make("pasha", **{"max_resource": 8, "reduction_factor": 2, **settings})


def table(values):
    """A value by trial and unit; where a unit is not named, the trial's number + 1."""
    return lambda trial, unit: float(values.get((trial, unit), trial + 1))


STABLE = [
    *fresh([0, 1]),  # n = 2, k = 1
    (1, 1, 2),
    (2, 0, 1),  # 1 2 3: k = 1
    (2, 1, 2),  # 2 3 at 2 units: k = 1, but nobody goes beyond
    (3, 0, 1),
    (3, 1, 2),
]


def test_a_stable_ranking_unlocks_nothing():
    scheduler = pasha(max_trials=4)
    assert by_value(scheduler, [1.0, 2.0, 3.0, 4.0]) == STABLE
    assert (scheduler.unlocked, scheduler.epsilon) == (2, 0.0)
    assert scheduler.counts()[1] == RungCounts(2, paused=3)


def test_a_ranking_that_flips_unlocks_the_next_rung():
    # at 2 units trial 1 has 5, trial 2 has 4. There: 1, 2. Below: 2 (3), 1 (2). Position 0: |2 - 3| > 0
    scheduler = pasha(max_trials=4)
    assert drive(scheduler, table({(1, 2): 5, (2, 2): 4, (3, 2): 3})) == [
        *STABLE[:5],
        (1, 2, 4),  # unlocked: 5 4 at 2 units, k = 1
        (3, 0, 1),
        (3, 1, 2),  # 5 4 3 at 2 units, k = 1: gone. Nobody compares this rung any more
    ]
    assert scheduler.unlocked == 4


def test_rungs_are_unlocked_one_at_a_time_and_in_the_end_the_last():
    # as before at 2 units; a fourth, the best at 1 and 2 units, goes on to 4 and is behind trial 1 there
    scheduler = pasha(max_trials=4)
    assert drive(scheduler, table({(1, 2): 5, (2, 2): 4, (1, 4): 9, (3, 2): 6, (3, 4): 8, (1, 8): 9})) == [
        *STABLE[:5],
        (1, 2, 4),  # alone at 4 units
        (3, 0, 1),
        (3, 1, 2),  # 5 4 6 at 2 units: k = 1: trial 3
        (3, 2, 4),  # at 4 units: 1 (9), 3 (8); below: 3 (6), 1 (5): the last rung is unlocked
        (1, 4, 8),  # 9 8: k = 1
    ]
    assert scheduler.unlocked == 8
    # all is unlocked: no curve is kept or followed any more
    assert not scheduler.observes
    assert not scheduler._curves


def test_a_rung_is_compared_with_the_one_right_below():
    # trials 1 and 3 at 1, 2 and 4 units: 2 and 4, 6 and 5.5, 9 and 8. Trial 2 flips with 1 and unlocks 4;
    # at 4 units the ranking is that at 2 units, though not that at 1
    scheduler = pasha(max_trials=5)
    values = {(1, 2): 6, (2, 2): 4, (3, 2): 5.5, (4, 2): 1, (1, 4): 9, (3, 4): 8}
    assert drive(scheduler, table(values)) == [
        *STABLE[:5],
        (1, 2, 4),
        (3, 0, 1),
        (3, 1, 2),  # 6 4 5.5: k = 1
        (4, 0, 1),
        (4, 1, 2),  # 6 4 5.5 1: k = 2: trial 3
        (3, 2, 4),
    ]
    assert scheduler.unlocked == 4


def test_equal_values_are_no_disagreement():
    # trials 1 and 2 are equal below, and in the other order above
    scheduler = pasha(max_trials=3)
    drive(scheduler, table({(1, 1): 3, (2, 1): 3.0, (0, 1): 0, (1, 2): 1, (2, 2): 2}))
    assert scheduler.unlocked == 2


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_value_that_is_not_finite_ranks_last(odd, mode):
    # the best below is the last above
    sign = 1 if mode == "max" else -1
    scheduler = pasha(max_trials=3, mode=mode)
    drive(scheduler, lambda trial, unit: odd if (trial, unit) == (2, 2) else sign * (trial + 1.0))
    assert scheduler.unlocked == 4


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_where_it_was_the_worst_is_no_disagreement(odd):
    # 1 2 3 4 at 1 unit: 3 and 2 go on, and 2 is the last above as it was below, whoever comes first
    for order in ((0, 1), (1, 0)):
        scheduler = pasha(max_trials=4)
        for job in [scheduler.ask() for _ in range(4)]:
            tell(scheduler, job, job.trial + 1.0)
        climbers = [scheduler.ask(), scheduler.ask()]
        assert [step(job) for job in climbers] == [(3, 1, 2), (2, 1, 2)]
        for climber in order:
            tell(scheduler, climbers[climber], odd if climber else 4.0)
        assert scheduler.unlocked == 2


def curves(*, end: float, first: float):
    """Two trials, both promoted from 4 to 8 units. At 4 the second is better by 2; at 8 the first by ``end``.

    At unit 1 the first is ahead by ``first``.
    """
    gap = {1: first, 2: -1.0, 3: -2.0, 4: -2.0, 5: -2.0, 6: -1.0, 7: 0.0, 8: end}
    return lambda trial, unit: 100 - 50 * (trial in (2, 3)) + unit + (gap[unit] if trial == 0 else 0)


def two_promoted(scheduler, value, skipped=()):
    """Four trials to 4 units, then 1 and 0 to 8."""
    jobs = [scheduler.ask() for _ in range(4)]
    for _ in range(2):
        for job in jobs:
            for unit in range(job.start + 1, job.until + 1):
                if (job.trial, unit) not in skipped:
                    tell(scheduler, job, value(job.trial, unit), unit)
        jobs = [scheduler.ask() for _ in range(2)] if len(jobs) == 4 else []
        assert [step(job) for job in jobs] in ([(1, 4, 8), (0, 4, 8)], [])


@pytest.mark.parametrize(
    ("end", "first", "unlocked", "epsilon"),
    [
        (3.0, 1.0, 8, 3.0),  # ahead, behind, ahead: crossed and crossed back. They end 3 apart; 2 <= 3
        (2.0, 1.0, 8, 2.0),  # 2 <= 2
        (1.5, 1.0, 16, 1.5),  # 2 > 1.5
        (3.0, -1.0, 16, 0.0),  # behind, then ahead: crossed once
        (3.0, 0.0, 16, 0.0),  # equal at first: no order
    ],
)
def test_curves_that_cross_and_cross_back_say_how_much_does_not_matter(end, first, unlocked, epsilon):
    scheduler = pasha(min_resource=4, max_resource=32, max_trials=4)
    two_promoted(scheduler, curves(end=end, first=first))
    assert (scheduler.unlocked, scheduler.epsilon) == (unlocked, epsilon)


def test_units_that_were_not_reported_are_left_out_of_the_curves():
    # the crossing is seen at unit 1 alone; if one of the two did not report it, there is none
    for trial in (0, 1):
        scheduler = pasha(min_resource=4, max_resource=32, max_trials=4)
        two_promoted(scheduler, curves(end=3.0, first=1.0), {(trial, 1)})
        assert (scheduler.unlocked, scheduler.epsilon) == (16, 0.0)
    # if it is another unit, there is
    for trial, unit in ((0, 2), (1, 3), (0, 7)):
        scheduler = pasha(min_resource=4, max_resource=32, max_trials=4)
        two_promoted(scheduler, curves(end=3.0, first=1.0), {(trial, unit)})
        assert (scheduler.unlocked, scheduler.epsilon) == (8, 3.0)


def test_epsilon_is_kept_where_no_curves_crossed_back():
    # 1.5 apart at 8 units: epsilon 1.5, and 16 is unlocked. There are no such curves at 16, yet
    scheduler = pasha(min_resource=4, max_resource=32, max_trials=4)
    two_promoted(scheduler, curves(end=1.5, first=1.0))
    job = scheduler.ask()
    assert step(job) == (0, 8, 16)
    tell(scheduler, job, 200.0)
    assert scheduler.epsilon == 1.5


def test_curves_go_on_where_they_were_before_a_rung():
    # in two jobs as in one: the crossing at unit 1 was in the first job of the trial, before it was promoted
    scheduler = pasha(min_resource=4, max_resource=32, max_trials=4)
    two_promoted(scheduler, curves(end=3.0, first=1.0))
    assert len(scheduler._curves[0].losses) == 8


def test_who_failed_on_the_way_says_nothing_about_the_ranking_and_is_forgotten():
    scheduler = pasha(max_trials=5)
    jobs = [scheduler.ask() for _ in range(5)]
    for job in jobs[:4]:
        tell(scheduler, job, job.trial + 1.0)
    best, second = scheduler.ask(), scheduler.ask()  # 4 entries, k = 2
    assert (best.trial, second.trial) == (3, 2)
    scheduler.tell(Failed(3, 0, "raised"))
    tell(scheduler, second, 3.0)
    assert scheduler.unlocked == 2
    assert set(scheduler._curves) == {0, 1, 2}


def test_who_was_screened_out_is_forgotten():
    scheduler = pasha(min_resource=4, max_resource=32)
    tell(scheduler, scheduler.ask(), 1.0, 1)
    assert set(scheduler._curves) == {0}
    scheduler.tell(Rejected(0, "diverges"))
    assert not scheduler._curves


def test_a_failure_counts_in_its_rung_as_in_asha():
    # failed, 2 at 1 unit: n = 2, k = 1
    scheduler = pasha(max_trials=2)
    jobs = [scheduler.ask() for _ in range(2)]
    scheduler.tell(Failed(0, 0, "raised"))
    tell(scheduler, jobs[1], 2.0)
    assert step(scheduler.ask()) == (1, 1, 2)


@pytest.mark.parametrize(("r", "R"), [(8, 8), (4, 8), (4, 7)])
def test_with_one_rung_or_two_it_is_asha(r, R):
    settings = {"min_resource": r, "max_resource": R, "reduction_factor": 2, "max_trials": 8}
    both = [make(name, **settings) for name in ("pasha", "asha")]
    values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0]
    jobs = [drive(scheduler, lambda trial, unit: values[trial] * (-1) ** unit, 2) for scheduler in both]
    assert jobs[0] == jobs[1]
    assert both[0].unlocked == R


def test_three_rungs_are_enough_to_hold_somebody_back():
    # levels 1, 2, 4: 4 is locked at first
    scheduler = pasha(max_resource=4, max_trials=4)
    assert by_value(scheduler, [1.0, 2.0, 3.0, 4.0]) == STABLE
    assert scheduler.unlocked == 2


def test_plans_take_what_is_unlocked_and_at_most_everything():
    scheduler = pasha()
    assert scheduler.brackets(10) == [Bracket((1, 2), 10)]
    assert scheduler.largest_brackets(10) == [Bracket((1, 2, 4, 8), 10)]
    assert scheduler.expected_units(10) == 10 + 5  # 5 of 10 to the second unit
    assert planned_at_the_top(scheduler, 10) == 1  # 10 5 2 1
