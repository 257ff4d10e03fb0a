"""What a trial's best value is."""

from __future__ import annotations

import math

import pytest

from asha_core.schedulers.state import improves


@pytest.mark.parametrize(
    ("value", "best", "mode", "better"),
    [
        (0.5, math.nan, "max", True),  # the first finite one
        (0.5, math.nan, "min", True),
        (0.6, 0.5, "max", True),
        (0.4, 0.5, "max", False),
        (0.4, 0.5, "min", True),
        (0.6, 0.5, "min", False),
        (0.5, 0.5, "max", False),  # of equals the earlier stays
        (0.5, 0.5, "min", False),
        (math.nan, math.nan, "max", False),
        (math.inf, 0.5, "max", False),
        (-math.inf, 0.5, "min", False),
    ],
)
def test_a_value_improves_if_it_is_finite_and_better_or_the_first(value, best, mode, better):
    assert improves(value, best, mode) is better
