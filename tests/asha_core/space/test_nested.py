"""Spaces as people write them: nested dictionaries, and plain values for what is not searched."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from asha_core import ASHA
from asha_core.errors import ConfigurationError, SettingError, SpaceError
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.searchers.listed import Listed
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Configuration, Constant, Float, Int, SearchSpace

NESTED = {
    "opt": {
        "name": Choice(["sgd", "adam"]),
        "lr": Float(1e-4, 1.0, log=True),
        "inner": {"beta": Float(0, 1)},
    },
    "depth": 5,
    "layers": Int(1, 4),
}
SPACE = SearchSpace(NESTED)
VALUES = {"opt": {"name": "sgd", "lr": 0.1, "inner": {"beta": 0.5}}, "layers": 2}


def test_a_nested_dictionary_is_a_space_of_dotted_names() -> None:
    flat = {
        "opt.name": Choice(["sgd", "adam"]),
        "opt.lr": Float(1e-4, 1.0, log=True),
        "opt.inner.beta": Float(0, 1),
        "depth": Constant(5),
        "layers": Int(1, 4),
    }
    assert SearchSpace(flat) == SPACE
    assert SPACE.names == tuple(flat)
    assert RandomSearch(SearchSpace(flat), 0).propose(3) == RandomSearch(SPACE, 0).propose(3)
    assert SearchSpace.from_dict(json.loads(json.dumps(SPACE.to_dict()))) == SPACE


def test_a_configuration_is_read_as_the_space_was_written() -> None:
    config = SPACE.configuration(VALUES)
    assert config["opt"]["lr"] == config["opt.lr"] == 0.1
    assert config["opt"]["inner"]["beta"] == 0.5
    assert config["depth"] == 5
    assert dict(config["opt"]) == {"name": "sgd", "lr": 0.1, "inner": {"beta": 0.5}}
    assert len(config["opt"]) == 3
    assert config["opt"].get("momentum", 7) == 7
    assert {**config["opt"]["inner"]} == {"beta": 0.5}
    assert repr(config["opt"]) == "{'name': 'sgd', 'lr': 0.1, 'inner': {'beta': 0.5}}"
    assert list(config) == [
        "opt.name",
        "opt.lr",
        "opt.inner.beta",
        "depth",
        "layers",
    ]  # as it is shown and stored
    for back in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert back == config
        assert back["opt"] == config["opt"]
    assert pickle.loads(pickle.dumps(config["opt"])) == config["opt"]


@pytest.mark.parametrize(
    "values", [VALUES, {"opt.name": "sgd", "opt": {"lr": 0.1, "inner.beta": 0.5}, "layers": 2}]
)
def test_values_may_be_nested_or_not(values: Any) -> None:
    assert SPACE.configuration(values) == SPACE.configuration(VALUES)
    assert Listed([values], RandomSearch(SPACE, 0)).propose(0) == SPACE.configuration(VALUES)


def test_a_nested_space_is_frozen_by_either_name() -> None:
    frozen = SPACE.freeze(**{"opt.lr": 0.1})
    assert frozen == SPACE.freeze(opt={"lr": 0.1})
    assert frozen["opt.lr"] == Constant(0.1)


def test_conditions_and_constraints_of_a_nested_space() -> None:
    space = SearchSpace(
        {"opt": {"name": Choice(["sgd", "adam"]), "momentum": Float(0, 1)}},
        conditions={"opt.momentum": {"opt.name": "sgd"}},
        constraints=[_slow],
    )
    found = [RandomSearch(space, 0).propose(index) for index in range(50)]
    assert {"momentum" in each["opt"] for each in found} == {True, False}
    assert all(each["opt"].get("momentum", 0) < 0.5 for each in found)


def _slow(config: Any) -> bool:
    return bool(config["opt"].get("momentum", 0.0) < 0.5)


@pytest.mark.parametrize("value", [5, 0.5, "relu", True, None])
def test_a_plain_value_is_a_constant(value: Any) -> None:
    assert SearchSpace({"x": value, "y": Float(0, 1)}) == SearchSpace(
        {"x": Constant(value), "y": Float(0, 1)}
    )


class Optunas: ...


Optunas.__module__ = "optuna.distributions"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"opt": {}}, "dimension 'opt' is an empty dictionary"),
        ({"opt": {3: 1}}, "dimension name 3 in 'opt' is not a string"),
        ({"opt": {"lr": object()}}, "dimension 'opt.lr' is <object"),
        ({"opt.lr": 1, "opt": {"lr": 2}}, "dimension 'opt.lr' is there twice"),
        (
            {"lr": Float},
            "dimension 'lr' is the class Float itself: give it its arguments, such as Float(1e-4, 1.0)",
        ),
        ({"n": [1, 2]}, "dimension 'n' is [1, 2], which may be values to choose between or one value"),
        ({"n": (1, 2)}, "write Choice((1, 2)), or Constant((1, 2))"),
        ({"n": float("nan")}, "dimension 'n': Constant value nan: a number must be finite"),
        ({"n": {"type": "float", "lower": 0}}, "as run.json describes one: SearchSpace.from_dict reads it"),
        ({"n": Optunas()}, "which is optuna's: SearchSpace.from_optuna(...) reads a space of these"),
        (
            {"o": SearchSpace({"a": 1, "b": 2}, conditions={"a": {"b": 2}})},
            "dimension 'o' is a SearchSpace with conditions or constraints",
        ),
    ],
)
def test_what_is_no_space(given: Any, said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace(given)
    assert said in str(caught.value)


def test_a_space_in_a_space() -> None:
    inner = SearchSpace({"lr": Float(0, 1)})
    assert SearchSpace({"opt": inner}) == SearchSpace({"opt.lr": Float(0, 1)})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"opt": {"lrr": 0.1}}, "unknown dimension 'opt.lrr'; did you mean \"opt.lr\"?"),
        ({"opt.lr": 0.1, "opt": {"lr": 0.1}}, "opt.lr is given twice"),
        ({"opt": 3}, "unknown dimension 'opt'"),
        ({"opt": {}}, "unknown dimension 'opt'"),
    ],
)
def test_nested_values_that_belong_to_no_dimension(values: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SPACE.configuration(values)
    assert said in str(caught.value)


def test_a_missing_key_names_those_that_there_are() -> None:
    config = SPACE.configuration(VALUES)
    with pytest.raises(KeyError) as caught:
        config["layer"]
    assert str(caught.value).startswith(
        "'layer'; did you mean \"layers\"? known: depth, layers, opt.inner.beta"
    )
    assert caught.value.args == ("layer",)
    back = pickle.loads(pickle.dumps(caught.value))  # as a worker sends it
    assert (str(back), back.args) == (str(caught.value), ("layer",))
    with pytest.raises(KeyError, match=r"'opt\.lrr'; did you mean \"opt\.lr\"\?"):
        config["opt"]["lrr"]
    with pytest.raises(KeyError):
        config[3]  # type: ignore[index]


@pytest.mark.parametrize("name", MODEL_FREE)
def test_a_scheduler_and_a_searcher_take_a_plain_dictionary(name: str) -> None:
    kind = scheduler_class(name)
    made, alike = kind(NESTED, seed=3), kind(SPACE, seed=3)
    assert made.space == SPACE
    assert made.ask() == alike.ask()
    assert made.rehearsal(4, RandomSearch(SPACE, 0)).space == SPACE
    assert kind(NESTED, searcher=RandomSearch(NESTED, 3)).ask() is not None  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="at least one dimension"):
        kind({})


@pytest.mark.parametrize("factor", [3, 3.0])
def test_a_whole_number_may_be_written_with_a_point(factor: Any) -> None:
    made = ASHA({"lr": Float(0, 1)}, reduction_factor=factor, max_resource=9.0, max_trials=1e3)  # type: ignore[arg-type]
    assert (made.levels, made.max_trials) == ((1, 3, 9), 1000)
    assert type(made.reduction_factor) is type(made.max_trials) is int
    with pytest.raises(SettingError, match=r"reduction_factor is 2\.5: it must be an integer"):
        ASHA({"lr": Float(0, 1)}, reduction_factor=2.5)  # type: ignore[arg-type]


def test_a_configuration_without_a_space_finds_dotted_names() -> None:
    config = Configuration(("a.b", "a"), (1, 2))
    assert (config["a"], config["a.b"]) == (2, 1)  # a name of its own comes first
