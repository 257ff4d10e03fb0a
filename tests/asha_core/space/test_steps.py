"""Dimensions with a step: nothing but its multiples above the lower bound, each equally likely."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asha_core.errors import ConfigurationError, SpaceError
from asha_core.searchers.grid import GridSearch
from asha_core.searchers.quasi_random import QuasiRandomSearch
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Float, Int, SearchSpace
from tests.asha_core.space_strategies import quick, units

steps = st.sampled_from([0.1, 0.05, 0.3, 1e-3, 2.0, 1 / 3, 32.0, 1e-7])


@st.composite
def stepped(draw: Any) -> Float | Int:
    count = draw(st.integers(1, 500))
    if draw(st.booleans()):
        lower, step = draw(st.integers(-1000, 1000)), draw(st.integers(2, 64))
        return Int(lower, lower + count * step + draw(st.integers(0, step - 1)), step=step)
    step = draw(steps)
    lower = draw(st.sampled_from([0.0, 0.1, -1.0, 0.1 + 0.2, 5.0]))
    return Float(lower, lower + (count + draw(st.sampled_from([0.0, 0.5, 0.9]))) * step, step=step)


def all_of(dimension: Any) -> list[Any]:
    return [dimension.at(index) for index in range(dimension.count)]


@quick
@given(stepped(), units)
def test_every_value_is_a_whole_number_of_steps_above_the_lower_bound(dimension: Any, unit: float) -> None:
    values = all_of(dimension)
    assert values == sorted(set(values))
    assert (values[0], values[-1]) == (dimension.lower, dimension.upper)
    for u in (unit, 0.0, 1.0):
        assert dimension.from_unit(u) in values
    for index, value in enumerate(values):
        assert value == pytest.approx(dimension.lower + index * dimension.step, rel=1e-9, abs=1e-12)


@quick
@given(stepped())
def test_every_value_has_the_same_share_and_survives_the_unit_cube(dimension: Any) -> None:
    values = all_of(dimension)
    middles = [(index + 0.5) / len(values) for index in range(len(values))]
    assert [dimension.from_unit(unit) for unit in middles] == values
    assert [dimension.to_unit(value) for value in values] == pytest.approx(middles)
    assert [dimension.check("x", value) for value in values] == values


@quick
@given(stepped(), st.floats(0.01, 0.99))
def test_what_lies_between_two_values_is_refused_with_the_nearest(dimension: Any, share: float) -> None:
    between = dimension.lower + share * dimension.step
    if isinstance(dimension, Int):
        between = dimension.lower + max(1, min(dimension.step - 1, round(share * dimension.step)))
    with pytest.raises(ConfigurationError) as caught:
        dimension.check("x", between)
    near = min(dimension.lower, dimension.at(1), key=lambda value: abs(value - between))
    assert f"in steps of {dimension.step}; the nearest is " in str(caught.value)
    if share != 0.5 and isinstance(dimension, Float):
        assert str(caught.value).endswith(str(near))


@pytest.mark.parametrize("found", [0.3, 0.1 + 0.2, np.float64(0.30000000000000004)])
def test_a_value_with_the_noise_of_arithmetic_is_the_value(found: float) -> None:
    assert Float(0, 1, step=0.1).check("x", found) == Float(0, 0.3, step=0.1).check("x", found) == 0.3
    for outside in (math.nan, math.inf, -0.1, 1.1):
        with pytest.raises(ConfigurationError, match="it must be in"):
            Float(0, 1, step=0.1).check("x", outside)


def test_values_are_as_people_write_them() -> None:
    assert all_of(Float(0.1, 0.7, step=0.1)) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert all_of(Int(32, 128, step=32)) == [32, 64, 96, 128]


def test_the_last_value_is_the_last_one_below_the_upper_bound() -> None:
    assert Float(0, 1, step=0.3).upper == 0.9
    assert Int(32, 500, step=100) == Int(32, 432, step=100)
    assert Float(0.1 + 0.2, 0.9, step=0.1).upper == pytest.approx(0.9)  # computed, and off by a last digit


def test_a_float_with_a_step_takes_the_nearest_value_at_a_search_coordinate() -> None:
    dimension = Float(0, 1, step=0.25)
    assert dimension.search_bounds == (0.0, 1.0)
    assert [dimension.from_search(x) for x in (-3.0, 0.1, 0.2, 0.9, 7.0)] == [0.0, 0.0, 0.25, 1.0, 1.0]


@pytest.mark.parametrize("searcher", [RandomSearch, QuasiRandomSearch, GridSearch])
def test_searchers_keep_to_the_steps(searcher: Any) -> None:
    space = SearchSpace({"p": Float(0.1, 0.5, step=0.1), "n": Int(32, 128, step=32)})
    found = [searcher(space, 3).propose(index) for index in range(20)]
    assert {c["p"] for c in found} == {0.1, 0.2, 0.3, 0.4, 0.5}
    assert {c["n"] for c in found} == {32, 64, 96, 128}
    if searcher is GridSearch:
        assert searcher(space, 3).size == 20 == len(set(found))


def test_draws_are_even() -> None:
    space = SearchSpace({"p": Float(0, 1, step=0.25)})
    counts = Counter(RandomSearch(space, 0).propose(index)["p"] for index in range(2000))
    assert all(abs(count - 400) < 80 for count in counts.values())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Float(1e-4, 1, log=True, step=0.1), ("step=0.1 and log=True", "Choice([1e-4")),
        (lambda: Int(1, 64, log=True, step=2), ("Int has step=2 and log=True",)),
        (lambda: Float(0, 1, step=2), ("step=2", "leave one value", "Constant(0)")),
        (lambda: Int(1, 3, step=5), ("step=5", "leave one value")),
        (lambda: Float(0, 1, step=0), ("Float step is 0: it must be a finite number above 0",)),
        (lambda: Float(0, 1, step=-0.1), ("step is -0.1",)),
        (lambda: Float(0, 1, step=math.nan), ("step is nan",)),
        (lambda: Float(0, 1, step="0.1"), ("step is '0.1'",)),
        (lambda: Float(0, 1, step=True), ("step is True",)),
        (lambda: Int(0, 9, step=True), ("Int step is True",)),
        (lambda: Int(0, 9, step=0), ("Int step is 0",)),
        (lambda: Int(0, 9, step=1.5), ("Int step is 1.5: it must be an integer of at least 1",)),
        (lambda: Int(0, 9, step=None), ("Int step is None",)),
        (lambda: Float(0, 1, step=1e-17), ("too small",)),
    ],
)
def test_a_step_that_cannot_be(make: Any, said: tuple[str, ...]) -> None:
    with pytest.raises(SpaceError) as caught:
        make()
    for part in said:
        assert part in str(caught.value)


def test_a_description_has_a_step_only_where_there_is_one() -> None:
    space = SearchSpace(
        {
            "a": Float(0, 1),
            "b": Int(1, 9),
            "c": Float(0, 1, step=np.float64(0.5)),
            "d": Int(2, 9, step=np.int64(2)),
        }
    )
    told = space.to_dict()["dimensions"]
    assert told["a"] == {
        "type": "float",
        "lower": 0.0,
        "upper": 1.0,
        "log": False,
    }  # as older versions wrote it
    assert told["b"] == {"type": "int", "lower": 1, "upper": 9, "log": False}
    assert told["c"] == {"type": "float", "lower": 0.0, "upper": 1.0, "log": False, "step": 0.5}
    assert told["d"] == {"type": "int", "lower": 2, "upper": 8, "log": False, "step": 2}
    assert SearchSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space


def test_a_step_of_one_is_no_step() -> None:
    assert Int(1, 9, step=1) == Int(1, 9)
    assert Int(1, 9, log=True, step=1) == Int(1, 9, log=True)


def test_bounds_of_numpy_s_float32_keep_their_last_value() -> None:
    tenth, half = np.float32(0.1), np.float32(0.5)
    dimension = Float(tenth, half, step=tenth)
    assert dimension.count == 5
    assert dimension.check("x", half) == dimension.upper == pytest.approx(0.5, rel=1e-6)
