"""Options that JSON does not have: given back as they were given, kept as arrays and names."""

from __future__ import annotations

import functools
import json
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asha_core import ASHA, Refined
from asha_core.errors import ConfigurationError, SpaceError
from asha_core.runtime.observers import describe
from asha_core.runtime.storage.records import event_record, job_record, read_event, to_json
from asha_core.searchers.grid import GridSearch
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Configuration, Constant, Float, SearchSpace, as_kept, stored
from asha_core.space.options import all_kept, repeated
from tests.asha_core.space import option_values
from tests.asha_core.space.option_values import Net, Wide, relu
from tests.asha_core.space_strategies import quick, units

SPACE = SearchSpace(
    {
        "sizes": Choice([[64, 64], [128], []]),
        "shape": Choice([(3, 3), (5, (1, 2))]),
        "net": Choice([Net, Wide, Net.Head, relu, "Other"]),
        "mixed": Choice([(Net, 1), None, (relu, 0.5)]),
        "fixed": Constant((1, [2])),
        "base": Net,
        "lr": Float(0, 1),
    },
    conditions={"shape": {"sizes": [[64, 64], [128]]}, "mixed": {"net": [Net, relu]}},
)
MODULE = "tests.asha_core.space.option_values"
atoms = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["a", Net, Wide, relu])
values = st.recursive(
    atoms, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner), max_leaves=6
)


def types(value: Any) -> Any:
    return (type(value), [types(each) for each in value]) if isinstance(value, list | tuple) else type(value)


@quick
@given(st.lists(values, min_size=1, max_size=5).filter(lambda o: repeated(o, all_kept(o)) is None))
def test_an_option_is_given_back_as_it_was_given(options: list[Any]) -> None:
    space = SearchSpace({"x": Choice(options)})
    for index, option in enumerate(options):
        config = space.from_unit([(index + 0.5) / len(options)])
        assert (config["x"], types(config["x"])) == (option, types(option))
        line = to_json(config.stored())
        back = space.restored(json.loads(line))  # what the journal and a checkpoint have of it
        assert (back["x"], types(back["x"])) == (option, types(option))
        assert back == config == space.configuration(json.loads(line)) == space.configuration(dict(config))
        assert hash(back) == hash(config)
        assert to_json(back.stored()) == line
        assert space.to_unit(back) == [(index + 0.5) / len(options)]
    again = SearchSpace.from_dict(json.loads(json.dumps(space.to_dict())))
    assert again == space
    assert again.to_dict() == space.to_dict()


@quick
@given(st.lists(units, min_size=7, max_size=7))
def test_what_a_space_proposes_it_accepts_and_restores(unit: list[float]) -> None:
    config = SPACE.from_unit(unit)
    assert SPACE.configuration(dict(config)) == config
    assert SPACE.configuration(config.stored()) == config
    assert SPACE.restored(as_kept(config)) == config
    assert pickle.loads(pickle.dumps(config)) == config
    assert pickle.loads(pickle.dumps(config)).stored() == config.stored()
    assert ("shape" in config) == (config["sizes"] != [])
    assert ("mixed" in config) == (config["net"] in (Net, relu))
    assert SearchSpace.from_dict(json.loads(json.dumps(SPACE.to_dict()))) == SPACE


def test_it_is_kept_and_shown_by_name() -> None:
    config = SPACE.configuration(
        {"sizes": [64, 64], "shape": (3, 3), "net": Net, "mixed": (relu, 0.5), "lr": 0.5}
    )
    assert json.loads(to_json(config.stored())) == {
        "sizes": [64, 64],
        "shape": [3, 3],
        "net": "Net",
        "mixed": ["relu", 0.5],
        "fixed": [1, [2]],
        "base": "Net",
        "lr": 0.5,
    }
    assert describe(config) == (
        "sizes=[64, 64] shape=[3, 3] net=Net mixed=[relu, 0.5] fixed=[1, [2]] base=Net lr=0.5"
    )
    told = SPACE.to_dict()["dimensions"]
    assert told["net"]["options"] == ["Net", "Wide", "Net.Head", "relu", "Other"]
    assert told["net"]["given"][0] == {"import": f"{MODULE}:Net"}
    assert told["shape"] == {
        "type": "choice",
        "options": [[3, 3], [5, [1, 2]]],
        "given": [{"tuple": [3, 3]}, {"tuple": [5, {"tuple": [1, 2]}]}],
        "when": {"sizes": [[64, 64], [128]]},
    }
    assert told["mixed"]["when"] == {"net": ["Net", "relu"]}
    assert "given" not in SearchSpace({"a": Choice([1, "b"]), "c": 3}).to_dict()["dimensions"]["a"]


def test_options_of_one_name_are_kept_by_import_path() -> None:
    other = type("Net", (), {"__module__": MODULE, "__qualname__": "Wide"})
    assert Choice([Net, "Net"]).kept == (f"{MODULE}:Net", "Net")
    assert Choice([Net, Wide]).kept == ("Net", "Wide")
    for each in (other, Wide.make):
        with pytest.raises(SpaceError, match=r"is not what .*imports"):
            Choice([each])


def test_a_search_goes_through_the_journal_and_back() -> None:
    scheduler = ASHA(SPACE, seed=1)
    job = scheduler.ask()
    assert job is not None
    line = json.loads(to_json(job_record(job, 0)))
    assert line["configuration"]["base"] == "Net"
    event = Refined(job.trial, job.configuration, 0.1)
    back = read_event(json.loads(to_json(event_record(event))))
    assert back is not None
    scheduler.tell(back)
    found = scheduler.trials[0].configuration
    assert found == job.configuration
    assert (found["base"], type(found["fixed"])) == (Net, tuple)


def test_who_changes_a_list_changes_no_option() -> None:
    config = SearchSpace({"sizes": Choice([[64, [1]]]), "t": Constant(([1],))}).from_unit([0.5, 0.5])
    config["sizes"].append(3)
    config["sizes"][1].append(3)
    config["t"][0].append(3)
    assert (config["sizes"], config["t"]) == ([64, [1]], ([1],))


def test_numbers_of_numpys_inside() -> None:
    dimension = Choice([(np.int64(64), np.float64(0.5)), [np.str_("a")]])
    assert [types(each) for each in dimension.options] == [(tuple, [int, float]), (list, [str])]
    assert dimension.check("x", [np.int64(64), 0.5]) == (64, 0.5)


@pytest.mark.parametrize(
    ("wanted", "values"),
    [
        (Net, (Net,)),
        ("Net", (Net,)),
        ([Net, "relu"], (Net, relu)),
        ((3, 3), ((3, 3),)),
        ([[3, 3]], ((3, 3),)),
    ],
)
def test_a_condition_names_an_option_either_way(wanted: Any, values: Any) -> None:
    parent = Choice([(3, 3), (5, 5)] if values == ((3, 3),) else [Net, Wide, relu])
    space = SearchSpace({"p": parent, "c": Float(0, 1)}, conditions={"c": {"p": wanted}})
    assert space.conditions == {"c": {"p": values}}


def test_a_condition_on_a_constant_tuple() -> None:
    space = SearchSpace({"p": Constant((3, 3)), "c": Float(0, 1)}, conditions={"c": {"p": (3, 3)}})
    assert "c" in space.from_unit([0.5, 0.5])


def test_a_frozen_space_keeps_its_conditions_on_such_options() -> None:
    for frozen, there in ((SPACE.freeze(net=Net), True), (SPACE.freeze(net="Wide"), False)):
        back = SearchSpace.from_dict(json.loads(json.dumps(frozen.to_dict())))
        for each in (frozen, back):
            assert ("mixed" in each.from_unit([0.5] * 7)) == there


@pytest.mark.parametrize("value", [Net, "Net", [64, 64], (64, 64)])
def test_freezing_takes_an_option_either_way(value: Any) -> None:
    name = "sizes" if isinstance(value, list | tuple) else "net"
    frozen = SPACE.freeze(**{name: value})
    assert frozen[name] == Constant([64, 64] if name == "sizes" else Net)
    assert frozen.from_unit([0.5] * 7).stored()[name] == ([64, 64] if name == "sizes" else "Net")


def test_a_grid_of_such_options() -> None:
    space = SearchSpace(
        {"a": Choice([(1, 2), [3]]), "b": Choice([Net, relu])}, conditions={"b": {"a": [[3]]}}
    )
    grid = GridSearch(space, 0)
    assert grid.size == 3
    assert {type(grid.propose(index)["a"]) for index in range(3)} == {tuple, list}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            [1, 1.0, True],
            "Choice options are [1, 1.0, True]: 1 is repeated as 1.0, which is equal; leave one out",
        ),
        ([0, "a", False], "0 is repeated as False, which is equal"),
        (["a", "b", "a"], "'a' is repeated; leave one out"),
        ([(1, 2), [1, 2]], "(1, 2) is repeated as [1, 2], which is equal"),
        ([[1], [True]], "[1] is repeated as [True], which is equal"),
        ([Net, "a", Net], "is repeated; leave one out"),
        ([f"{MODULE}:Net", Net, "Net"], "is repeated as"),
        ([option_values.unnamed], "is a lambda, which no other process can import"),
        ([option_values.local()], "is defined inside a function, which no other process can import"),
        ([option_values.elsewhere], "is not what no_such_module:relu imports"),
        ([option_values.moved], "is not what tests.asha_core.space.option_values:hidden imports"),
        ([functools.partial(relu, 1.0)], "is a partial: options must be"),
        ([{"a": 1}], "is a dict: options must be"),
        ([{1, 2}], "is a set: options must be"),
        ([(1, float("nan"))], "nan: a number must be finite"),
        ([Net()], "map richer objects from a string inside the task"),
        ([(Net(),)], "map richer objects from a string inside the task"),
    ],
)
def test_what_is_no_option(options: Any, said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        Choice(options)
    assert said in str(caught.value)


@pytest.mark.parametrize("option", [Net.make, len, Net.Head, OrderedDict])
def test_whatever_has_an_import_path_is_an_option(option: Any) -> None:
    assert SearchSpace.from_dict(SearchSpace({"x": Choice([option])}).to_dict())["x"] == Choice([option])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"import": "no.such:Thing"}, "dimension 'x': the option 'no.such:Thing' cannot be imported"),
        ({"import": "math:nothing"}, "cannot be imported"),
        ({"tuple": 3}, "an option is described by {'tuple': 3}"),
        ({"set": [3]}, "an option is described by"),
        ({}, "an option is described by {}"),
    ],
)
@pytest.mark.parametrize("kind", ["choice", "constant"])
def test_a_description_that_cannot_be_read(kind: str, given: Any, said: str) -> None:
    entry = {"choice": {"options": ["a"], "given": [given]}, "constant": {"value": "a", "given": given}}[kind]
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_dict({"dimensions": {"x": {"type": kind, **entry}}})
    assert said in str(caught.value)


def test_given_belongs_to_options_alone() -> None:
    entry = {"type": "float", "lower": 0, "upper": 1, "given": [1]}
    with pytest.raises(SpaceError, match=r"dimension 'x': .*given"):
        SearchSpace.from_dict({"dimensions": {"x": entry}})


def test_a_value_that_is_no_option_is_told_by_name() -> None:
    with pytest.raises(
        ConfigurationError, match=r"must be one of \['Net', 'Wide', 'Net.Head', 'relu', 'Other'\]"
    ):
        SPACE.freeze(net="ReLU")
    with pytest.raises(ConfigurationError, match=r"it is frozen at \[1, \[2\]\]"):
        SPACE.freeze(fixed=(1, 2))
    with pytest.raises(ConfigurationError, match="must be one of"):
        SPACE.freeze(net=object())


def test_what_is_none_of_a_space_is_restored_as_it_is() -> None:
    found = SPACE.restored({"net": "gone", "sizes": [64, 64], "unknown": 3})
    assert dict(found) == {"net": "gone", "sizes": [64, 64], "unknown": 3}
    plain = SearchSpace({"lr": Float(0, 1)})
    config = plain.from_unit([0.5])
    assert plain.restored(config) is config
    assert plain.restored({"lr": 0.5}) == config


def test_a_configuration_without_a_space_is_kept_too() -> None:
    config = Configuration(("a", "b"), ([1, (2,)], Net))
    assert config.stored() == {"a": [1, [2]], "b": "Net"}
    assert stored({"a": 1}) == {"a": 1}
    assert hash(config) == hash(Configuration(("b", "a"), (Net, [1, (2,)])))


def test_streams_of_plain_spaces_are_as_ever() -> None:
    """Golden values: as version 0.1 drew them."""
    space = SearchSpace(
        {"lr": Float(1e-4, 1.0, log=True), "o": Choice(["a", "b", "c"]), "m": Float(0.0, 0.95)}
    )
    first = RandomSearch(space, 0).propose(0)
    assert first["lr"] == 0.28655995520800415
    assert first.stored() == dict(first)


@pytest.mark.parametrize("function", [torch.relu, torch.tanh, torch.sigmoid])
def test_a_function_of_torch_is_kept_by_the_name_that_people_call_it_by(function: Any) -> None:
    """Its qualified name is of a class that its module does not have."""
    space = SearchSpace({"act": Choice([function, None])})
    config = space.from_unit([0.1])
    assert config.stored() == {"act": function.__name__}
    assert space.restored(config.stored())["act"] is function
    assert SearchSpace.from_dict(space.to_dict()).from_unit([0.1])["act"] is function


@pytest.mark.parametrize("method", [str.upper, torch.Tensor.relu])
def test_a_method_that_no_module_has_is_refused_in_words(method: Any) -> None:
    with pytest.raises(SpaceError, match="options must be strings"):
        Choice([method])
