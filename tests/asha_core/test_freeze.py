"""Frozen dimensions: one value, and nothing else changes."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asha_core.errors import ConfigurationError
from asha_core.searchers import make_searcher
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Constant, Float, Int, SearchSpace
from tests.asha_core.space_strategies import quick, spaces, units

SPACE = SearchSpace(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "layers": Int(1, 4),
        "optimiser": Choice(["sgd", "adam"]),
        "momentum": Float(0.0, 0.99),
    },
    conditions={"momentum": {"optimiser": "sgd"}},
)


@quick
@given(spaces, st.data())
def test_freezing_some_dimensions_leaves_what_is_drawn_for_the_others(space, data):
    unit = data.draw(st.lists(units, min_size=len(space), max_size=len(space)))
    before = space.from_unit(unit)
    names = data.draw(st.sets(st.sampled_from(space.names)))
    values = {name: space[name].from_unit(data.draw(units)) for name in names}
    after = space.freeze(**values).from_unit(unit)
    assert list(after) == list(before)
    for name in space:
        expected = values.get(name, before[name])
        assert after[name] is expected or (type(after[name]), after[name]) == (type(expected), expected)


@pytest.mark.parametrize("name", ["random", "sobol", "halton"])
def test_a_search_with_a_frozen_dimension_draws_the_others_as_before(name):
    free, frozen = SPACE, SPACE.freeze(layers=2)
    for index in range(40):
        before = dict(make_searcher(name, free, 7).propose(index))
        assert dict(make_searcher(name, frozen, 7).propose(index)) == {**before, "layers": 2}


def test_freezing_does_not_change_the_space_that_was_frozen():
    SPACE.freeze(lr=0.1)
    assert SPACE["lr"] == Float(1e-4, 1.0, log=True)


def test_freezing_everything_leaves_one_configuration():
    frozen = SPACE.freeze(lr=0.1, layers=2, optimiser="sgd", momentum=0.5)
    found = {RandomSearch(frozen, seed).propose(0) for seed in range(20)}
    assert found == {frozen.configuration({})}
    assert dict(found.pop()) == {"lr": 0.1, "layers": 2, "optimiser": "sgd", "momentum": 0.5}


def test_an_integer_freezes_a_float_as_a_float():
    value = SPACE.freeze(lr=1).from_unit([0.0] * 4)["lr"]
    assert type(value) is float
    assert value == 1.0


@pytest.mark.parametrize("name", ["self", "values", "batch size", "class"])
def test_any_name_can_be_frozen(name):
    assert SearchSpace({name: Int(1, 4)}).freeze(**{name: 3})[name] == Constant(3)


# -- conditions ------------------------------------------------------------------------------------


def test_a_conditional_frozen_dimension_exists_where_it_did():
    frozen = SPACE.freeze(momentum=0.5)
    for index in range(40):
        before, after = (RandomSearch(space, 0).propose(index) for space in (SPACE, frozen))
        assert ("momentum" in after) == ("momentum" in before) == (after["optimiser"] == "sgd")
        assert after.get("momentum", 0.5) == 0.5


@pytest.mark.parametrize(("optimiser", "there"), [("sgd", True), ("adam", False)])
def test_a_frozen_parent_decides_whether_the_child_exists(optimiser, there):
    frozen = SPACE.freeze(optimiser=optimiser)
    assert all(("momentum" in RandomSearch(frozen, 0).propose(i)) == there for i in range(20))
    given = {"lr": 0.1, "layers": 1} | ({"momentum": 0.3} if there else {})
    assert frozen.configuration(given)["optimiser"] == optimiser  # a constant may be left out


def test_a_child_of_a_frozen_parent_that_never_exists_is_refused():
    with pytest.raises(ConfigurationError, match="momentum is given, and exists only with optimiser in"):
        SPACE.freeze(optimiser="adam").configuration({"lr": 0.1, "layers": 1, "momentum": 0.3})


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_a_frozen_space_survives_json_and_pickle(optimiser):
    frozen = SPACE.freeze(optimiser=optimiser, layers=3)
    for back in (
        SearchSpace.from_dict(json.loads(json.dumps(frozen.to_dict()))),
        pickle.loads(pickle.dumps(frozen)),
    ):
        assert back == frozen
        assert repr(back) == repr(frozen)
        assert back.from_unit([0.3] * 4) == frozen.from_unit([0.3] * 4)


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"layer": 2}, ("'layer'", 'did you mean "layers"?', "known: layers, lr, momentum, optimiser")),
        ({"lr": 2.0}, ("lr is 2.0", "[0.0001, 1.0]")),
        ({"layers": 2.0}, ("layers is 2.0", "must be an integer")),
        ({"optimiser": "adamw"}, ("optimiser is 'adamw'", "['sgd', 'adam']")),
        ({"lr": 0.1, "layers": True}, ("layers is True",)),
    ],
)
def test_a_mistake_names_the_value_and_what_is_allowed(values, said):
    with pytest.raises(ConfigurationError) as caught:
        SPACE.freeze(**values)
    for part in said:
        assert part in str(caught.value)


def test_what_is_frozen_can_be_frozen_again_at_the_same_value_alone():
    frozen = SPACE.freeze(layers=2)
    assert frozen.freeze(layers=2) == frozen
    with pytest.raises(ConfigurationError, match="layers is 3: it is frozen at 2"):
        frozen.freeze(layers=3)
