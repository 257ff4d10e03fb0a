"""When a slope is called wrong beside differences, and when it is not."""

from __future__ import annotations

import math

import pytest

from asha_core import Configuration, Float, SearchSpace
from warmstart.estimates.comparison import compare

SPACE = SearchSpace({"x": Float(0.0, 1.0)})
PSI = SPACE.configuration({"x": 0.5})


def kinked(config: Configuration) -> float:
    """Slope 1 where it is looked at; a little beside, as where a ReLU turns on, it is another."""
    x = config["x"] - 0.5
    return 2.0 + x - 3.0 * max(0.0, x - 0.003) - 3.0 * min(0.0, x + 0.003)


def smooth(config: Configuration) -> float:
    return 2.0 + math.sin(3.0 * config["x"])


@pytest.mark.parametrize("wrong", [-1.0, 1.5, 0.6])
def test_a_wrong_slope_of_a_smooth_loss_is_called_wrong(wrong: float) -> None:
    right = 3.0 * math.cos(1.5)
    assert compare(smooth, SPACE, PSI, {"x": right}, loss=2.0, eps=1e-16).verdict == "agrees"
    assert compare(smooth, SPACE, PSI, {"x": wrong * right}, loss=2.0, eps=1e-16).verdict == "disagrees"


def test_a_right_slope_beside_a_kink_is_not_called_wrong() -> None:
    found = compare(kinked, SPACE, PSI, {"x": 1.0}, loss=2.0, eps=1e-16)
    assert found.difference < 0.0  # the way there and back is too long
    assert found.verdict != "disagrees"
