"""How each scheduler expects its configurations to be spread, and that it does what it says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.messages import Report
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.schedulers.brackets import (
    Bracket,
    affordable_trials,
    bracket_rungs,
    bracket_units,
    expected_rungs,
)
from asha_core.schedulers.hyperband import Hyperband
from asha_core.schedulers.pasha import PASHA
from asha_core.schedulers.successive_halving import SuccessiveHalving
from asha_core.schedulers.sync_hyperband import SynchronousHyperband
from asha_core.space import Float, SearchSpace
from asha_core.streams import uniforms
from tests.asha_core.schedulers.helpers import planned_at_the_top

SPACE = SearchSpace({"x": Float(0.0, 1.0)})
quick = settings(max_examples=60, deadline=None)
names = st.sampled_from(list(MODEL_FREE))
rules = st.tuples(st.integers(1, 6), st.integers(0, 120), st.integers(2, 5))


def make(name, rule=(1, 80, 3), **others):
    r, more, eta = rule
    return scheduler_class(name)(SPACE, min_resource=r, max_resource=r + more, reduction_factor=eta, **others)


def play(scheduler, seed=0):
    """Run it to its end, four jobs at a time; nothing fails and all values differ."""
    running = []
    while True:
        while len(running) < 4 and (job := scheduler.ask()) is not None:
            running.append(job)
        if not running:
            return
        job = running.pop(0)
        value = uniforms(seed, "value", 1000 * job.trial + job.until, 1)[0]
        scheduler.tell(Report(job.trial, job.attempt, job.until, value, 1.0))


# -- laws ------------------------------------------------------------------------------------------


@quick
@given(names, rules, st.integers(0, 2000))
def test_every_configuration_is_in_one_bracket(name, rule, trials):
    scheduler = make(name, rule)
    for found in (scheduler.brackets(trials), scheduler.largest_brackets(trials)):
        assert sum(bracket.trials * bracket.times for bracket in found) == trials
        for bracket in found:
            assert set(bracket.levels) <= set(scheduler.levels)
            assert bracket.levels[0] in [scheduler.levels[first] for first in scheduler.first_rungs]
    assert sum(bracket.trials * bracket.times for bracket in make(name, rule, max_trials=9).brackets(9)) == 9


@quick
@given(names, rules, st.integers(0, 2000))
def test_every_bracket_goes_up_to_the_last_rung_but_those_of_pasha(name, rule, trials):
    scheduler = make(name, rule)
    assert all(bracket.levels[-1] == scheduler.levels[-1] for bracket in scheduler.largest_brackets(trials))
    if name != "pasha":
        assert scheduler.largest_brackets(trials) == scheduler.brackets(trials)


@quick
@given(names, rules, st.integers(0, 2000))
def test_expected_units_and_trials_at_the_top_are_those_of_the_plan(name, rule, trials):
    scheduler = make(name, rule)
    rungs = bracket_rungs(scheduler.largest_brackets(trials), scheduler.reduction_factor, scheduler.survivors)
    top = [rung.trials for rung in rungs if rung.level == scheduler.levels[-1]]
    assert planned_at_the_top(scheduler, trials) == sum(top)
    assert scheduler.expected_units(trials) <= sum(rung.units for rung in rungs)
    assert trials * scheduler.levels[0] <= scheduler.expected_units(trials) <= trials * scheduler.levels[-1]


@quick
@given(names, rules)
def test_of_a_whole_bracket_one_is_expected_at_the_top(name, rule):
    scheduler = make(name, rule)
    assert planned_at_the_top(scheduler, scheduler.whole_bracket) >= 1
    (whole, *_) = scheduler.largest_brackets(scheduler.whole_bracket)
    assert whole.levels == scheduler.levels
    assert expected_rungs(whole.levels, scheduler.reduction_factor, whole.trials)[-1].trials >= 1


@quick
@given(st.sampled_from(["asha", "pasha", "sh"]), rules)
def test_with_one_less_than_a_whole_bracket_nobody_is_expected_there(name, rule):
    less = make(name, rule).whole_bracket - 1
    if less:
        assert planned_at_the_top(make(name, rule, max_trials=less), less) == 0


@quick
@given(names, rules, st.floats(0, 1e5))
def test_affordable_trials_fit_and_one_more_does_not(name, rule, units):
    scheduler = make(name, rule)

    def cost(n):
        found = scheduler.largest_brackets(n)
        return bracket_units(found, scheduler.reduction_factor, scheduler.survivors)

    trials = affordable_trials(cost, units)
    assert cost(trials) <= units < cost(trials + 1)


# -- what was planned is what happens --------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["sh", "sync-hyperband", "random"]), rules, st.integers(1, 150))
def test_a_search_that_waits_for_its_rungs_does_exactly_what_was_planned(name, rule, trials):
    scheduler = make(name, rule, max_trials=trials)
    play(scheduler)
    assert scheduler.units == scheduler.expected_units(trials)
    first = {}
    for bracket in scheduler.brackets(trials):
        for rung in expected_rungs(bracket.levels, scheduler.reduction_factor, bracket.trials):
            first[rung.level] = first.get(rung.level, 0) + rung.trials * bracket.times
    reached = {row.level: row.reached for row in scheduler.counts()}
    assert reached == {level: first.get(level, 0) for level in scheduler.levels}


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["asha", "asha-stopping"]), rules, st.integers(1, 150), st.integers(0, 99))
def test_a_search_that_does_not_wait_promotes_no_fewer_from_a_rung_than_its_share(name, rule, trials, seed):
    scheduler = make(name, rule, max_trials=trials)
    play(scheduler, seed)
    for below, row in zip(scheduler.counts(), scheduler.counts()[1:], strict=False):
        least = below.reached // scheduler.reduction_factor if name == "asha" else min(below.reached, 1)
        assert row.reached >= least
    assert scheduler.counts()[0].reached == trials


def test_each_bracket_of_hyperband_gets_about_the_trials_that_were_planned():
    scheduler = make("hyperband", max_trials=1707)
    play(scheduler)
    begun = [sum(trial.first == first for trial in scheduler.trials) for first in range(5)]
    for planned, found in zip((972, 405, 180, 90, 60), begun, strict=True):
        assert found == pytest.approx(planned, abs=4 * planned**0.5)


# -- by hand ---------------------------------------------------------------------------------------


def test_hyperbands_brackets_by_hand():
    # (s_max + 1) / (s + 1) * eta^s for s = 4 ... 0: 81, 135/4, 15, 15/2, 5; times 12
    scheduler = make("hyperband")
    assert scheduler.levels == (1, 3, 9, 27, 81)
    assert scheduler.brackets(1707) == [
        Bracket((1, 3, 9, 27, 81), 972),
        Bracket((3, 9, 27, 81), 405),
        Bracket((9, 27, 81), 180),
        Bracket((27, 81), 90),
        Bracket((81,), 60),
    ]
    # each is expected to spend about the same
    assert [bracket_units([bracket], 3) for bracket in scheduler.brackets(1707)] == [
        3564,
        3645,
        3780,
        4050,
        4860,
    ]
    assert scheduler.brackets(1) == [Bracket((1, 3, 9, 27, 81), 1)]
    assert scheduler.whole_bracket == 143  # 81 * 1707 / 972 = 142.25


def test_synchronous_hyperbands_brackets_by_hand():
    scheduler = make("sync-hyperband")
    ladder = (1, 3, 9, 27, 81)
    sizes = (81, 34, 15, 8, 5)
    assert scheduler.whole_bracket == 143
    assert scheduler.brackets(143) == [Bracket(ladder[first:], size) for first, size in enumerate(sizes)]
    # 300 = 2 * 143 + 14: fourteen of the next round's first bracket
    assert scheduler.brackets(300) == [
        Bracket(ladder, 81, 2),
        Bracket(ladder, 14),
        *(Bracket(ladder[first:], size, 2) for first, size in enumerate(sizes) if first),
    ]
    # 81 + 34: the first two
    assert scheduler.brackets(115) == [Bracket(ladder, 81), Bracket(ladder[1:], 34)]
    assert scheduler.units_to_first_promotion == 81
    # one round: 81/27/9/3/1, 34/11/3/1, 15/5/1, 8/2, 5 trials at 1/3/9/27/81 units
    rungs = bracket_rungs(scheduler.brackets(143), 3)
    assert [rung.trials for rung in rungs] == [81, 61, 35, 19, 10]
    assert planned_at_the_top(scheduler, 143) == 1 + 1 + 1 + 2 + 5


def test_successive_halvings_brackets_by_hand():
    one = make("sh", max_trials=20)
    assert one.brackets(20) == [Bracket((1, 3, 9, 27, 81), 20)]
    assert one.units_to_first_promotion == 20
    endless = make("sh")
    assert endless.brackets(200) == [Bracket(endless.levels, 81, 2), Bracket(endless.levels, 38)]
    chosen = SuccessiveHalving(SPACE, max_resource=81, bracket_size=27, max_trials=60)
    assert chosen.brackets(60) == [Bracket(chosen.levels, 27, 2), Bracket(chosen.levels, 6)]
    assert chosen.units_to_first_promotion == 27


def test_pashas_brackets_by_hand():
    scheduler = make("pasha")
    assert scheduler.brackets(100) == [Bracket((1, 3), 100)]
    assert scheduler.largest_brackets(100) == [Bracket((1, 3, 9, 27, 81), 100)]
    assert scheduler.expected_units(100) == 100 + 33 * 2
    assert planned_at_the_top(scheduler, 100) == 1


def test_what_pasha_has_unlocked_is_in_its_brackets():
    scheduler = make("pasha", max_trials=200)
    seen = set()
    while (job := scheduler.ask()) is not None:
        for resource in range(job.start + 1, job.until + 1):
            value = uniforms(0, "value", 1000 * job.trial + resource, 1)[0]
            scheduler.tell(Report(job.trial, job.attempt, resource, value, 1.0))
        (bracket,) = scheduler.brackets(200)
        assert bracket.levels[-1] == scheduler.unlocked
        seen.add(scheduler.unlocked)
    assert {3, 9} <= seen  # values without any order: the ranking is never stable


@pytest.mark.parametrize("kind", [Hyperband, SynchronousHyperband, PASHA])
def test_one_rung_is_one_bracket_of_complete_trials(kind):
    scheduler = kind(SPACE, max_resource=1)
    assert scheduler.brackets(7) == scheduler.largest_brackets(7)
    assert {bracket.levels for bracket in scheduler.brackets(7)} == {(1,)}
    assert scheduler.expected_units(7) == 7
    assert planned_at_the_top(scheduler, 7) == 7


def test_the_stopping_rule_always_lets_one_go_on():
    scheduler = make("asha-stopping")
    assert [r.trials for r in bracket_rungs(scheduler.brackets(10), 3, scheduler.survivors)] == [
        10,
        3,
        1,
        1,
        1,
    ]
    assert planned_at_the_top(scheduler, 1) == 1


def test_without_halving_all_are_trained_in_full():
    scheduler = make("random")
    assert scheduler.brackets(10) == [Bracket((81,), 10)]
    assert (scheduler.whole_bracket, scheduler.least_trials, scheduler.expected_units(10)) == (1, 1, 810)
