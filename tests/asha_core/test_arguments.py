"""Arguments that cannot be used are refused in one line that names them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from asha_core.arguments import integer, number, one_of, shown, text, true_or_false
from asha_core.errors import AshaError, ConfigurationError, SettingError, SpaceError
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.searchers import SEARCHERS, make_searcher
from asha_core.searchers.base import Searcher
from asha_core.searchers.grid import GridSearch
from asha_core.searchers.listed import Listed
from asha_core.searchers.quasi_random import QuasiRandomSearch
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Float, SearchSpace

SPACE = SearchSpace({"x": Float(0.0, 1.0), "o": Choice(["a", "b"])})


class Spaceless(Searcher):
    def propose(self, index: int) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("name", MODEL_FREE)
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_trials": "9"}, "max_trials is '9': it must be an integer of at least 1"),
        ({"max_trials": 2.5}, "max_trials is 2.5: it must be an integer of at least 1"),
        ({"max_trials": True}, "max_trials is True: it must be an integer of at least 1"),
        ({"max_retries": "9"}, "max_retries is '9': it must be an integer of at least 0"),
        ({"searcher": object()}, "must be an object of a subclass of asha_core.Searcher"),
        (
            {"searcher": RandomSearch},
            "must be an object of a subclass of asha_core.Searcher, such as RandomSear",
        ),
        ({"searcher": "sobl"}, "unknown searcher 'sobl'; did you mean \"sobol\""),
        ({"searcher": Spaceless()}, "the searcher has another space than the scheduler"),
        (
            {"searcher": RandomSearch(SearchSpace({"x": Float(0.0, 2.0)}), 0)},
            "the searcher has another space than the scheduler",
        ),
    ],
)
def test_what_a_scheduler_cannot_use(name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError) as caught:
        scheduler_class(name)(SPACE, **settings)
    assert said in str(caught.value)


def test_a_scheduler_takes_a_searcher_by_name() -> None:
    by_name = scheduler_class("asha")(SPACE, seed=3, searcher="sobol").ask()
    assert by_name == scheduler_class("asha")(SPACE, seed=3, searcher=make_searcher("sobol", SPACE, 3)).ask()


@pytest.mark.parametrize("size", ["9", 2.5, 0, -1, True])
def test_the_size_of_a_bracket_is_a_count(size: Any) -> None:
    with pytest.raises(SettingError, match=r"bracket_size is .* it must be an integer of at least 1"):
        scheduler_class("sh")(SPACE, bracket_size=size)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"constraints": bool}, "constraints is one function: give a list of them"),
        ({"constraints": [3]}, "constraint 3 is not a function"),
        ({"conditions": ["x"]}, "conditions is ['x']: it must map dimensions to their conditions"),
        ({"conditions": {"x": "a"}}, "condition of 'x' is 'a': it must map other dimensions to their values"),
        ({"conditions": {"x": {}}}, "condition of 'x' is {}: it must map other dimensions"),
    ],
)
def test_what_a_space_cannot_use(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(SpaceError) as caught:
        SearchSpace(dict(SPACE), **arguments)
    assert said in str(caught.value)


def test_constraints_may_come_from_a_generator_or_be_none():
    def small(configuration: Any) -> bool:
        return bool(configuration["x"] < 0.5)

    space = SearchSpace(dict(SPACE), constraints=(each for each in [small]))
    assert space.constraints == (small,)
    assert all(RandomSearch(space, 0).propose(index)["x"] < 0.5 for index in range(20))
    assert SearchSpace(dict(SPACE), constraints=None) == SPACE


@pytest.mark.parametrize("points", [[0.1], [{"x"}], ["a"]])
def test_start_points_are_mappings(points: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"start point 0 is .* it must be a mapping"):
        Listed(points, RandomSearch(SPACE, 0))


@pytest.mark.parametrize("points", [{"x": 0.1, "o": "a"}, "ab", b"ab", 3, None])
def test_start_points_are_a_list(points: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"start points are .* give a list of mappings"):
        Listed(points, RandomSearch(SPACE, 0))


def test_what_follows_the_list_is_a_searcher_or_nothing() -> None:
    with pytest.raises(SettingError, match="then is None: it must be a searcher"):
        Listed([], None)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="only is 1: it must be true or false"):
        Listed([], RandomSearch(SPACE, 0), only=1)  # type: ignore[arg-type]


GRID = SearchSpace({"o": Choice(["a", "b"])})
SEEDED: dict[str, Callable[[Any], Any]] = {
    **{name: lambda seed, name=name: scheduler_class(name)(SPACE, seed=seed) for name in MODEL_FREE},
    **{f"search-{name}": lambda seed, name=name: make_searcher(name, GRID, seed) for name in SEARCHERS},
}


@pytest.mark.parametrize("kind", SEEDED)
def test_a_seed_is_an_integer(kind: str) -> None:
    for value in ("1", True, 1.5, None, math.nan, np.float64(1.5), np.bool_(True), [1]):
        with pytest.raises(SettingError, match=r"^seed is .*: it must be an integer$"):
            SEEDED[kind](value)
    assert SEEDED[kind](-3) is not None


@pytest.mark.parametrize("kind", SEEDED)
def test_numpys_seed_is_the_same_as_pythons(kind: str) -> None:
    def first(made: Any) -> Any:
        return made.ask() if hasattr(made, "ask") else [made.propose(index) for index in range(2)]

    assert first(SEEDED[kind](np.int64(3))) == first(SEEDED[kind](3))


@pytest.mark.parametrize("space", [None, [("x", Float(0.0, 1.0))], Float(0.0, 1.0), SearchSpace, "space"])
def test_a_space_is_a_search_space(space: Any) -> None:
    made = [*(scheduler_class(name) for name in MODEL_FREE), *(RandomSearch, GridSearch, QuasiRandomSearch)]
    for kind in made:
        with pytest.raises(SettingError, match=r"^space is .*: it must be a SearchSpace"):
            kind(space, seed=0)


@pytest.mark.parametrize("value", [None, 3, "x", ["x"]])
def test_what_is_described_by_a_mapping(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"the configuration is .*: it must map names to values"):
        SPACE.configuration(value)
    with pytest.raises(SpaceError, match="a search space is described by"):
        SearchSpace.from_dict(value)


def test_constraints_are_a_list() -> None:
    with pytest.raises(SpaceError, match="constraints is 3: give a list of functions"):
        SearchSpace(dict(SPACE), constraints=3)  # type: ignore[arg-type]


def test_values_are_shown_in_a_few_characters_on_one_line() -> None:
    assert shown("a\nb") == repr("a\nb")
    assert shown(np.zeros((2, 2))) == "array([[0., 0.], [0., 0.]])"
    assert len(shown(list(range(1000)))) == 80
    assert shown(10**5000) == "a int"


@pytest.mark.parametrize("value", ["", " ", "a\nb", "a\0", b"a", 3, None])
def test_text_is_one_line(value: Any) -> None:
    with pytest.raises(SettingError, match=r"^metric is .*: it must be text, on one line$"):
        text("metric", value)
    assert text("metric", np.str_("loss")) == "loss"


def test_the_limits_of_an_integer_are_told() -> None:
    with pytest.raises(SettingError, match="n is 3: it must be an integer at most 2"):
        integer("n", 3, most=2)


def test_a_child_without_its_parent_is_told_what_is_missing():
    space = SearchSpace(dict(SPACE), conditions={"x": {"o": "a"}})
    with pytest.raises(ConfigurationError, match="the configuration lacks o"):
        space.configuration({"x": 0.3})


def test_a_description_that_is_none_is_refused():
    with pytest.raises(AshaError, match="dimension 'x' is described by 3: it must be a mapping"):
        SearchSpace.from_dict({"dimensions": {"x": 3}})


def test_a_bracket_may_be_far_larger_than_the_search():
    scheduler = scheduler_class("sh")(SPACE, max_trials=6, bracket_size=10**9, max_resource=9)
    assert scheduler.units_to_first_promotion == 6
    assert (
        scheduler_class("sync-hyperband")(SPACE, max_trials=6, max_resource=81).units_to_first_promotion == 6
    )


@pytest.mark.long
def test_hyperbands_shares_may_be_larger_than_any_float():
    scheduler = scheduler_class("hyperband")(SPACE, max_resource=2**1030, reduction_factor=16)
    assert {scheduler.ask().start for _ in range(50)} == {0}


@pytest.mark.parametrize("value", ["9", 2.5, True, None, 0, 4, np.int64(0), np.float64(2.5), np.bool_(True)])
def test_an_integer_within_limits(value: Any) -> None:
    with pytest.raises(SettingError, match=r"^n is .*: it must be an integer of at least 1 and at most 3$"):
        integer("n", value, 1, 3)


def test_numpys_integers_become_pythons():
    found = integer("n", np.int64(3), 3, 3)
    assert (found, type(found)) == (3, int)
    scheduler = scheduler_class("asha")(SPACE, max_resource=np.int64(9), max_trials=np.int64(5))
    assert [type(each) for each in (*scheduler.levels, scheduler.max_trials)] == [int] * 4


@pytest.mark.parametrize("value", ["0.5", True, None, math.nan, math.inf, 10**400, 0, 1.5, np.float32(2)])
def test_a_number_within_limits(value: Any) -> None:
    with pytest.raises(SettingError, match=r"^x is .*: it must be a finite number above 0 and at most 1$"):
        number("x", value, above=0, most=1)


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "told"),
    [
        ({}, -1e300, math.nan, "a finite number"),
        ({"least": 2}, 2, 1.9, "a finite number of at least 2"),
        ({"most": 2}, 2, 2.1, "a finite number at most 2"),
        ({"above": 2}, 2.1, 2, "a finite number above 2"),
        ({"least": 0, "below": 2}, 1.9, 2, "a finite number of at least 0 and below 2"),
    ],
)
def test_limits_of_numbers(limits: dict[str, float], inside: float, outside: float, told: str) -> None:
    assert number("x", inside, **limits) == inside
    with pytest.raises(SettingError) as caught:
        number("x", outside, **limits)
    assert str(caught.value) == f"x is {outside}: it must be {told}"


def test_numpys_numbers_become_pythons():
    assert type(number("x", np.float32(0.5))) is float


def test_a_name_and_a_bool():
    assert one_of("mode", "max", ("max", "min")) == "max"
    with pytest.raises(SettingError, match=r"mode is 'mix'; did you mean \"min\"\? known: max, min"):
        one_of("mode", "mix", ("max", "min"))
    with pytest.raises(SettingError, match=r"mode is \['max'\]"):
        one_of("mode", ["max"], {"max": 1})
    assert true_or_false("test", False) is False
    with pytest.raises(SettingError, match="test is 1: it must be true or false"):
        true_or_false("test", 1)
