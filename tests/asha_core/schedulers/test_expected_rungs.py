"""What a plan promises: floor(n / eta^k) in each rung, and the most trials that units can buy."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asha_core.schedulers.brackets import (
    Bracket,
    affordable_trials,
    bracket_rungs,
    bracket_units,
    expected_rungs,
)
from asha_core.schedulers.levels import rung_levels

quick = settings(max_examples=200, deadline=None)


@st.composite
def rules(draw):
    r, more, eta = draw(st.integers(1, 20)), draw(st.integers(0, 5000)), draw(st.integers(2, 10))
    return rung_levels(r, r + more, eta), eta


def cost(levels, eta):
    """Units that n configurations in one bracket are expected to take."""
    return lambda n: bracket_units([Bracket(levels, n)], eta)


@pytest.mark.long
@quick
@given(rules(), st.integers(0, 10**6))
def test_each_rung_is_reached_by_the_floor_of_n_over_eta_to_the_k(rule, trials):
    levels, eta = rule
    rungs = expected_rungs(levels, eta, trials)
    assert [rung.level for rung in rungs] == list(levels)
    assert [rung.trials for rung in rungs] == [trials // eta**k for k in range(len(levels))]


@pytest.mark.long
@quick
@given(rules(), st.integers(0, 10**6))
def test_units_add_up_by_trial_as_they_do_by_rung(rule, trials):
    levels, eta = rule
    reached = [trials // eta**k for k in range(len(levels))] + [0]
    # whoever stops in rung k has trained levels[k] units
    by_trial = sum((reached[k] - reached[k + 1]) * level for k, level in enumerate(levels))
    assert cost(levels, eta)(trials) == by_trial


@quick
@given(rules(), st.integers(0, 10**6))
def test_one_trial_more_costs_at_least_a_bottom_rung_and_at_most_a_whole_ladder(rule, trials):
    levels, eta = rule
    more = cost(levels, eta)(trials + 1) - cost(levels, eta)(trials)
    assert levels[0] <= more <= levels[-1]


@quick
@given(rules(), st.floats(0, 1e9) | st.integers(0, 10**9))
@example((rung_levels(1, 9, 3), 3), 63)
@example((rung_levels(1, 9, 3), 3), 62.999)
@example((rung_levels(5, 9, 3), 3), 4)
def test_affordable_is_the_largest_number_that_fits(rule, units):
    levels, eta = rule
    trials = affordable_trials(cost(levels, eta), units)
    assert cost(levels, eta)(trials) <= units < cost(levels, eta)(trials + 1)


@quick
@given(rules(), st.integers(0, 10**6))
def test_what_trials_are_expected_to_cost_buys_exactly_them(rule, trials):
    levels, eta = rule
    assert affordable_trials(cost(levels, eta), cost(levels, eta)(trials)) == trials


@pytest.mark.long
@quick
@given(rules(), st.floats(0, 1e8), st.floats(0, 1e8))
def test_more_units_buy_no_fewer_trials(rule, one, other):
    levels, eta = rule
    low, high = sorted((one, other))
    assert affordable_trials(cost(levels, eta), low) <= affordable_trials(cost(levels, eta), high)


@pytest.mark.parametrize("units", [-5, -0.1, 0, 0.99])
def test_nothing_buys_nothing(units):
    assert affordable_trials(cost((1, 3, 9), 3), units) == 0


def test_the_textbook_bracket():
    # 81 configurations, eta 3: 81 + 27*2 + 9*6 + 3*18 + 1*54
    assert [rung.units for rung in expected_rungs((1, 3, 9, 27, 81), 3, 81)] == [81, 54, 54, 54, 54]


# -- survivors -------------------------------------------------------------------------------------


@quick
@given(rules(), st.integers(0, 10**6), st.integers(0, 5))
def test_survivors_go_on_from_a_rung_that_anybody_reached(rule, trials, survivors):
    levels, eta = rule
    plain, kept = expected_rungs(levels, eta, trials), expected_rungs(levels, eta, trials, survivors)
    for below, rung, other in zip(kept, kept[1:], plain[1:], strict=False):
        assert rung.trials == max(below.trials // eta, min(below.trials, survivors))
        assert other.trials <= rung.trials <= below.trials
    assert expected_rungs(levels, eta, trials, 0) == plain


# -- brackets --------------------------------------------------------------------------------------


@st.composite
def brackets(draw):
    levels, eta = draw(rules())
    first = st.integers(0, len(levels) - 1)
    found = draw(st.lists(st.tuples(first, st.integers(0, 500), st.integers(0, 9)), max_size=6))
    return eta, [Bracket(levels[start:], trials, times) for start, trials, times in found]


@pytest.mark.long
@quick
@given(brackets())
def test_brackets_add_up_level_by_level(made):
    eta, found = made
    alone = [
        rung
        for bracket in found
        for _ in range(bracket.times)
        for rung in expected_rungs(bracket.levels, eta, bracket.trials)
    ]
    together = bracket_rungs(found, eta)
    assert [rung.level for rung in together] == sorted({level for b in found for level in b.levels})
    for rung in together:
        here = [other for other in alone if other.level == rung.level]
        assert rung.trials == sum(other.trials for other in here)
        assert rung.units == sum(other.units for other in here)
    assert bracket_units(found, eta) == sum(rung.units for rung in alone)


@pytest.mark.long
@quick
@given(brackets(), st.randoms())
def test_the_order_of_brackets_does_not_matter(made, random):
    eta, found = made
    shuffled = list(found)
    random.shuffle(shuffled)
    assert bracket_rungs(shuffled, eta) == bracket_rungs(found, eta)


def test_no_brackets_cost_nothing():
    assert bracket_rungs([], 3) == []
    assert bracket_units([], 3) == 0
