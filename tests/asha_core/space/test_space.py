"""The search space and its configurations: checks, and what survives JSON and pickle."""

from __future__ import annotations

import json
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asha_core.errors import ConfigurationError, SpaceError
from asha_core.space import Choice, Configuration, Float, Int, SearchSpace
from tests.asha_core.space_strategies import quick, spaces, units

SPACE = SearchSpace(
    {"lr": Float(1e-4, 1.0, log=True), "layers": Int(1, 4), "optimiser": Choice(["sgd", "adam"])}
)
GOOD = {"lr": 0.1, "layers": 2, "optimiser": "adam"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"layer": 2}, ("'layer'", 'did you mean "layers"?', "known: layers, lr, optimiser")),
        ({"zzzzzz": 2}, ("'zzzzzz'", "known: layers, lr, optimiser")),
        ({"lr": 2.0}, ("lr is 2.0", "[0.0001, 1.0]")),
        ({"lr": math.nan}, ("lr is nan", "[0.0001, 1.0]")),
        ({"lr": "fast"}, ("lr is 'fast'", "must be a number")),
        ({"lr": True}, ("lr is True", "must be a number")),
        ({"layers": 5}, ("layers is 5", "[1, 4]")),
        ({"layers": 2.0}, ("layers is 2.0", "must be an integer")),
        ({"layers": True}, ("layers is True", "must be an integer")),
        ({"optimiser": "adamw"}, ("optimiser is 'adamw'", "['sgd', 'adam']")),
    ],
)
def test_a_mistake_in_a_configuration_names_the_value_and_what_is_allowed(change, said):
    with pytest.raises(ConfigurationError) as caught:
        SPACE.configuration({**GOOD, **change})
    for part in said:
        assert part in str(caught.value)


def test_what_a_configuration_lacks_is_named():
    with pytest.raises(ConfigurationError, match="lacks layers, optimiser"):
        SPACE.configuration({"lr": 0.1})


def test_a_wrong_number_of_coordinates_is_an_error():
    with pytest.raises(ConfigurationError, match="2 unit coordinates for 3 dimensions"):
        SPACE.from_unit([0.1, 0.2])


@quick
@given(spaces, st.data())
def test_what_a_space_proposes_it_accepts(space, data):
    unit = data.draw(st.lists(units, min_size=len(space), max_size=len(space)))
    configuration = space.from_unit(unit)
    checked = space.configuration(dict(configuration))
    assert checked == configuration
    assert hash(checked) == hash(configuration)
    assert [type(v) for v in checked.values()] == [type(v) for v in configuration.values()]
    assert all(0.0 <= u <= 1.0 for u in space.to_unit(configuration))


def test_an_integer_given_for_a_float_becomes_a_float_in_any_order_of_names():
    configuration = SPACE.configuration({"optimiser": "sgd", "layers": 1, "lr": 1})
    assert type(configuration["lr"]) is float
    assert list(configuration) == list(SPACE.names) == ["lr", "layers", "optimiser"]


# -- JSON ------------------------------------------------------------------------------------------


@quick
@given(spaces)
def test_a_space_survives_json(space):
    back = SearchSpace.from_dict(json.loads(json.dumps(space.to_dict(), allow_nan=False)))
    assert back == space
    assert repr(back) == repr(space)  # 1, 1.0 and True are equal, and print differently
    assert back.names == space.names


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"type": "flaot", "lower": 0, "upper": 1}, ("'lr'", "'flaot'", 'did you mean "float"?')),
        ({"lower": 0, "upper": 1}, ("'lr'", "None", "known: choice, constant, float, int")),
        ({"type": "float", "lower": 0, "upper": 1, "step": 2}, ("'lr'", "step")),
        ({"type": "int", "lower": 0}, ("'lr'", "upper")),
        ({"type": "int", "lower": 3, "upper": 1}, ("lower=3", "swapped")),
    ],
)
def test_a_mistake_in_a_description_is_named(entry, said):
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_dict({"dimensions": {"lr": entry}})
    for part in said:
        assert part in str(caught.value)


# -- configurations --------------------------------------------------------------------------------


def test_a_configuration_cannot_be_changed():
    configuration = SPACE.configuration(GOOD)
    with pytest.raises(TypeError):
        configuration["lr"] = 0.2
    with pytest.raises(TypeError):
        del configuration["lr"]
    with pytest.raises(AttributeError):
        configuration.lr = 0.2
    assert dict(configuration) == GOOD


def test_an_unknown_name_is_a_key_error_and_a_known_one_is_found():
    configuration = SPACE.configuration(GOOD)
    with pytest.raises(KeyError, match="momentum"):
        configuration["momentum"]
    assert configuration.get("momentum", 7) == 7
    assert "lr" in configuration
    assert "momentum" not in configuration
    assert len(configuration) == 3


@quick
@given(spaces, st.data(), st.sampled_from(range(2, pickle.HIGHEST_PROTOCOL + 1)))
def test_a_space_and_its_configurations_survive_pickle(space, data, protocol):
    unit = data.draw(st.lists(units, min_size=len(space), max_size=len(space)))
    configuration = space.from_unit(unit)
    space_back, back = pickle.loads(pickle.dumps((space, configuration), protocol))
    assert space_back == space
    assert space_back.from_unit(unit) == configuration
    assert (back, hash(back), repr(back)) == (configuration, hash(configuration), repr(configuration))


@quick
@given(st.dictionaries(st.text(), st.integers() | st.text(), min_size=1, max_size=6), st.randoms())
def test_equal_configurations_have_equal_hashes_whatever_the_order_of_names(values, random):
    first = Configuration(tuple(values), tuple(values.values()))
    shuffled = list(values.items())
    random.shuffle(shuffled)
    second = Configuration(tuple(k for k, _ in shuffled), tuple(v for _, v in shuffled))
    assert first == second == values
    assert hash(first) == hash(second)


@quick
@given(st.integers(1, 4), st.integers(1, 4))
def test_configurations_are_equal_exactly_if_their_values_are(one, other):
    first = SPACE.configuration({**GOOD, "layers": one})
    second = SPACE.configuration({**GOOD, "layers": other})
    assert (first == second) == (one == other)
    assert len({first, second}) == (1 if one == other else 2)
