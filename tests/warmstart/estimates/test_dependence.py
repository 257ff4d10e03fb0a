"""What is read of a configuration is seen, however it is read; and differences along one coordinate."""

from __future__ import annotations

import copy
import json
import math
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asha_core import Choice, Configuration, Float, SearchSpace
from asha_core.errors import TaskError
from asha_core.space.watched import Watched
from warmstart.estimates.dependence import optimizer_settings, wanted_names
from warmstart.estimates.stencils import stencil
from warmstart.optimizers import SGD, Adam

SPACE = SearchSpace({"lr": Float(1e-4, 1.0, log=True), "decay": Float(0.0, 1.0), "kind": Choice(["a", "b"])})
CONFIG = SPACE.configuration({"lr": 0.01, "decay": 0.2, "kind": "a"})
ALL = {"lr", "decay", "kind"}


def unpacked(**values: Any) -> dict[str, Any]:
    return values


READS: dict[str, tuple[Callable[[Any], Any], set[str]]] = {
    "one": (lambda c: c["lr"], {"lr"}),
    "get": (lambda c: c.get("lr", 1.0), {"lr"}),
    "get of what is not there": (lambda c: c.get("momentum", 1.0), set()),
    "in": (lambda c: "lr" in c, {"lr"}),
    "dict": (dict, ALL),
    "unpacked": (lambda c: unpacked(**c), ALL),
    "in a display": (lambda c: {**c, "more": 1}, ALL),
    "items": (lambda c: list(c.items()), ALL),
    "values": (lambda c: list(c.values()), ALL),
    "update": ({}.update, ALL),
    "hash": (hash, ALL),
    "equal": (lambda c: c == CONFIG, ALL),
    "equal from the other side": (CONFIG.__eq__, ALL),
    "unequal": (lambda c: c != 3, ALL),
    "repr": (repr, ALL),
    "text": (str, ALL),
    "pickle": (pickle.dumps, ALL),
    "copy, which is itself": (lambda c: copy.copy(c)["lr"], {"lr"}),
    "deepcopy, which is itself": (lambda c: copy.deepcopy({"config": c})["config"]["lr"], {"lr"}),
    "JSON": (lambda c: json.dumps(c, default=dict), ALL),
    "another Configuration": (lambda c: Configuration(tuple(c), tuple(c.values())), ALL),
    "checked by the space": (SPACE.configuration, ALL),
    "match": (lambda c: _is_b(c=c), {"kind"}),
    "names": (list, set()),
    "length": (len, set()),
    "keys": (lambda c: c.keys(), set()),
}


def _is_b(c: Mapping[str, Any]) -> bool:
    match c:
        case {"kind": "b"}:
            return True
    return False


@pytest.mark.parametrize("way", READS)
def test_what_is_read_is_seen(way: str) -> None:
    read, expected = READS[way]
    watched = Watched(CONFIG)
    read(watched)
    assert watched.reads & ALL == expected


def test_a_watched_configuration_is_the_configuration() -> None:
    watched = Watched(CONFIG)
    assert isinstance(watched, Configuration)
    assert watched == CONFIG
    assert CONFIG.__eq__(watched)
    assert watched == Watched(CONFIG)
    assert watched != SPACE.configuration({**CONFIG, "lr": 0.02})
    assert hash(watched) == hash(CONFIG)
    assert {CONFIG: 1}[watched] == 1
    assert repr(watched) == repr(CONFIG)
    assert dict(watched) == dict(CONFIG)
    sent = pickle.loads(pickle.dumps(watched))
    assert type(sent) is Configuration
    assert sent == CONFIG
    assert copy.copy(watched) is copy.deepcopy(watched) is watched
    with pytest.raises(KeyError, match="lt"):
        watched["lt"]
    assert watched.get("lt") is None


@given(
    centre=st.floats(0, 1),
    step=st.floats(1e-5, 0.5),
    reach=st.sampled_from([1, 2]),
    log=st.booleans(),
)
def test_a_stencil_lies_inside_its_dimension_and_is_exact_for_polynomials(
    centre: float, step: float, reach: int, log: bool
) -> None:
    """Of the degree that it is made for, on the bounds and near them too."""
    dimension = Float(0.01, 100.0, log=True) if log else Float(-2.0, 2.0)
    space = SearchSpace({"x": dimension, "y": Float(0.0, 1.0)})
    config = space.configuration({"x": dimension.from_unit(centre), "y": 0.5})
    own, points = stencil(dimension, config, "x", step, reach)
    x = dimension.to_search(config["x"])
    for _, there in points:
        assert space.configuration(there)["y"] == 0.5
        assert there["x"] != config["x"]
    scale = max(sum(abs(weight) for weight, _ in points), 1.0)
    for degree in range(2 * reach + 1):
        total = own * x**degree + sum(w * dimension.to_search(c["x"]) ** degree for w, c in points)
        exact = degree * x ** (degree - 1) if degree else 0.0
        assert total == pytest.approx(exact, abs=1e-13 * scale * 2.0**degree)


def settings(config: Mapping[str, Any]) -> list[SGD]:
    """The linear scaling rule, and momentum from an effective rate: any mapping will do."""
    lr = config["lr"] * 512 / 256
    return [SGD(("w",), lr, 1 - lr / 5.0, weight_decay=config["decay"] / lr), SGD(("b",), lr / 3)]


def test_slopes_of_settings_are_those_of_the_mapping() -> None:
    optimizer = optimizer_settings(settings, SPACE, CONFIG, ["lr", "decay"])
    assert optimizer.groups == settings(CONFIG)
    ln10, lr = math.log(10), 0.02
    expected = {"lr": lr * ln10, "momentum": -lr / 5 * ln10, "weight_decay": -0.2 / lr * ln10}
    found = optimizer.slope("lr", 0)
    for setting, slope in expected.items():
        assert found[setting] == pytest.approx(slope, rel=1e-7)
    assert found["dampening"] == 0.0
    assert optimizer.slope("decay", 0) == pytest.approx({**dict.fromkeys(found, 0.0), "weight_decay": 50.0})
    assert optimizer.slope("lr", 1)["lr"] == pytest.approx(lr / 3 * ln10, rel=1e-7)
    assert not any(optimizer.slope("decay", 1).values())
    assert optimizer.slope("nothing", 0) == {}
    assert optimizer.moved_by("lr") == {"lr", "momentum", "weight_decay"}
    assert optimizer.moved_by("nothing") == set()


def test_settings_that_do_not_move_have_slopes_of_exactly_zero() -> None:
    """What a function reads and does not use is not taken for something that acts."""

    def reads_all(config: Mapping[str, Any]) -> list[Adam]:
        values = dict(config)
        return [Adam(("w",), values["lr"], 0.9, 0.999, 1e-8)]

    optimizer = optimizer_settings(reads_all, SPACE, CONFIG, ["lr", "decay"])
    assert set(optimizer.slopes) == {"lr"}
    assert optimizer.moved_by("lr") == {"lr"}


def test_settings_in_float32_have_slopes_to_four_digits() -> None:
    """A learning rate that is a tensor, as for a compiled optimiser."""

    def rounded(config: Mapping[str, Any]) -> list[SGD]:
        return [SGD(("w",), float(torch.tensor(config["lr"])))]

    optimizer = optimizer_settings(rounded, SPACE, CONFIG, ["lr"])
    assert optimizer.slope("lr", 0)["lr"] == pytest.approx(0.01 * math.log(10), rel=1e-3)


def test_a_group_that_comes_or_goes_within_a_step_is_said_to() -> None:
    def groups(config: Mapping[str, Any]) -> list[Any]:
        first = SGD(("w",), config["lr"])
        return [first, SGD(("b",), config["lr"])] if config["lr"] > 0.01 else [first]

    with pytest.raises(TaskError, match=r"lr.*other parameter groups.*route=differences"):
        optimizer_settings(groups, SPACE, CONFIG, ["lr"])
    with pytest.raises(TaskError, match="other parameter groups"):
        optimizer_settings(
            lambda c: [SGD(("w",), 0.1) if c["lr"] > 0.01 else Adam(("w",), 0.1)], SPACE, CONFIG, ["lr"]
        )


def test_only_real_dimensions_that_are_there_are_wanted() -> None:
    space = SearchSpace(dict(SPACE), conditions={"decay": {"kind": "b"}})
    assert wanted_names(space, space.configuration({"lr": 0.1, "kind": "a"}), None) == ["lr"]
    both = space.configuration({"lr": 0.1, "kind": "b", "decay": 0.0})
    assert wanted_names(space, both, None) == ["lr", "decay"]
    assert wanted_names(space, both, ["decay", "kind", "nothing"]) == ["decay"]
