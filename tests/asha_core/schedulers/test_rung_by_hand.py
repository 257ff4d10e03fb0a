"""A rung, worked out by hand."""

from __future__ import annotations

import math

import pytest

from asha_core.schedulers.rung import Rung

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("eta", "least", "losses", "in_the_top"),
    [
        # k = 0 0 1 1 1 2
        (3, 0, [3, 2, 1, 4, 0, 2], "..+.+."),  # 1; 0 drives it out; of 0 1 2 2 3 4 with k = 2: 0, 1
        (3, 0, [1, 2, 3, 4, 5, 6], "......"),
        (3, 0, [6, 5, 4, 3, 2, 1], "..++++"),
        (3, 0, [1, 1, 1, 1, 1, 1], "......"),  # k grows for the earlier ones
        (3, 0, [2, 2, 1, 1, 1, 1], "..+..."),  # at the sixth, k = 2: the equal one that came before
        (2, 0, [1, 2, 0, 0], "..++"),  # k = 0 1 1 2: 1; 0 drives it out; 0 0 of 0 0 1 2
        # at least one: k = 1 1 1 1 1 2
        (3, 1, [3, 2, 1, 4, 0, 2], "+++.+."),
        (3, 1, [1, 2, 3, 4, 5, 6], "+....."),
        (3, 1, [1, 1, 1, 1, 1, 1], "+....."),
        (3, 1, [NAN, 5, 6, INF, 4, 3], ".+..++"),
        (3, 1, [NAN, NAN, NAN, INF, -INF], "....."),
        (2, 1, [1, 2, 3, 2, 0], "+...+"),  # k = 1 1 1 2 2: of 1 2 2 3 the later 2 is third
    ],
)
def test_an_arrival_is_told_whether_it_is_in_the_top_at_this_moment(eta, least, losses, in_the_top):
    rung = Rung(1, eta, least)
    assert "".join(".+"[rung.add(trial, float(loss))] for trial, loss in enumerate(losses)) == in_the_top


def test_of_nine_three_go_up_whatever_went_before():
    # the classic mistake takes those that went out of n: it would stop after two
    rung = Rung(1, 3)
    went = []
    for trial in range(9):
        rung.add(trial, float(trial))
        while (number := rung.promote()) is not None:
            went.append((rung.n, number))
    assert went == [(3, 0), (6, 1), (9, 2)]
    assert rung.promoted == 3


def test_who_left_the_top_comes_back_when_it_grows_and_goes_once():
    rung = Rung(1, 2)
    for trial, loss in enumerate([5.0, 4.0, 3.0]):  # k = 1: 4, then 3 drives it out
        rung.add(trial, loss)
    assert rung.promotable() == 2
    rung.add(3, 9.0)  # k = 2: 3, 4
    assert [rung.promote(), rung.promote(), rung.promote()] == [2, 1, None]


def test_who_was_driven_out_of_the_top_does_not_go():
    rung = Rung(1, 2)
    for trial, loss in enumerate([5.0, 4.0, 3.0]):  # k = 1: 4, then 3 drives it out
        rung.add(trial, loss)
    assert [rung.promote(), rung.promote()] == [2, None]


def test_of_equals_that_were_driven_out_the_earlier_comes_back_first():
    rung = Rung(1, 2)
    # k = 2: 5 5. With 1, 0, 0.5 and k = 2, 3, 3 both are driven out, the later one first; then k = 4
    for trial, loss in enumerate([9.0, 5.0, 9.0, 5.0, 1.0, 0.0, 0.5, 9.0]):
        rung.add(trial, loss)
    assert [rung.promote() for _ in range(5)] == [5, 6, 4, 1, None]


def test_who_went_and_left_the_top_does_not_go_again():
    rung = Rung(1, 2)
    rung.add(0, 2.0)
    rung.add(1, 3.0)
    assert rung.promote() == 0
    rung.add(2, 1.0)  # k = 1: drives 0 out
    assert rung.promote() == 2
    rung.add(3, 5.0)  # k = 2: 0 is back
    assert rung.promote() is None
    assert rung.promoted == 2


def test_the_best_goes_first():
    rung = Rung(1, 2)
    for trial, loss in enumerate([4.0, 2.0, 3.0, 1.0, 7.0, 8.0]):
        rung.add(trial, loss)
    assert [rung.promote() for _ in range(4)] == [3, 1, 2, None]


def test_of_equals_the_earlier_arrival_goes_first_whatever_its_number():
    rung = Rung(1, 3)
    for trial in (8, 2, 5, 1, 7, 3):
        rung.add(trial, 1.0)
    assert [rung.promote(), rung.promote(), rung.promote()] == [8, 2, None]


@pytest.mark.parametrize("odd", [NAN, INF, -INF])
def test_what_is_not_finite_counts_and_is_never_promoted(odd):
    rung = Rung(1, 3)
    for trial, loss in enumerate([odd, odd, 7.0]):
        rung.add(trial, loss)
    assert [rung.promote(), rung.promote()] == [2, None]
    for trial in range(3, 9):
        rung.add(trial, odd)
    assert rung.promote() is None
    assert rung.n == 9
