"""Synchronous successive halving, worked out by hand."""

from __future__ import annotations

import math

import pytest

from asha_core.errors import SettingError
from asha_core.messages import Failed, Lost, Rejected, Verdict
from asha_core.schedulers.brackets import Bracket
from asha_core.schedulers.state import RungCounts, Status
from tests.asha_core.schedulers.helpers import NINE, Few, by_value, drive, fresh, make, step, tell


@pytest.mark.parametrize(
    ("values", "mode", "goes_on"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], "max", [(8, 1, 3), (7, 1, 3), (6, 1, 3), (8, 3, 9)]),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1], "min", [(8, 1, 3), (7, 1, 3), (6, 1, 3), (8, 3, 9)]),
        ([9, 8, 7, 6, 5, 4, 3, 2, 1], "max", [(0, 1, 3), (1, 1, 3), (2, 1, 3), (0, 3, 9)]),
        ([4] * 9, "max", [(0, 1, 3), (1, 1, 3), (2, 1, 3), (0, 3, 9)]),  # of equals, the earlier
        (NINE, "max", [(2, 1, 3), (6, 1, 3), (4, 1, 3), (2, 3, 9)]),  # 9, 9, 8 of 5 1 9 2 8 3 9 7 6
        (
            [math.nan] * 8 + [1],
            "max",
            [(8, 1, 3), (8, 3, 9)],
        ),  # places for 3 and for 1: the only one takes both
        ([math.nan] * 7 + [1, 2], "min", [(7, 1, 3), (8, 1, 3), (7, 3, 9)]),
        ([math.inf] * 9, "max", []),
    ],
)
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_nine_trials(values, mode, goes_on, workers):
    scheduler = make("sh", max_resource=9, max_trials=9, mode=mode)
    assert by_value(scheduler, values, workers) == [*fresh(range(9)), *goes_on]
    # nobody is left waiting
    assert not any(row.paused or row.running for row in scheduler.counts())


def test_values_that_change_with_the_resource():
    # 2, 6 and 4 go on; at 3 units they have 1.0, 3.0 and 2.0
    scheduler = make("sh", max_resource=9, max_trials=9)
    jobs = drive(scheduler, lambda trial, until: NINE[trial] if until == 1 else trial / 2)
    assert jobs == [*fresh(range(9)), (2, 1, 3), (6, 1, 3), (4, 1, 3), (6, 3, 9)]
    assert scheduler.counts() == [
        RungCounts(1, promoted=3, stopped=6),
        RungCounts(3, promoted=1, stopped=2),
        RungCounts(9, done=1),
    ]


def test_nobody_goes_on_before_the_last_has_arrived():
    scheduler = make("sh", max_resource=9, max_trials=3)
    jobs = [scheduler.ask() for _ in range(3)]
    assert tell(scheduler, jobs[1], 2.0) is Verdict.PAUSE
    assert tell(scheduler, jobs[2], 1.0) is Verdict.PAUSE
    assert scheduler.ask() is None  # trial 0 may be the best of all
    assert tell(scheduler, jobs[0], 3.0) is Verdict.PAUSE
    assert [step(scheduler.ask()) for _ in range(2)] == [(0, 1, 3), None]
    assert [trial.status for trial in scheduler.trials[1:]] == [Status.STOPPED, Status.STOPPED]


def test_the_last_to_arrive_is_told_at_once_if_it_does_not_go_on():
    scheduler = make("sh", max_resource=9, max_trials=3)
    jobs = [scheduler.ask() for _ in range(3)]
    tell(scheduler, jobs[0], 3.0)
    tell(scheduler, jobs[1], 2.0)
    assert tell(scheduler, jobs[2], 1.0) is Verdict.STOP


@pytest.mark.parametrize("last", [0, 1, 2])
def test_a_failure_closes_the_rung_as_an_arrival_would(last):
    # 0.1, failed, 0.2 in any order: n = 3, k = 1: trial 2
    scheduler = make("sh", max_resource=9, max_trials=3)
    jobs = [scheduler.ask() for _ in range(3)]
    for trial in ((last + 1) % 3, (last + 2) % 3, last):
        if trial == 1:
            scheduler.tell(Failed(1, 0, "raised"))
        else:
            tell(scheduler, jobs[trial], 0.1 if trial == 0 else 0.2)
    assert [step(scheduler.ask()) for _ in range(2)] == [(2, 1, 3), None]
    assert scheduler.counts()[0] == RungCounts(1, promoted=1, stopped=1, failed=1)


def test_failed_ones_count_in_n():
    # 2 failed, 1 good: floor(3/3) = 1 goes on; and where two are in the bracket, floor(2/3) = 0
    for size, expected in ((3, (0, 1, 3)), (2, None)):
        scheduler = make("sh", max_resource=9, max_trials=size)
        jobs = [scheduler.ask() for _ in range(size)]
        tell(scheduler, jobs[0], 1.0)
        for job in jobs[1:]:
            scheduler.tell(Failed(job.trial, 0, "raised"))
        assert step(scheduler.ask()) == expected


def reached(scheduler):
    return [row.reached + row.failed for row in scheduler.counts()]


def test_places_are_those_of_the_configurations_that_began():
    # 55 of 81 diverge at once: 26 go on though there are 27 places, and there are 9, 3 and 1 above
    scheduler = make("sh", max_resource=81, max_trials=81)
    drive(scheduler, lambda trial, _: math.nan if trial < 55 else float(trial))
    assert reached(scheduler) == [81, 26, 9, 3, 1]


def test_higher_up_too():
    # 27: of the nine at 3 units seven diverge there; two go on, for three places, and one to the last rung
    scheduler = make("sh", max_resource=27, max_trials=27)
    drive(scheduler, lambda trial, unit: math.nan if unit == 3 and trial < 25 else float(trial))
    assert reached(scheduler) == [27, 9, 2, 1]


def test_by_the_rules_of_a_search_that_was_begun_before_they_shrink():
    for values, trials, R, counts in (
        ([math.nan] * 7 + [1, 2], 9, 9, [9, 2, 0]),
        ([math.nan] * 55 + list(range(26)), 81, 81, [81, 26, 8, 2, 0]),
    ):
        scheduler = make("sh", max_resource=R, max_trials=trials)
        scheduler.go_on_as({"name": "sh"})
        by_value(scheduler, values)
        assert reached(scheduler) == counts


def test_a_failure_higher_up_does_not_stall_the_bracket():
    # nine; 8, 7, 6 go on; 8 fails, 6 is lost for good: n = 3, k = 1: trial 7
    scheduler = make("sh", max_resource=9, max_trials=9, max_retries=0)
    for _ in range(9):
        job = scheduler.ask()
        tell(scheduler, job, float(job.trial))
    jobs = [scheduler.ask() for _ in range(3)]
    scheduler.tell(Failed(8, 0, "raised"))
    tell(scheduler, jobs[1], 7.0)
    assert scheduler.ask() is None
    assert scheduler.tell(Lost(6, 0, "killed")) is Verdict.STOP
    assert [step(scheduler.ask()) for _ in range(2)] == [(7, 3, 9), None]


def test_a_rejected_one_is_replaced():
    scheduler = make("sh", max_resource=9, max_trials=3)
    jobs = [scheduler.ask() for _ in range(3)]
    tell(scheduler, jobs[0], 3.0)
    tell(scheduler, jobs[1], 2.0)
    scheduler.tell(Rejected(2, "diverges"))  # two of three: the rung stays open
    replacement = scheduler.ask()
    assert step(replacement) == (3, 0, 1)
    tell(scheduler, replacement, 4.0)
    assert [step(scheduler.ask()) for _ in range(2)] == [(3, 1, 3), None]


def test_a_rejected_one_that_cannot_be_replaced_closes_the_rung():
    # four configurations in all, one of them rejected: n = 3, k = 1
    scheduler = make("sh", max_resource=9, searcher=Few(4))
    jobs = [scheduler.ask() for _ in range(4)]
    assert scheduler.ask() is None
    for job, value in zip(jobs, (1.0, 2.0, 3.0), strict=False):
        tell(scheduler, job, value)
    assert scheduler.ask() is None
    scheduler.tell(Rejected(3, "diverges"))
    assert [step(scheduler.ask()) for _ in range(2)] == [(2, 1, 3), None]


def test_a_slot_that_would_be_idle_begins_the_next_bracket():
    # brackets of 3. Two workers: while trial 2 runs, the other slot begins trial 3 of the next bracket
    scheduler = make("sh", max_resource=3, bracket_size=3)
    first, second = scheduler.ask(), scheduler.ask()
    tell(scheduler, first, 1.0)
    third = scheduler.ask()
    tell(scheduler, second, 5.0)
    assert step(scheduler.ask()) == (3, 0, 1)
    tell(scheduler, third, 3.0)
    assert step(scheduler.ask()) == (1, 1, 3)  # the older bracket goes before new trials
    assert step(scheduler.ask()) == (4, 0, 1)
    assert scheduler.counts()[0] == RungCounts(1, running=2, promoted=1, stopped=2)


def test_the_older_bracket_goes_on_first_even_if_it_closed_later():
    scheduler = make("sh", max_resource=9, bracket_size=3, max_trials=6)
    jobs = [scheduler.ask() for _ in range(6)]
    for trial in (3, 4, 5, 0, 1, 2):
        tell(scheduler, jobs[trial], float(trial))
    assert [step(scheduler.ask()) for _ in range(3)] == [(2, 1, 3), (5, 1, 3), None]


def test_brackets_are_compared_each_on_its_own():
    # 1 2 3 | 7 8 9: each bracket sends its best, though 7 and 8 are better than 3
    scheduler = make("sh", max_resource=3, bracket_size=3, max_trials=6)
    assert by_value(scheduler, [1.0, 2.0, 3.0, 7.0, 8.0, 9.0]) == [
        *fresh([0, 1, 2]),
        (2, 1, 3),
        *fresh([3, 4, 5]),
        (5, 1, 3),
    ]


def test_a_bracket_that_is_cut_short_closes_with_what_there_is():
    # brackets of 9, max_trials = 13: the second has 4: k = 1
    scheduler = make("sh", max_resource=3, bracket_size=9, max_trials=13)
    jobs = by_value(scheduler, [float(trial) for trial in range(13)])
    assert jobs == [*fresh(range(9)), (8, 1, 3), (7, 1, 3), (6, 1, 3), *fresh(range(9, 13)), (12, 1, 3)]


def test_a_bracket_that_waits_in_vain_for_more_closes_when_the_last_begins():
    # brackets of 3, four trials: 3 is in the second bracket when 2, of the first, is screened out
    scheduler = make("sh", max_resource=3, bracket_size=3, max_trials=4)
    jobs = [scheduler.ask() for _ in range(4)]
    scheduler.tell(Rejected(2, "diverges"))
    assert tell(scheduler, jobs[3], 1.0) is Verdict.PAUSE  # another may begin
    assert step(scheduler.ask()) == (4, 0, 1)
    assert scheduler.trials[3].status == Status.STOPPED  # it was the last: n = 1, k = 0


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"max_resource": 81}, 81),  # eta^(rungs - 1)
        ({"max_resource": 200}, 243),  # six rungs
        ({"max_resource": 81, "max_trials": 20}, 20),
        ({"max_resource": 81, "max_trials": 20, "bracket_size": 7}, 7),
        ({"max_resource": 81, "max_trials": 20, "searcher": Few(12)}, 12),
        ({"min_resource": 81, "max_resource": 81}, 1),
    ],
)
def test_the_size_of_a_bracket(settings, size):
    scheduler = make("sh", **settings)
    assert scheduler.bracket_size == size
    assert scheduler.units_to_first_promotion == size * scheduler.levels[0]


def test_a_last_rung_that_is_no_power():
    # levels 1, 3, 5; nine: 9, 3, 1
    scheduler = make("sh", max_resource=5, max_trials=9)
    jobs = by_value(scheduler, [float(trial) for trial in range(9)])
    assert jobs == [*fresh(range(9)), (8, 1, 3), (7, 1, 3), (6, 1, 3), (8, 3, 5)]


def test_the_expected_brackets_are_whole_ones_and_the_rest():
    scheduler = make("sh", max_resource=9, bracket_size=4)
    assert scheduler.brackets(11) == [Bracket((1, 3, 9), 4, 2), Bracket((1, 3, 9), 3, 1)]
    assert scheduler.brackets(8) == [Bracket((1, 3, 9), 4, 2)]
    assert scheduler.brackets(3) == [Bracket((1, 3, 9), 3, 1)]


@pytest.mark.parametrize("size", [0, -3])
def test_a_bracket_has_somebody(size):
    with pytest.raises(SettingError, match=f"bracket_size is {size}: it must be an integer of at least 1"):
        make("sh", bracket_size=size)


def test_when_nobody_else_may_begin_every_bracket_that_lacks_somebody_closes():
    # brackets of two, six configurations in all: 0 1 | 2 3 | 4 _; 1 and 3 are screened out, and 5 takes the
    # place of 1. Then the second and the third bracket have one trial each, and will have no more: of one,
    # floor(1/2) = 0 go on
    scheduler = make("sh", max_resource=4, reduction_factor=2, bracket_size=2, searcher=Few(6))
    jobs = [scheduler.ask() for _ in range(5)]
    for number in (2, 4):
        tell(scheduler, jobs[number], 0.5)
    for number in (1, 3):
        scheduler.tell(Rejected(number, "diverges"))
    assert scheduler.counts()[0].paused == 2
    assert scheduler.ask().trial == 5
    assert [trial.status.name for trial in scheduler.trials] == [
        "RUNNING",
        "REJECTED",
        "STOPPED",
        "REJECTED",
        "STOPPED",
        "RUNNING",
    ]
