"""PASHA over many searches: what is stable stays below, what is not goes up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.asha_core.schedulers.helpers import drive, make

searches = st.fixed_dictionaries(
    {
        "max_resource": st.sampled_from([9, 27, 64, 81]),
        "reduction_factor": st.integers(2, 4),
        "mode": st.sampled_from(["min", "max"]),
    }
)
many = settings(max_examples=60, deadline=None)


@pytest.mark.long
@many
@given(
    searches,
    st.integers(1, 80),
    st.integers(1, 9),
    st.integers(1, 10**6),
    st.lists(st.floats(-5, 5), min_size=1, max_size=9),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_while_curves_never_change_their_order_nothing_is_unlocked(
    search, trials, workers, salt, common, random, every_unit
):
    scheduler = make("pasha", **search, max_trials=trials)
    # each trial has a level of its own (with ties), and all go the same way from there
    drive(
        scheduler,
        lambda trial, unit: trial * 7919 % salt % 50 + common[unit % len(common)],
        workers,
        random.randrange,
        every_unit,
    )
    assert scheduler.unlocked == scheduler.levels[1]
    assert scheduler.epsilon == 0.0
    assert not any(row.promoted for row in scheduler.counts()[1:])


@pytest.mark.long
@settings(max_examples=15, deadline=None)
@given(searches, st.integers(1, 9), st.randoms(use_true_random=False))
def test_where_each_rung_turns_the_order_round_all_is_unlocked_that_is_reached_by_two(
    search, workers, random
):
    scheduler = make("pasha", **search, max_trials=250)
    levels = scheduler.levels

    def value(trial, unit):  # distinct, and at each rung the other way round
        return (-1.0) ** levels.index(unit) * (trial * 7919 % 997)

    drive(scheduler, value, workers, random.randrange)
    reached = [row.reached for row in scheduler.counts()]
    for rung in range(1, len(levels) - 1):
        if levels[rung] <= scheduler.unlocked:
            assert (scheduler.unlocked > levels[rung]) == (reached[rung] >= 2)
    assert scheduler.unlocked > levels[1]


@pytest.mark.long
@many
@given(st.integers(20, 120), st.integers(1, 9), st.integers(0, 99), st.randoms(use_true_random=False))
def test_nobody_goes_beyond_what_is_unlocked_and_it_is_never_locked_again(trials, workers, salt, random):
    scheduler = make("pasha", max_resource=32, reduction_factor=2, max_trials=trials)
    plain_ask, unlocked = scheduler.ask, [2]

    def ask():
        job = plain_ask()
        assert unlocked[-1] <= scheduler.unlocked
        assert job is None or job.until <= scheduler.unlocked
        unlocked.append(scheduler.unlocked)
        return job

    scheduler.ask = ask  # the same scheduler, watched
    drive(
        scheduler,
        lambda trial, unit: trial % 13 + (trial * unit * 7919 + salt) % 101 / 40,
        workers,
        random.randrange,
        True,
    )
    went = max(job.until for job in scheduler.trials)
    assert went <= scheduler.unlocked
