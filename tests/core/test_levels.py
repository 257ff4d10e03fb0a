"""Rung levels are exact for all integers: no logarithm, no rounding."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asha_core.errors import SettingError
from asha_core.levels import rung_levels


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


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 1000), st.integers(2, 100), st.integers(0, 12))
def test_a_power_has_one_rung_for_each_exponent(r, eta, exponent):
    R = r * eta**exponent
    assert rung_levels(r, R, eta) == tuple(r * eta**k for k in range(exponent + 1))
    above = rung_levels(r, R + 1, eta)
    assert above == (*(r * eta**k for k in range(exponent + 1)), R + 1)


@pytest.mark.parametrize(
    ("r", "R", "eta", "levels"),
    [
        (1, 243, 3, (1, 3, 9, 27, 81, 243)),
        (1, 1000, 10, (1, 10, 100, 1000)),
        (1, 125, 5, (1, 5, 25, 125)),
        (1, 200, 3, (1, 3, 9, 27, 81, 200)),
        (1, 244, 3, (1, 3, 9, 27, 81, 243, 244)),
        (1, 242, 3, (1, 3, 9, 27, 81, 242)),
        (2, 8, 2, (2, 4, 8)),
        (5, 5, 4, (5,)),
        (5, 6, 4, (5, 6)),
        (4, 10**15, 10**5, (4, 4 * 10**5, 4 * 10**10, 10**15)),
    ],
)
def test_known_traps(r, R, eta, levels):
    assert rung_levels(r, R, eta) == levels


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0, 9, 3), "min_resource is 0: it must be an integer of at least 1"),
        ((1, 0, 3), "max_resource is 0: it must be an integer of at least 1"),
        ((1, 9, 1), "reduction_factor is 1: it must be an integer of at least 2"),
        ((1, 9, 3.0), "reduction_factor is 3.0: it must be an integer"),
        ((1.5, 9, 3), "min_resource is 1.5: it must be an integer"),
        ((True, 9, 3), "min_resource is True: it must be an integer"),
        ((1, "9", 3), "max_resource is '9': it must be an integer"),
        ((10, 9, 3), "min_resource is 10 and max_resource is 9: min_resource must not be larger"),
    ],
)
def test_a_mistake_names_the_argument_its_value_and_what_is_allowed(arguments, said):
    with pytest.raises(SettingError) as caught:
        rung_levels(*arguments)
    assert said in str(caught.value)
