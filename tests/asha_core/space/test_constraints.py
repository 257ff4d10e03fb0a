"""Constraints: what they refuse is never proposed, and what is proposed instead is reproducible."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.errors import ConfigurationError, SpaceError
from asha_core.searchers.random_search import RandomSearch, random_point
from asha_core.space import Choice, Constant, Float, Int, SearchSpace
from tests.asha_core import predicates
from tests.asha_core.predicates import Below, even, hardly_ever, small

SQUARE = {"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)}
TRIANGLE = SearchSpace(SQUARE, constraints=[small])
EVERYTHING = SearchSpace(
    {
        "x": Float(1e-3, 1.0, log=True),
        "y": Float(0.0, 1.0),
        "n": Int(1, 9),
        "kind": Choice(["a", 1, False, None]),
        "more": Int(1, 64, log=True),
        "k": Constant("fixed"),
    },
    conditions={"more": {"kind": ["a", None], "k": "fixed"}},
    constraints=[small, even],
)


# -- what is proposed ------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**62), st.integers(0, 10**6))
def test_what_is_refused_is_never_proposed(seed, index):
    configuration = RandomSearch(TRIANGLE, seed).propose(index)
    assert configuration["x"] + configuration["y"] <= 1.0
    everything = RandomSearch(EVERYTHING, seed).propose(index)
    assert small(everything)
    assert even(everything)
    assert EVERYTHING.configuration(dict(everything)) == everything


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**62), st.integers(0, 10**6))
def test_the_first_allowed_draw_of_a_stream_of_its_own_is_taken(seed, index):
    drawn = [TRIANGLE.from_unit(random_point(seed, index, attempt, 2)) for attempt in range(100)]
    assert RandomSearch(TRIANGLE, seed).propose(index) == next(c for c in drawn if small(c))


def test_where_the_first_draw_is_allowed_it_is_that_of_the_space_without_constraints():
    free = RandomSearch(SearchSpace(SQUARE), 3)
    kept = 0
    for index in range(300):
        before, after = free.propose(index), RandomSearch(TRIANGLE, 3).propose(index)
        assert (before == after) == small(before)
        kept += before == after
    assert kept == pytest.approx(150, abs=40)


def test_proposals_fill_what_is_allowed_evenly():
    found = [RandomSearch(TRIANGLE, 0).propose(index) for index in range(2000)]
    # the triangle's centre of mass, and a quarter of its area
    for name in "xy":
        assert sum(c[name] for c in found) / len(found) == pytest.approx(1 / 3, abs=0.02)
    assert sum(c["x"] > 0.5 for c in found) / len(found) == pytest.approx(0.25, abs=0.04)


def test_a_constraint_sees_a_frozen_dimension():
    frozen = TRIANGLE.freeze(y=0.75)
    assert all(RandomSearch(frozen, 0).propose(i)["x"] <= 0.25 for i in range(50))
    with pytest.raises(SpaceError, match="next to nothing of the space is left"):
        RandomSearch(SearchSpace({"n": Int(1, 9)}, constraints=[even]).freeze(n=3), 0).propose(0)


def test_a_space_of_which_nothing_is_left_names_its_constraints_their_shares_and_the_way_out():
    space = SearchSpace(SQUARE, constraints=[small, hardly_ever])
    with pytest.raises(SpaceError) as caught:
        RandomSearch(space, 0).propose(5)
    said = str(caught.value)
    assert "10,000 draws in a row" in said
    assert "tests.asha_core.predicates:hardly_ever allows 0%" in said
    share = int(said.split("tests.asha_core.predicates:small allows ")[1].split("%", maxsplit=1)[0])
    assert 35 <= share <= 65
    assert "loosen them, or narrow the bounds" in said


# -- what a constraint answers ---------------------------------------------------------------------


@pytest.mark.parametrize("yes", [True, np.True_, np.bool_(True)])
@pytest.mark.parametrize("no", [False, np.False_])
def test_true_and_false_are_understood_numpys_too(yes, no):
    point = SearchSpace(SQUARE).from_unit([0.5, 0.5])
    assert SearchSpace(SQUARE, constraints=[lambda c: yes]).allows(point) is True
    assert SearchSpace(SQUARE, constraints=[lambda c: yes, lambda c: no]).allows(point) is False
    numpys = SearchSpace(SQUARE, constraints=[predicates.numpy_bool])
    assert all(RandomSearch(numpys, 0).propose(i)["x"] < 0.5 for i in range(20))


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        (predicates.raises, ("predicates:raises", "ZeroDivisionError: division by zero", "'x'")),
        (predicates.says_nothing, ("predicates:says_nothing", "returned None", "True or False")),
        (predicates.says_one, ("predicates:says_one", "returned 1", "True or False")),
        (predicates.says_yes, ("predicates:says_yes", "returned 'yes'", "True or False")),
        (even, ("predicates:even", "KeyError: 'n'", "a dimension that does not exist there?")),
        (lambda c: c["z"] > 0, ("<lambda>", "KeyError: 'z'")),
    ],
)
def test_a_constraint_that_misbehaves_is_named_with_what_it_did(constraint, said):
    space = SearchSpace(SQUARE, constraints=[constraint])
    values = {"x": 0.25, "y": 0.5}
    for attempt in (
        lambda: RandomSearch(space, 0).propose(0),
        lambda: space.allows(space.from_unit([0.5, 0.5])),
        lambda: space.configuration(values),
    ):
        with pytest.raises(SpaceError) as caught:
            attempt()
        assert all(part in str(caught.value) for part in said)


def test_a_constraint_on_a_dimension_that_is_absent_somewhere_says_so():
    space = SearchSpace(
        {"kind": Choice(["a", "b"]), "momentum": Float(0, 1)},
        conditions={"momentum": {"kind": "b"}},
        constraints=[predicates.needs_momentum],
    )
    with pytest.raises(SpaceError, match=r"KeyError: 'momentum' \(a dimension that does not exist there\?\)"):
        for index in range(10):
            RandomSearch(space, 0).propose(index)


def test_a_configuration_that_is_refused_says_by_which_constraint():
    with pytest.raises(ConfigurationError) as caught:
        TRIANGLE.configuration({"x": 0.75, "y": 0.5})
    assert "tests.asha_core.predicates:small refuses {'x': 0.75, 'y': 0.5}" in str(caught.value)


@pytest.mark.parametrize("constraint", [3, "small", None])
def test_what_is_no_function_is_no_constraint(constraint):
    with pytest.raises(SpaceError, match="is not a function of a configuration"):
        SearchSpace(SQUARE, constraints=[constraint])


# -- JSON ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [TRIANGLE, EVERYTHING, EVERYTHING.freeze(kind="a", n=2)])
def test_a_space_with_everything_survives_json_and_pickle(space):
    for back in (
        SearchSpace.from_dict(json.loads(json.dumps(space.to_dict(), allow_nan=False))),
        pickle.loads(pickle.dumps(space)),
    ):
        assert back == space
        assert repr(back) == repr(space)
        assert back.names == space.names
        for index in range(20):
            assert RandomSearch(back, 1).propose(index) == RandomSearch(space, 1).propose(index)


def test_constraints_tell_spaces_apart():
    assert SearchSpace(SQUARE, constraints=[small]) == TRIANGLE
    assert SearchSpace(SQUARE) != TRIANGLE
    assert SearchSpace(SQUARE, constraints=[small, hardly_ever]) != TRIANGLE
    assert "tests.asha_core.predicates:small" in repr(TRIANGLE)


def test_a_callable_of_a_class_is_a_constraint_but_json_cannot_bring_it_back():
    space = SearchSpace(SQUARE, constraints=[Below(0.25)])
    assert all(RandomSearch(space, 0).propose(i)["x"] < 0.25 for i in range(20))
    with pytest.raises(SpaceError, match=r"tests\.asha_core\.predicates:Below'? cannot be imported"):
        SearchSpace.from_dict(space.to_dict())


@pytest.mark.parametrize(
    "name",
    [
        "tests.asha_core.predicates:nothing",
        "tests.asha_core.predicates:NOT_A_FUNCTION",
        "tests.asha_core.predicates:Below",
        "tests.asha_core.nowhere:small",
        "tests.asha_core.predicates",
        ":small",
        "",
    ],
)
def test_a_constraint_that_cannot_be_imported_is_named_with_what_it_must_be(name):
    description = {**TRIANGLE.to_dict(), "constraints": [name]}
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_dict(description)
    assert repr(name) in str(caught.value)
    assert "a function at the top level of a module" in str(caught.value)


def test_a_lambda_works_in_a_search_and_is_refused_when_it_comes_back_from_json():
    space = SearchSpace(SQUARE, constraints=[lambda c: c["x"] < 0.5])
    assert RandomSearch(space, 0).propose(0)["x"] < 0.5
    text = json.dumps(space.to_dict())
    with pytest.raises(SpaceError, match=r"<lambda>.*cannot be imported.*top level of a module"):
        SearchSpace.from_dict(json.loads(text))


@pytest.mark.parametrize(
    "description", [{}, {"lr": {"type": "float"}}, {"dimensions": 3}, {"dimensions": {}}]
)
def test_what_describes_no_space_is_refused(description):
    with pytest.raises(SpaceError):
        SearchSpace.from_dict(description)
