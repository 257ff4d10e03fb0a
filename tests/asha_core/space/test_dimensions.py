"""Dimensions: maps between values and coordinates, and mistakes in what is asked for."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asha_core.errors import ConfigurationError, SpaceError
from asha_core.space import Choice, Constant, Float, Int, SearchSpace
from tests.asha_core.space_strategies import choices, constants, floats, ints, quick, units

# -- unit coordinates ------------------------------------------------------------------------------


@quick
@given(floats, units)
@example(Float(0.1, 0.3), 1.0)
@example(Float(1e-4, 1.0, log=True), 0.0)
def test_a_float_comes_back_to_its_unit_coordinate(dimension, unit):
    assert dimension.to_unit(dimension.from_unit(unit)) == pytest.approx(unit, abs=1e-9)


@quick
@given(floats, units)
def test_a_float_value_survives_the_unit_cube(dimension, unit):
    value = dimension.from_unit(unit)
    scale = max(abs(dimension.lower), abs(dimension.upper))
    tolerance = {"rel": 1e-9} if dimension.log else {"abs": 1e-9 * scale}
    assert dimension.from_unit(dimension.to_unit(value)) == pytest.approx(value, **tolerance)


@quick
@given(ints, st.data())
def test_every_integer_survives_the_unit_cube_exactly(dimension, data):
    value = data.draw(
        st.one_of(
            st.just(dimension.lower),
            st.just(dimension.upper),
            st.integers(dimension.lower, dimension.upper),
        )
    )
    unit = dimension.to_unit(value)
    assert 0.0 <= unit <= 1.0
    assert dimension.from_unit(unit) == value


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(("lower", "upper"), [(1, 2), (1, 300), (7, 1000), (998, 2025)])
def test_all_integers_of_a_dimension_survive_the_unit_cube(lower, upper, log):
    dimension = Int(lower, upper, log=log)
    values = list(range(lower, upper + 1))
    assert [dimension.from_unit(dimension.to_unit(value)) for value in values] == values


@pytest.mark.parametrize("lower", [2**53, 10**17, -(10**17)])
def test_integers_beyond_the_precision_of_a_float_survive_the_unit_cube(lower):
    dimension = Int(lower, lower + 9)
    values = list(range(lower, lower + 10))
    assert [dimension.from_unit(dimension.to_unit(value)) for value in values] == values


@pytest.mark.long
@quick
@given(choices)
def test_every_option_survives_the_unit_cube(dimension):
    for option in dimension.options:
        back = dimension.from_unit(dimension.to_unit(option))
        assert (type(back), back) == (type(option), option)


@pytest.mark.long
@quick
@given(floats | ints, units)
@example(Float(0.1, 0.7), 1.0)
@example(Float(1e-5, 0.1, log=True), 1.0)
@example(Int(1, 10, log=True), 1.0)
@example(Int(-3, 3), 1.0)
def test_values_stay_within_bounds(dimension, unit):
    for u in (unit, 0.0, 1.0, math.nextafter(1.0, 0.0)):
        assert dimension.lower <= dimension.from_unit(u) <= dimension.upper


@pytest.mark.parametrize("bounds", [(-1.7e308, 1.7e308), (-1e308, 1e308)])
def test_bounds_whose_distance_overflows_are_refused_or_kept(bounds):
    try:
        dimension = Float(*bounds)
    except SpaceError:
        return
    for unit in (0.0, 0.5, 1.0):
        assert dimension.lower <= dimension.from_unit(unit) <= dimension.upper


@quick
@given(choices, units)
def test_an_option_is_always_one_of_the_options(dimension, unit):
    for u in (unit, 0.0, 1.0):
        assert any(dimension.from_unit(u) is option for option in dimension.options)


@quick
@given(floats | ints, units, units)
def test_larger_unit_coordinates_give_no_smaller_values(dimension, first, second):
    low, high = sorted((first, second))
    assert dimension.from_unit(low) <= dimension.from_unit(high)


@quick
@given(floats | ints)
def test_the_ends_of_the_unit_interval_are_the_bounds(dimension):
    assert dimension.from_unit(0.0) == pytest.approx(dimension.lower, rel=1e-9, abs=1e-9)
    assert dimension.from_unit(1.0) == pytest.approx(dimension.upper, rel=1e-9, abs=1e-9)


@quick
@given(st.integers(-100, 100), st.integers(2, 60), st.integers(1, 9))
def test_every_integer_has_the_same_share(lower, count, share):
    dimension = Int(lower, lower + count - 1)
    total = count * share
    drawn = Counter(dimension.from_unit((i + 0.5) / total) for i in range(total))
    assert drawn == dict.fromkeys(range(lower, lower + count), share)


@quick
@given(st.integers(1, 30), st.integers(1, 9))
def test_every_option_has_the_same_share(count, share):
    dimension = Choice(list(range(count)))
    total = count * share
    drawn = Counter(dimension.from_unit((i + 0.5) / total) for i in range(total))
    assert drawn == dict.fromkeys(range(count), share)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(1, 30))
def test_a_log_integer_has_a_share_in_proportion_to_its_logarithm(lower, width):
    dimension = Int(lower, lower + width, log=True)
    total = 2000
    drawn = Counter(dimension.from_unit((i + 0.5) / total) for i in range(total))
    whole = math.log((lower + width + 1) / lower)
    for value in range(lower, lower + width + 1):
        assert drawn[value] / total == pytest.approx(math.log((value + 1) / value) / whole, abs=1.01 / total)


def test_a_log_float_has_its_geometric_mean_in_the_middle():
    assert Float(1e-4, 1.0, log=True).from_unit(0.5) == pytest.approx(1e-2)
    assert Float(0.0, 1.0).from_unit(0.25) == 0.25


# -- search coordinates ----------------------------------------------------------------------------


@quick
@given(floats, units)
def test_a_value_survives_search_coordinates(dimension, unit):
    value = dimension.from_unit(unit)
    assert dimension.from_search(dimension.to_search(value)) == pytest.approx(value, rel=1e-9, abs=1e-300)


@quick
@given(floats)
def test_search_coordinates_are_log10_of_log_scaled_values_and_the_value_otherwise(dimension):
    low, high = dimension.search_bounds
    assert low < high
    if dimension.log:
        assert (10.0**low, 10.0**high) == pytest.approx((dimension.lower, dimension.upper))
    else:
        assert (low, high) == (dimension.lower, dimension.upper)


@quick
@given(floats, st.floats(allow_nan=False))
@example(Float(1e-4, 1.0, log=True), math.inf)
@example(Float(1e-4, 1.0, log=True), -math.inf)
def test_any_search_coordinate_is_clamped_to_the_bounds(dimension, coordinate):
    low, high = dimension.search_bounds
    value = dimension.from_search(coordinate)
    assert dimension.lower <= value <= dimension.upper
    if coordinate <= low:
        assert value == dimension.lower
    if coordinate >= high:
        assert value == dimension.upper


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Float(2.5, 0.5), ("lower=2.5", "upper=0.5", "lower must be smaller", "swapped")),
        (lambda: Int(9, 3), ("lower=9", "upper=3", "lower must be smaller", "swapped")),
        (lambda: Float(1.0, 1.0), ("lower=1.0", "upper=1.0", "lower must be smaller")),
        (lambda: Float(0.0, 1.0, log=True), ("0.0", "log=True", "above 0", "1e-6", "log=False")),
        (lambda: Float(-2.0, 1.0, log=True), ("-2.0", "log=True", "above 0", "log=False")),
        (lambda: Int(0, 8, log=True), ("0", "log=True", "above 0", "log=False")),
        (lambda: Float(math.nan, 1.0), ("lower", "nan", "finite number")),
        (lambda: Float(0.0, math.inf), ("upper", "inf", "finite number")),
        (lambda: Float(True, 2.0), ("lower", "True", "finite number")),
        (lambda: Int(0, True), ("upper", "True", "finite number")),
        (lambda: Float("0", 1.0), ("lower", "'0'", "finite number")),
        (lambda: Float(0.0, None), ("upper", "None", "finite number")),
        (lambda: Int(0.5, 2), ("lower=0.5", "must be integers", "use Float")),
        (lambda: Int(1, 2.0), ("upper=2.0", "must be integers", "use Float")),
        (lambda: Choice([]), ("[]", "at least one option")),
        (lambda: Choice("sgd"), ("'sgd'", "give a list")),
        (lambda: Choice({"a", "b"}), ("give a list",)),
        (lambda: Choice(["a", "b", "a"]), ("['a', 'b', 'a']", "repeated")),
        (lambda: Choice([object()]), ("Choice option <object", "string inside the task")),
        (lambda: SearchSpace({}), ("at least one dimension",)),
        (lambda: SearchSpace([("lr", Float(0, 1))]), ("at least one dimension", "SearchSpace({")),
        (lambda: SearchSpace({3: Float(0, 1)}), ("3", "not a string")),
        (lambda: SearchSpace({"lr": object()}), ("'lr'", "object", "Float, Int, Choice or Constant")),
    ],
)
def test_a_mistake_in_a_space_names_the_value_and_what_to_do(build, said):
    with pytest.raises(SpaceError) as caught:
        build()
    for part in said:
        assert part in str(caught.value)


@pytest.mark.parametrize("option", [math.nan, math.inf, -math.inf])
def test_an_option_that_json_cannot_hold_is_refused(option):
    with pytest.raises(SpaceError):
        Choice([0.5, option])


@pytest.mark.parametrize("kind", [Float, Int])
def test_a_bound_too_large_for_a_float_is_a_space_error(kind):
    with pytest.raises(SpaceError):
        kind(1, 10**400)


# -- constants -------------------------------------------------------------------------------------


@quick
@given(constants, units)
def test_a_constant_is_its_value_wherever_it_is_asked(dimension, unit):
    for u in (unit, 0.0, 1.0):
        assert dimension.from_unit(u) is dimension.value
    assert dimension.to_unit(dimension.value) == 0.5
    assert dimension.check("x", dimension.value) is dimension.value


@pytest.mark.parametrize(
    ("kept", "others"), [(1, (True, 1.0, "1", 2)), (True, (1, 1.0)), (1.0, (1, True)), (None, (0, "", False))]
)
def test_a_constant_takes_its_own_value_alone_to_its_type(kept, others):
    dimension = Constant(kept)
    for other in others:
        with pytest.raises(ConfigurationError) as caught:
            dimension.check("x", other)
        assert f"x is {other!r}: it is frozen at {kept!r}" in str(caught.value)


@pytest.mark.parametrize("value", [{"a": 1}, math.nan, math.inf, object(), (1, math.nan), [object()]])
def test_a_constant_that_json_cannot_hold_is_refused(value):
    with pytest.raises(SpaceError):
        Constant(value)
