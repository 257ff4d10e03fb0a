"""Rung levels are exact for all integers: no logarithm, no rounding."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asha_core.schedulers.levels import bracket_levels, bracket_size, rung_levels


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(2, 10**6))
@example(1, 243, 3)
@example(1, 1, 2)
@example(999_999, 10**6, 2)
def test_levels_are_the_powers_below_the_last_and_the_last(one, other, eta):
    r, R = sorted((one, other))
    levels = rung_levels(r, R, eta)
    assert levels[0] == r
    assert levels[-1] == R
    assert all(low < high for low, high in itertools.pairwise(levels))
    assert all(level == r * eta**k for k, level in enumerate(levels[:-1]))
    assert r * eta ** (len(levels) - 1) >= R  # no rung is missing before the last
    assert all(type(level) is int for level in levels)


@pytest.mark.long
@settings(max_examples=200, deadline=None)
@given(st.integers(1, 1000), st.integers(2, 100), st.integers(0, 12))
def test_a_power_has_one_rung_for_each_exponent(r, eta, exponent):
    R = r * eta**exponent
    assert rung_levels(r, R, eta) == tuple(r * eta**k for k in range(exponent + 1))
    above = rung_levels(r, R + 1, eta)
    assert above == (*(r * eta**k for k in range(exponent + 1)), R + 1)


# -- Hyperband's -----------------------------------------------------------------------------------


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(2, 10**6))
@example(1, 243, 3)
@example(1, 242, 3)
@example(1, 1, 2)
@example(10**6, 10**6, 10**6)
@example(1, 10**6, 10**6)
@example(1, 10**6 - 1, 10**6)
@example(7, 6 * 7, 6)
def test_brackets_begin_at_the_last_level_divided_by_powers_as_often_as_it_stays_above_the_first(
    one, other, eta
):
    r, R = sorted((one, other))
    levels = bracket_levels(r, R, eta)
    s_max = len(levels) - 1
    assert r * eta**s_max <= R < r * eta ** (s_max + 1)  # the largest s with r*eta^s <= R
    assert levels == tuple(R // eta**s for s in range(s_max, -1, -1))
    assert r <= levels[0]
    assert all(low < high for low, high in itertools.pairwise(levels))
    assert all(type(level) is int for level in levels)


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 1000), st.integers(2, 100), st.integers(0, 12))
def test_of_a_power_they_are_the_rungs_of_successive_halving(r, eta, exponent):
    R = r * eta**exponent
    assert bracket_levels(r, R, eta) == rung_levels(r, R, eta)
    if exponent > 0:  # one unit less is one bracket less, one more is none more
        assert len(bracket_levels(r, R - 1, eta)) == exponent
        assert len(bracket_levels(r, R + 1, eta)) == exponent + 1


@pytest.mark.long
@settings(max_examples=200, deadline=None)
@given(st.integers(1, 20), st.integers(2, 10**6), st.data())
def test_the_size_of_a_bracket_is_that_of_the_paper_rounded_up(brackets, eta, data):
    s = data.draw(st.integers(0, brackets - 1))
    exact = Fraction(brackets, s + 1) * eta**s
    size = bracket_size(s, brackets, eta)
    assert exact <= size < exact + 1
    assert type(size) is int
