"""Targets as shares of an arm's configurations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asha_core import Curves, Float, SearchSpace, SettingError
from asha_core.simulation.shares import best_values, target_of_share

SPACE = SearchSpace({"x": Float(0, 1)})


def table(value: object, mode: str = "max") -> Curves:
    rows = np.shape(value)[0]
    return Curves.from_arrays(SPACE, [{"x": row / rows} for row in range(rows)], value, mode=mode)  # type: ignore[arg-type]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=40),
    st.floats(0.01, 1),
    st.sampled_from(["max", "min"]),
)
def test_at_least_so_many_reach_it_and_fewer_what_is_harder(best: list[int], share: float, mode: str) -> None:
    sign = 1 if mode == "max" else -1
    curves = table([[sign * (value - 3.0), sign * value, sign * (value - 1.0)] for value in best], mode)
    target = target_of_share(curves, "baseline", share)
    wanted = max(round(share * len(best)), 1)
    reached = sign * best_values(curves, "baseline") >= sign * target
    harder = sign * best_values(curves, "baseline") > sign * target
    assert reached.sum() >= wanted > harder.sum()


def test_configurations_without_a_value_reach_nothing() -> None:
    curves = table([[0.5, math.nan], [math.nan, math.nan], [0.1, 0.2], [math.inf, 0.3]])
    assert best_values(curves, "baseline").tolist() == [0.5, -math.inf, 0.2, 0.3]
    assert target_of_share(curves, "baseline", 0.75) == 0.2
    with pytest.raises(SettingError, match="so many configurations of baseline never have"):
        target_of_share(curves, "baseline", 1)
    with pytest.raises(SettingError, match="arm is 'other'"):
        target_of_share(curves, "other", 0.5)
