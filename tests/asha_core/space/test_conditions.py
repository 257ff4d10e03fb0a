"""Conditional dimensions: there exactly where their conditions hold."""

from __future__ import annotations

import json
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.errors import ConfigurationError, SpaceError
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Constant, Float, Int, SearchSpace
from tests.asha_core.space_strategies import quick, units

PARTS = {
    "optimiser": Choice(["adam", "sgd"]),
    "momentum": Float(0.0, 0.99),
    "nesterov": Choice([True, False]),
    "damping": Float(0.0, 0.5),
}
CONDITIONS = {
    "momentum": {"optimiser": "sgd"},
    "nesterov": {"optimiser": ["sgd"]},
    "damping": {"nesterov": [False]},  # nested: there only if nesterov is
}
SPACE = SearchSpace(PARTS, conditions=CONDITIONS)


def expected_names(optimiser, nesterov):
    names = ["optimiser"]
    if optimiser == "sgd":
        names += ["momentum", "nesterov"] + (["damping"] if nesterov is False else [])
    return set(names)


@quick
@given(st.tuples(units, units, units, units))
def test_a_dimension_is_there_exactly_where_its_condition_holds(unit):
    optimiser, nesterov = SPACE["optimiser"].from_unit(unit[0]), SPACE["nesterov"].from_unit(unit[2])
    configuration = SPACE.from_unit(unit)
    assert set(configuration) == expected_names(optimiser, nesterov)
    for name, value in configuration.items():
        assert value == SPACE[name].from_unit(unit[SPACE.names.index(name)])
    assert SPACE.configuration(dict(configuration)) == configuration


@pytest.mark.parametrize("order", list(permutations(PARTS)))
def test_dimensions_and_conditions_may_be_given_in_any_order(order):
    space = SearchSpace(
        {name: PARTS[name] for name in order},
        conditions={name: CONDITIONS[name] for name in order if name in CONDITIONS},
    )
    for optimiser, nesterov in product(("adam", "sgd"), (True, False)):
        values = {"optimiser": optimiser, "momentum": 0.5, "nesterov": nesterov, "damping": 0.1}
        configuration = space.active(values)
        assert set(configuration) == expected_names(optimiser, nesterov)
        assert list(configuration) == [name for name in order if name in configuration]


def test_several_parents_must_all_agree():
    space = SearchSpace(
        {"a": Choice(["x", "y"]), "b": Int(1, 3), "c": Float(0.0, 1.0)},
        conditions={"c": {"a": "x", "b": [1, 2]}},
    )
    for a, b in product("xy", (1, 2, 3)):
        assert ("c" in space.active({"a": a, "b": b, "c": 0.5})) == (a == "x" and b in (1, 2))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.data())
def test_a_chain_is_there_down_to_its_first_break(length, data):
    """Each link is there where the one before is there and is "on"."""
    space = SearchSpace(
        {f"d{i}": Choice(["on", "off"]) for i in range(length)},
        conditions={f"d{i}": {f"d{i - 1}": "on"} for i in range(1, length)},
    )
    states = data.draw(st.lists(st.sampled_from(["on", "off"]), min_size=length, max_size=length))
    there = [*states, "off"].index("off") + 1
    assert len(space.active({f"d{i}": state for i, state in enumerate(states)})) == min(there, length)


@pytest.mark.parametrize("wanted", [1, "1", 2.5])
def test_a_value_is_matched_to_its_type(wanted):
    space = SearchSpace({"a": Choice([1, 2.5, "1"]), "b": Float(0.0, 1.0)}, conditions={"b": {"a": wanted}})
    for value in space["a"].options:
        assert ("b" in space.active({"a": value, "b": 0.5})) == (type(value) is type(wanted))


def test_a_condition_on_none_and_on_a_constant():
    space = SearchSpace(
        {"a": Choice([None, "x"]), "k": Constant(3), "b": Int(1, 2), "c": Int(1, 2), "d": Int(1, 2)},
        conditions={"b": {"a": None}, "c": {"k": 3}, "d": {"k": [4]}},
    )
    assert set(space.from_unit([0.0] * 5)) == {"a", "k", "b", "c"}
    assert set(space.from_unit([0.9] * 5)) == {"a", "k", "c"}


# -- coordinates and checks ------------------------------------------------------------------------


def test_what_is_absent_is_in_the_middle_of_the_unit_interval():
    assert SPACE.to_unit({"optimiser": "adam"}) == [0.25, 0.5, 0.5, 0.5]
    full = SPACE.from_unit([0.9, 0.3, 0.7, 0.2])
    assert SPACE.from_unit(SPACE.to_unit(full)) == full


def test_what_is_absent_is_not_demanded():
    assert dict(SPACE.configuration({"optimiser": "adam"})) == {"optimiser": "adam"}
    with pytest.raises(ConfigurationError, match="lacks momentum, nesterov"):
        SPACE.configuration({"optimiser": "sgd"})
    with pytest.raises(ConfigurationError, match="lacks damping"):
        SPACE.configuration({"optimiser": "sgd", "momentum": 0.1, "nesterov": False})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"optimiser": "adam", "momentum": 0.5},
            "momentum is given, and exists only with optimiser in",
        ),
        (
            {"optimiser": "sgd", "momentum": 0.5, "nesterov": True, "damping": 0.1},
            "damping is given, and exists only with nesterov in [False]",
        ),
    ],
)
def test_a_value_for_what_is_absent_is_refused_and_says_when_it_exists(values, said):
    with pytest.raises(ConfigurationError) as caught:
        SPACE.configuration(values)
    assert said in str(caught.value)


def test_configurations_with_different_dimensions_differ():
    found = {RandomSearch(SPACE, 0).propose(index) for index in range(60)}
    assert {len(configuration) for configuration in found} == {1, 3, 4}
    adam = [configuration for configuration in found if configuration["optimiser"] == "adam"]
    assert len(adam) == 1


def test_conditions_survive_json_and_tell_spaces_apart():
    back = SearchSpace.from_dict(json.loads(json.dumps(SPACE.to_dict())))
    assert back == SPACE
    assert repr(back) == repr(SPACE)
    assert back != SearchSpace(PARTS)
    assert back != SearchSpace(PARTS, conditions={**CONDITIONS, "damping": {"nesterov": [True]}})
    assert SPACE.to_dict()["dimensions"]["damping"]["when"] == {"nesterov": [False]}
    assert "when" not in SPACE.to_dict()["dimensions"]["optimiser"]
    assert set(SPACE.conditions) == set(CONDITIONS)


# -- mistakes --------------------------------------------------------------------------------------

ABC = {"a": Choice(["x", "y"]), "b": Choice(["x", "y"]), "c": Int(1, 3), "f": Float(0.0, 1.0)}


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({"a": {"b": "x"}, "b": {"a": "x"}}, ("circle", "a <- b <- a", "b <- a <- b")),
        ({"a": {"a": "x"}}, ("circle", "a <- a")),
        ({"a": {"b": "x"}, "b": {"c": 1}, "c": {"a": "x"}}, ("circle",)),
        ({"a": {"f": 0.5}}, ("condition of 'a'", "'f' is a Float", "Choice")),
        ({"a": {"b": "z"}}, ("condition of 'a' can never hold", "b is 'z'", "['x', 'y']")),
        ({"a": {"c": [1, 4]}}, ("condition of 'a' can never hold", "c is 4", "[1, 3]")),
        ({"a": {"c": True}}, ("can never hold", "c is True")),
        ({"a": {"c": 1.0}}, ("can never hold", "c is 1.0")),
        ({"a": {"b": []}}, ("condition of 'a'", "no value of 'b'", "never exists")),
        ({"a": {"bb": "x"}}, ("condition of 'a'", "unknown dimension 'bb'", 'did you mean "b"?')),
        ({"aa": {"b": "x"}}, ("condition of 'aa'", "unknown dimension 'aa'", 'did you mean "a"?')),
    ],
)
def test_a_mistake_in_a_condition_names_it(conditions, said):
    with pytest.raises(SpaceError) as caught:
        SearchSpace(ABC, conditions=conditions)
    text = str(caught.value)
    wanted = [part for part in said if "<-" not in part]
    assert all(part in text for part in wanted)
    circles = [part for part in said if "<-" in part]
    assert not circles or any(part in text for part in circles)
