"""What a search will cost, worked out by hand."""

from __future__ import annotations

import pytest

from asha_core.schedulers.brackets import (
    Bracket,
    affordable_trials,
    bracket_rungs,
    bracket_units,
    expected_rungs,
    rungs_until,
)


def rows(rungs):
    return [(rung.level, rung.trials, rung.units) for rung in rungs]


@pytest.mark.parametrize(
    ("levels", "eta", "trials", "survivors", "expected"),
    [
        # 81 + 27 * 2 + 9 * 6 + 3 * 18 + 1 * 54
        ((1, 3, 9, 27, 81), 3, 81, 0, [(1, 81, 81), (3, 27, 54), (9, 9, 54), (27, 3, 54), (81, 1, 54)]),
        ((1, 3, 5), 3, 17, 0, [(1, 17, 17), (3, 5, 10), (5, 1, 2)]),
        ((4, 8), 2, 7, 0, [(4, 7, 28), (8, 3, 12)]),
        ((1, 3, 9), 3, 2, 0, [(1, 2, 2), (3, 0, 0), (9, 0, 0)]),
        ((1, 3, 9), 3, 2, 1, [(1, 2, 2), (3, 1, 2), (9, 1, 6)]),  # at least one goes on
        ((1, 3, 9), 3, 0, 1, [(1, 0, 0), (3, 0, 0), (9, 0, 0)]),  # if there is one
        ((1, 3, 9), 3, 7, 1, [(1, 7, 7), (3, 2, 4), (9, 1, 6)]),
        ((7,), 3, 5, 0, [(7, 5, 35)]),
    ],
)
def test_each_rung_is_reached_by_the_floor_of_those_below(levels, eta, trials, survivors, expected):
    assert rows(expected_rungs(levels, eta, trials, survivors)) == expected


def test_brackets_are_added_up_by_level():
    # 9 3 1 from 1, and twice 5 1 from 3 (6 units further), and 3 from 9
    brackets = [Bracket((1, 3, 9), 9), Bracket((3, 9), 5, times=2), Bracket((9,), 3)]
    assert rows(bracket_rungs(brackets, 3)) == [
        (1, 9, 9),
        (3, 3 + 2 * 5, 3 * 2 + 2 * 5 * 3),
        (9, 1 + 2 * 1 + 3, 6 + 2 * 6 + 3 * 9),
    ]
    assert bracket_units(brackets, 3) == 9 + 36 + 45
    # two of three go nowhere without survivors
    assert rows(bracket_rungs([Bracket((1, 3), 2)], 3, 1)) == [(1, 2, 2), (3, 1, 2)]


@pytest.mark.parametrize(
    ("units", "trials"),
    [(63, 27), (62.999, 26), (7, 5), (9, 5), (6.5, 4), (10, 6), (1, 1), (0.99, 0), (0, 0), (-5, 0)],
)
def test_the_most_trials_that_units_pay_for(units, trials):
    # with levels 1, 3, 9 and eta 3: 27 + 18 + 18 = 63; 5 + 2 * 1 = 7; 4 + 2 = 6; 6 + 2 * 2 = 10
    assert affordable_trials(lambda n: bracket_units([Bracket((1, 3, 9), n)], 3), units) == trials


def test_one_unit_a_trial_is_the_least_that_a_trial_costs():
    assert affordable_trials(lambda n: n, 1000) == 1000


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        (0, [(1, 0, 0), (3, 0, 0), (9, 0, 0)]),
        (26, [(1, 26, 26), (3, 0, 0), (9, 0, 0)]),
        (32, [(1, 27, 27), (3, 2, 5), (9, 0, 0)]),
        (62, [(1, 27, 27), (3, 9, 18), (9, 2, 17)]),
        (63, [(1, 27, 27), (3, 9, 18), (9, 3, 18)]),
        (99, [(1, 27, 27), (3, 9, 18), (9, 3, 18)]),
    ],
)
def test_nobody_goes_on_before_a_rung_is_complete(units: int, expected: list[tuple[int, int, int]]) -> None:
    assert rows(rungs_until(expected_rungs((1, 3, 9), 3, 27), units)) == expected


def test_rungs_that_nobody_reaches_take_nothing() -> None:
    assert rows(rungs_until(expected_rungs((2, 6), 3, 2), 5)) == [(2, 2, 4), (6, 0, 0)]
