"""Whatever kind of number or text a space is described with: its configurations hold Python's own."""

from __future__ import annotations

from enum import Enum, IntEnum, StrEnum
from typing import Any

import numpy as np
import pytest

from asha_core.arguments import PLAIN, plain, plain_values
from asha_core.errors import ConfigurationError, SpaceError
from asha_core.searchers.listed import Listed
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Configuration, Constant, Float, Int, SearchSpace


class Text(str):
    """A subclass, as libraries have them."""

    def __str__(self) -> str:
        return "something else"


class Number(int): ...


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1


class Kind(Enum):
    OTHER = object()


SAME = [
    (np.float64(0.1), 0.1),
    (np.float32(0.5), 0.5),
    (np.int64(3), 3),
    (np.uint8(3), 3),
    (np.bool_(True), True),
    (np.str_("sgd"), "sgd"),
    (np.array(0.5), 0.5),
    (Text("a"), "a"),
    (Number(3), 3),
]


@pytest.mark.parametrize(("value", "same"), [*SAME, *((each, each) for each in (1, 1.0, True, "1", None))])
def test_a_value_is_pythons_own_wherever_a_space_takes_one(value: Any, same: Any) -> None:
    other = "another"
    space = SearchSpace({"a": Choice((value, other)), "b": Constant(value), "c": Float(0.0, 1.0)})
    alike = SearchSpace({"a": Choice([same, other]), "b": Constant(same), "c": Float(0.0, 1.0)})
    assert space == alike
    assert space.to_dict() == alike.to_dict()
    configuration = space.from_unit([0.1, 0.5, np.float64(0.25)])
    given = space.configuration({"a": value, "b": value, "c": np.float32(0.25)})
    listed = Listed([{"a": value, "c": np.float64(0.25)}], RandomSearch(space, 0)).propose(0)
    made = Configuration(("a", "b", "c"), (value, value, np.float64(0.25)))
    for each in (configuration, given, listed, made):
        assert each == alike.from_unit([0.1, 0.5, 0.25])
        assert [type(item) for item in each.values()] == [type(same), type(same), float]
    for frozen in (space.freeze(a=same), space.freeze(a=value)):
        assert frozen == alike.freeze(a=same)


@pytest.mark.parametrize(
    "options", [np.array([0.001, 0.01, 0.1]), list(np.array([0.001, 0.01, 0.1])), (0.001, 0.01, 0.1)]
)
def test_an_array_a_list_of_its_numbers_and_a_tuple_are_the_same_choice(options: Any) -> None:
    assert Choice(options) == Choice([0.001, 0.01, 0.1])
    assert {type(option) for option in Choice(options).options} == {float}


def test_bounds_and_names_are_pythons_own() -> None:
    name = np.str_("lr")
    space = SearchSpace(
        {name: Float(np.float32(0.5), np.int64(1), log=np.bool_(True)), "n": Int(np.int64(1), np.int8(3))}
    )
    assert space == SearchSpace({"lr": Float(0.5, 1.0, log=True), "n": Int(1, 3)})
    assert {type(each) for each in space} == {str}
    lr, n = space.values()
    assert [type(each) for each in (lr.lower, lr.upper, lr.log)] == [float, float, bool]  # type: ignore[union-attr]
    assert [type(each) for each in (n.lower, n.upper)] == [int, int]  # type: ignore[union-attr]


@pytest.mark.parametrize("wanted", [np.str_("sgd"), [np.str_("sgd")]])
@pytest.mark.parametrize("parent", [Choice(["adam", "sgd"]), Constant("sgd")])
def test_conditions_know_numpys_values(wanted: Any, parent: Any) -> None:
    dimensions = {"o": parent, "m": Float(0.0, 1.0)}
    assert SearchSpace(dimensions, conditions={"m": {"o": wanted}}) == SearchSpace(
        dimensions, conditions={"m": {"o": "sgd"}}
    )


@pytest.mark.parametrize("member", [Colour.RED, Size.SMALL, Kind.OTHER])
def test_an_enum_is_refused_with_what_to_write(member: Any) -> None:
    kind = type(member).__name__
    with pytest.raises(SpaceError) as caught:
        Choice([member, "b"])
    assert f"{member!r} is an Enum" in str(caught.value)
    assert f"[each.name for each in {kind}]" in str(caught.value)
    assert f"{kind}[name] inside the task" in str(caught.value)
    with pytest.raises(SpaceError, match="Constant value"):
        Constant(member)
    with pytest.raises(ConfigurationError, match="it must be one of"):
        SearchSpace({"a": Choice(["red", 1])}).configuration({"a": member})


@pytest.mark.parametrize("value", [np.datetime64("2020-01-01"), np.array([1.0]), 1j, [1j], np.float64("nan")])
def test_what_is_no_plain_value_is_refused(value: Any) -> None:
    with pytest.raises(SpaceError, match="Choice option"):
        Choice([value])


def test_two_spellings_of_one_value_are_a_repetition() -> None:
    with pytest.raises(SpaceError, match="repeated"):
        Choice([0.5, np.float32(0.5)])


@pytest.mark.parametrize("bounds", [(Size.SMALL, 3), (0, "1"), (True, 3), (np.bool_(False), 1)])
@pytest.mark.parametrize("kind", [Float, Int])
def test_bounds_that_are_no_numbers(kind: Any, bounds: Any) -> None:
    with pytest.raises(SpaceError, match=r"bound is .* it must be a finite number"):
        kind(*bounds)


@pytest.mark.parametrize("log", ["yes", 1, None])
@pytest.mark.parametrize("kind", [Float, Int])
def test_log_is_true_or_false(kind: Any, log: Any) -> None:
    with pytest.raises(SpaceError, match=f"log is {log!r}: it must be true or false"):
        kind(1, 3, log=log)


def test_what_is_inside_containers() -> None:
    given = {np.str_("a"): [np.int64(1), (np.float32(0.5), None)], "b": {"c": np.bool_(False)}}
    found = plain_values(given)
    assert found == {"a": [1, (0.5, None)], "b": {"c": False}}
    inside = [*found, found["a"][0], *found["a"][1], found["b"]["c"]]
    assert {type(each) for each in inside} <= set(PLAIN)
    with pytest.raises(TypeError, match="is a Colour"):
        plain_values([Colour.RED])
    assert plain(Colour.RED) is Colour.RED
