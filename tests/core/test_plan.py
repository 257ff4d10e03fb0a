"""What a plan promises: floor(n / eta^k) in each rung, and the most trials that units can buy."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asha_core.levels import rung_levels
from asha_core.plan import affordable_trials, expected_units, plan_rungs

quick = settings(max_examples=200, deadline=None)


@st.composite
def rules(draw):
    r, more, eta = draw(st.integers(1, 20)), draw(st.integers(0, 5000)), draw(st.integers(2, 10))
    return rung_levels(r, r + more, eta), eta


@quick
@given(rules(), st.integers(0, 10**6))
def test_each_rung_is_reached_by_the_floor_of_n_over_eta_to_the_k(rule, trials):
    levels, eta = rule
    rungs = plan_rungs(levels, eta, trials)
    assert [rung.level for rung in rungs] == list(levels)
    assert [rung.trials for rung in rungs] == [trials // eta**k for k in range(len(levels))]


@quick
@given(rules(), st.integers(0, 10**6))
def test_units_add_up_by_trial_as_they_do_by_rung(rule, trials):
    levels, eta = rule
    reached = [trials // eta**k for k in range(len(levels))] + [0]
    # whoever stops in rung k has trained levels[k] units
    by_trial = sum((reached[k] - reached[k + 1]) * level for k, level in enumerate(levels))
    assert expected_units(levels, eta, trials) == by_trial


@quick
@given(rules(), st.integers(0, 10**6))
def test_one_trial_more_costs_at_least_a_bottom_rung_and_at_most_a_whole_ladder(rule, trials):
    levels, eta = rule
    more = expected_units(levels, eta, trials + 1) - expected_units(levels, eta, trials)
    assert levels[0] <= more <= levels[-1]


@quick
@given(rules(), st.floats(0, 1e9) | st.integers(0, 10**9))
@example((rung_levels(1, 9, 3), 3), 63)
@example((rung_levels(1, 9, 3), 3), 62.999)
@example((rung_levels(5, 9, 3), 3), 4)
def test_affordable_is_the_largest_number_that_fits(rule, units):
    levels, eta = rule
    trials = affordable_trials(levels, eta, units)
    assert expected_units(levels, eta, trials) <= units < expected_units(levels, eta, trials + 1)


@quick
@given(rules(), st.integers(0, 10**6))
def test_what_trials_are_expected_to_cost_buys_exactly_them(rule, trials):
    levels, eta = rule
    assert affordable_trials(levels, eta, expected_units(levels, eta, trials)) == trials


@quick
@given(rules(), st.floats(0, 1e8), st.floats(0, 1e8))
def test_more_units_buy_no_fewer_trials(rule, one, other):
    levels, eta = rule
    low, high = sorted((one, other))
    assert affordable_trials(levels, eta, low) <= affordable_trials(levels, eta, high)


@pytest.mark.parametrize("units", [-5, -0.1, 0, 0.99])
def test_nothing_buys_nothing(units):
    assert affordable_trials((1, 3, 9), 3, units) == 0


def test_the_textbook_bracket():
    # 81 configurations, eta 3: 81 + 27*2 + 9*6 + 3*18 + 1*54
    assert [rung.units for rung in plan_rungs((1, 3, 9, 27, 81), 3, 81)] == [81, 54, 54, 54, 54]
