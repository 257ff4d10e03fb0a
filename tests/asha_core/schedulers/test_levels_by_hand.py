"""Rung levels and the sizes of brackets, worked out by hand."""

from __future__ import annotations

import pytest

from asha_core.errors import SettingError
from asha_core.schedulers.levels import bracket_levels, bracket_size, rung_levels


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
        ((1, 9, 3.5), "reduction_factor is 3.5: it must be an integer"),
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


# -- Hyperband's -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("r", "R", "eta", "levels"),
    [
        (1, 243, 3, (1, 3, 9, 27, 81, 243)),  # log(243) / log(3) is below 5 in floating point
        (1, 1000, 10, (1, 10, 100, 1000)),
        (1, 125, 5, (1, 5, 25, 125)),
        (1, 242, 3, (2, 8, 26, 80, 242)),
        (1, 200, 3, (2, 7, 22, 66, 200)),
        (3, 200, 3, (7, 22, 66, 200)),
        (2, 200, 3, (2, 7, 22, 66, 200)),
        (2, 8, 2, (2, 4, 8)),
        (2, 7, 2, (3, 7)),
        (5, 5, 4, (5,)),
        (5, 19, 4, (19,)),
        (5, 20, 4, (5, 20)),
    ],
)
def test_known_traps_of_brackets(r, R, eta, levels):
    assert bracket_levels(r, R, eta) == levels


def test_bracket_levels_name_a_mistake_too():
    with pytest.raises(SettingError, match="reduction_factor is 1: it must be an integer of at least 2"):
        bracket_levels(1, 9, 1)


@pytest.mark.parametrize(
    ("brackets", "eta", "sizes"),
    [
        (5, 3, [81, 34, 15, 8, 5]),  # 81, 33.75, 15, 7.5, 5: R = 81 of the paper
        (6, 3, [243, 98, 41, 18, 9, 6]),  # 243, 97.2, 40.5, 18, 9, 6
        (4, 4, [64, 22, 8, 4]),  # 64, 21.3, 8, 4
        (3, 2, [4, 3, 3]),
        (1, 7, [1]),
    ],
)
def test_the_sizes_of_all_brackets(brackets, eta, sizes):
    assert [bracket_size(s, brackets, eta) for s in reversed(range(brackets))] == sizes
