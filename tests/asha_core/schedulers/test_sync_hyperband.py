"""Synchronous Hyperband, worked out by hand."""

from __future__ import annotations

import math

from asha_core.messages import Failed, Lost, Rejected
from asha_core.schedulers.brackets import Bracket
from asha_core.schedulers.state import RungCounts
from tests.asha_core.schedulers.helpers import Few, by_value, fresh, make, step, tell

# r = 1, R = 9, eta = 3: brackets of ceil(3/3 * 9) = 9 from 1 unit, ceil(3/2 * 3) = 5 from 3, and
# ceil(3 * 1) = 3 from 9
FIRST = [*fresh(range(9), 1), (8, 1, 3), (7, 1, 3), (6, 1, 3), (8, 3, 9)]
SECOND = [*fresh(range(9, 14), 3), (13, 3, 9)]  # floor(5/3) = 1
THIRD = fresh(range(14, 17), 9)


def improving(trials: int, **settings):
    scheduler = make("sync-hyperband", max_resource=9, max_trials=trials, **settings)
    return by_value(scheduler, [float(trial) for trial in range(trials)])


def test_a_whole_round_on_one_worker():
    assert improving(17) == [*FIRST, *SECOND, *THIRD]


def test_after_the_last_bracket_comes_the_first_again():
    # the fourth bracket is cut short at 3 of 9: k = 1, and then 1 of 3: k = 0
    assert improving(20) == [*FIRST, *SECOND, *THIRD, *fresh(range(17, 20), 1), (19, 1, 3)]


def test_a_bracket_that_is_cut_short_closes_with_what_there_is():
    # 3 of 5 in the second bracket: k = 1
    assert improving(12) == [*FIRST, *fresh(range(9, 12), 3), (11, 3, 9)]
    # 2 of 5: nobody
    assert improving(11) == [*FIRST, *fresh(range(9, 11), 3)]


def test_a_grid_that_is_exhausted_closes_it_too():
    scheduler = make("sync-hyperband", max_resource=9, searcher=Few(12))
    jobs = by_value(scheduler, [float(trial) for trial in range(12)])
    assert jobs == [*FIRST, *fresh(range(9, 12), 3), (11, 3, 9)]


def test_the_brackets_of_81_have_the_sizes_of_the_paper():
    # ceil(5/(s+1) * 3^s): 81, 33.75, 15, 7.5, 5; twice through, all at once
    scheduler = make("sync-hyperband", max_resource=81)
    for _ in range(2):
        for level, size in zip((1, 3, 9, 27, 81), (81, 34, 15, 8, 5), strict=True):
            assert [scheduler.ask().until for _ in range(size)] == [level] * size
    assert scheduler.whole_bracket == 143
    assert scheduler.units_to_first_promotion == 81
    assert list(scheduler.first_rungs) == [0, 1, 2, 3, 4]


def test_levels_that_are_no_powers():
    # floor(200/3^s)
    scheduler = make("sync-hyperband", max_resource=200)
    assert scheduler.levels == (2, 7, 22, 66, 200)
    assert scheduler.ask().until == 2
    assert scheduler.units_to_first_promotion == 81 * 2


def test_an_idle_slot_begins_the_next_bracket_and_the_older_goes_on_first():
    scheduler = make("sync-hyperband", max_resource=3)  # brackets: ceil(2/2 * 3) = 3 from 1 unit, 2 from 3
    jobs = [scheduler.ask() for _ in range(4)]
    assert [step(job) for job in jobs] == [*fresh([0, 1, 2], 1), (3, 0, 3)]
    for trial in (0, 1, 2):
        tell(scheduler, jobs[trial], -float(trial))
    assert [step(scheduler.ask()) for _ in range(3)] == [(0, 1, 3), (4, 0, 3), (5, 0, 1)]


def test_a_slow_trial_holds_up_its_own_bracket_alone():
    # trial 0 of the first bracket is still running when the second, 9 to 13, is through
    scheduler = make("sync-hyperband", max_resource=9, max_trials=14)
    jobs = [scheduler.ask() for _ in range(14)]
    for job in jobs[1:]:
        tell(scheduler, job, float(job.trial))
    assert [step(scheduler.ask()) for _ in range(2)] == [(13, 3, 9), None]
    assert scheduler.counts()[0] == RungCounts(1, running=1, paused=8)
    tell(scheduler, jobs[0], 20.0)
    assert [step(scheduler.ask()) for _ in range(4)] == [(0, 1, 3), (8, 1, 3), (7, 1, 3), None]


def test_the_only_trial_of_a_bracket_screened_out_is_replaced_in_it():
    # with one worker it is alone in its bracket; the bracket is not over for that
    scheduler = make("sync-hyperband", max_resource=9)
    for trial in range(3):
        assert step(scheduler.ask()) == (trial, 0, 1)
        scheduler.tell(Rejected(trial, "diverges"))
    assert [step(scheduler.ask()) for _ in range(10)] == [*fresh(range(3, 12), 1), (12, 0, 3)]


def test_a_rejected_one_is_replaced_in_its_own_bracket():
    # nine in the first bracket; the second has begun when one of the first is screened out
    scheduler = make("sync-hyperband", max_resource=9)
    for _ in range(10):
        scheduler.ask()
    scheduler.tell(Rejected(4, "diverges"))
    assert [step(scheduler.ask()) for _ in range(2)] == [(10, 0, 1), (11, 0, 3)]


def test_a_rejected_one_of_a_later_bracket_is_screened_out_and_not_failed():
    scheduler = make("sync-hyperband", max_resource=9)
    for _ in range(17):
        scheduler.ask()
    scheduler.tell(Rejected(9, "diverges"))  # from 3 units
    scheduler.tell(Failed(16, 0, "no such size", kind="invalid"))  # from 9 units
    assert (scheduler.rejected, scheduler.failures) == (2, 0)
    assert [step(scheduler.ask()) for _ in range(3)] == [(17, 0, 3), (18, 0, 9), (19, 0, 1)]


def test_failures_do_not_stall_a_bracket():
    # the second bracket, of 5 from 3 units: four fail or are lost for good, the fifth goes on: floor(5/3) = 1
    scheduler = make("sync-hyperband", max_resource=9, max_trials=14, max_retries=0)
    jobs = [scheduler.ask() for _ in range(14)]
    tell(scheduler, jobs[9], 1.0)
    for trial in (10, 11):
        scheduler.tell(Failed(trial, 0, "raised"))
    for trial in (12, 13):
        scheduler.tell(Lost(trial, 0, "killed"))
    assert step(scheduler.ask()) == (9, 3, 9)
    assert scheduler.counts()[1] == RungCounts(3, promoted=1, failed=4)


def test_a_bracket_in_which_all_fail_is_over():
    scheduler = make("sync-hyperband", max_resource=3, max_trials=5)  # 3 from 1 unit, 2 from 3
    for _ in range(3):
        job = scheduler.ask()
        scheduler.tell(Failed(job.trial, 0, "raised"))
    assert [step(scheduler.ask()) for _ in range(3)] == [(3, 0, 3), (4, 0, 3), None]


def test_places_of_each_bracket_are_those_of_what_began_in_it():
    # 9 from 1 unit, of which 8 diverge; 5 from 3 units, of which 4 do
    scheduler = make("sync-hyperband", max_resource=9, max_trials=14)
    values = [math.nan] * 8 + [1.0] + [math.nan] * 4 + [1.0]
    assert by_value(scheduler, values)[-1] == (13, 3, 9)
    assert [row.reached for row in scheduler.counts()] == [9, 6, 2]
    scheduler = make("sync-hyperband", max_resource=9, max_trials=14)
    scheduler.go_on_as({"name": "sync-hyperband"})  # as it was: nobody beyond 3 units in the first
    by_value(scheduler, values)
    assert [row.reached for row in scheduler.counts()] == [9, 6, 1]


def test_places_count_from_the_rung_where_the_bracket_begins():
    # R = 27: 27 from 1 unit, and 12 from 3 units, of which 10 diverge: 12, 2 of 4, 1 of 1
    scheduler = make("sync-hyperband", max_resource=27, max_trials=39)
    values = [math.nan] * 37 + [1.0, 2.0]
    assert by_value(scheduler, values)[-3:] == [(38, 3, 9), (37, 3, 9), (38, 9, 27)]


def test_the_bracket_without_halving_stops_nobody():
    scheduler = make("sync-hyperband", max_resource=3, max_trials=5)
    by_value(scheduler, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert scheduler.counts() == [RungCounts(1, promoted=1, stopped=2), RungCounts(3, done=3)]


def test_the_expected_brackets_are_rounds_and_the_beginning_of_one():
    # a round is 9 + 5 + 3 = 17; 40 = 2 * 17 + 6
    scheduler = make("sync-hyperband", max_resource=9)
    assert scheduler.brackets(40) == [
        Bracket((1, 3, 9), 9, 2),
        Bracket((1, 3, 9), 6, 1),
        Bracket((3, 9), 5, 2),
        Bracket((9,), 3, 2),
    ]
    assert scheduler.brackets(16) == [Bracket((1, 3, 9), 9), Bracket((3, 9), 5), Bracket((9,), 2)]
