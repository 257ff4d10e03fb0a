"""What every searcher promises, and where each one's configurations come from."""

from __future__ import annotations

import pytest

from asha_core.errors import ConfigurationError, SettingError, SpaceError
from asha_core.messages import Failed, Rejected, Report
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.searchers import SEARCHERS, make_searcher
from asha_core.searchers.grid import GridSearch, configurations
from asha_core.searchers.listed import Listed
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Choice, Constant, Float, Int, SearchSpace
from asha_core.streams import uniforms
from asha_core.testing import SearcherContract
from tests.asha_core.predicates import even, never, small

DISCRETE = SearchSpace(
    {
        "kind": Choice(["a", "b", "c"]),
        "n": Int(1, 12),
        "depth": Int(1, 16, log=True),
        "k": Constant(0.5),
    },
    conditions={"depth": {"kind": ["b", "c"]}},
    constraints=[even],
)
MIXED = SearchSpace(
    {
        "x": Float(0.0, 1.0),
        "y": Float(0.0, 1.0),
        "lr": Float(1e-5, 1.0, log=True),
        "n": Int(1, 12),
        "kind": Choice(["a", "b", "c"]),
        "momentum": Float(0.0, 0.99),
    },
    conditions={"momentum": {"kind": "b"}},
    constraints=[small, even],
)
POINTS = [
    {"kind": "a", "n": 2},
    {"kind": "b", "n": 12, "depth": 16, "k": 0.5},
    {"kind": "a", "n": 2},  # twice: that is the user's wish
]
MAKE = {
    "random": lambda seed: RandomSearch(MIXED, seed),
    "random, discrete": lambda seed: RandomSearch(DISCRETE, seed),
    "sobol": lambda seed: make_searcher("sobol", MIXED, seed),
    "halton": lambda seed: make_searcher("halton", MIXED, seed),
    "grid": lambda seed: make_searcher("grid", DISCRETE, seed),
    "listed and random": lambda seed: Listed(POINTS, RandomSearch(DISCRETE, seed)),
    "listed and grid": lambda seed: Listed(POINTS, GridSearch(DISCRETE, seed)),
}


class TestOurSearchers(SearcherContract):
    @pytest.fixture(autouse=True, params=MAKE.values(), ids=MAKE.keys())
    def _of_that_kind(self, request):
        self.make, self.space = request.param, request.param(0).space

    def searcher(self, space, seed):
        return self.make(seed)


# -- searches that end -----------------------------------------------------------------------------


def play(scheduler, outcome=lambda job: None):
    """Ask until there is nothing more; four at a time. Returns how many jobs there were."""
    running, jobs = [], 0
    while jobs < 5000:
        while len(running) < 4 and (job := scheduler.ask()) is not None:
            running.append(job)
            jobs += 1
        if not running:
            return jobs
        job = running.pop(0)
        event = outcome(job)
        value = uniforms(1, "value", 1000 * job.trial + job.until, 1)[0]
        scheduler.tell(event or Report(job.trial, job.attempt, job.until, value, 1.0))
    raise AssertionError("the search does not end")


def bad_luck(job):
    if job.start == 0 and job.trial % 5 == 0:
        return Rejected(job.trial, "diverges", 0.1)
    return Failed(job.trial, job.attempt, "no luck") if job.trial % 7 == 0 else None


@pytest.mark.parametrize("outcome", [lambda job: None, bad_luck])
@pytest.mark.parametrize("name", MODEL_FREE)
@pytest.mark.parametrize(
    "make", [MAKE["grid"], lambda seed: Listed(POINTS, RandomSearch(DISCRETE, 0), only=True)]
)
def test_a_search_ends_with_the_configurations_that_there_are(make, name, outcome):
    searcher = make(3)
    scheduler = scheduler_class(name)(searcher.space, max_resource=9, searcher=searcher)
    assert scheduler.trial_limit == searcher.size
    play(scheduler, outcome)
    assert [trial.configuration for trial in scheduler.trials] == [
        searcher.propose(index) for index in range(searcher.size)
    ]
    assert scheduler.ask() is None


@pytest.mark.parametrize("name", MODEL_FREE)
@pytest.mark.parametrize(("max_trials", "size"), [(5, 20), (20, 5), (7, 7)])
def test_a_search_ends_at_the_smaller_of_its_limits(name, max_trials, size):
    space = SearchSpace({"n": Int(1, size)})
    scheduler = scheduler_class(name)(
        space, max_resource=9, max_trials=max_trials, searcher=GridSearch(space, 0)
    )
    assert scheduler.trial_limit == min(max_trials, size)
    play(scheduler)
    assert len(scheduler.trials) == min(max_trials, size)


def test_each_name_makes_its_searcher():
    space = SearchSpace({"n": Int(1, 9), "kind": Choice(["a", "b"])})
    for name in SEARCHERS:
        searcher = make_searcher(name, space, 4)
        assert (searcher.name, searcher.space) == (name, space)
    assert [name for name in SEARCHERS if make_searcher(name, space, 4).size is not None] == ["grid"]


def test_an_unknown_searcher_names_the_nearest():
    with pytest.raises(SettingError, match="unknown searcher 'sobl'; did you mean \"sobol\"") as caught:
        make_searcher("sobl", MIXED, 0)
    assert all(name in str(caught.value) for name in SEARCHERS)


# -- random ----------------------------------------------------------------------------------------


def test_random_draws_are_the_streams_own():
    space = SearchSpace({"x": Float(0.0, 1.0), "n": Int(1, 12)})
    for index in range(20):
        drawn = uniforms(8, "configuration", index, 2)
        assert RandomSearch(space, 8).propose(index) == space.from_unit(drawn)


# -- listed ----------------------------------------------------------------------------------------


def test_the_list_comes_first_and_then_the_other_from_its_first():
    then = RandomSearch(DISCRETE, 6)
    searcher = Listed(POINTS, then)
    assert [searcher.propose(index) for index in range(6)] == [
        *(DISCRETE.configuration(point) for point in POINTS),
        *(then.propose(index) for index in range(3)),
    ]
    assert searcher.name == "listed+random"
    assert searcher.size is None


def test_the_list_alone_ends_with_it():
    searcher = Listed(POINTS, RandomSearch(DISCRETE, 6), only=True)
    assert (searcher.name, searcher.size) == ("listed", 3)


def test_a_list_before_a_grid_adds_to_its_size():
    grid = GridSearch(DISCRETE, 0)
    searcher = Listed(POINTS, grid)
    assert searcher.size == grid.size + 3
    assert searcher.propose(searcher.size - 1) == grid.propose(grid.size - 1)


def test_an_empty_list_is_the_other_searcher():
    searcher, then = Listed([], RandomSearch(MIXED, 0)), RandomSearch(MIXED, 0)
    assert [searcher.propose(i) for i in range(5)] == [then.propose(i) for i in range(5)]


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ({"kind": "a", "n": 13}, "start point 1: n is 13"),
        ({"kind": "a"}, "start point 1: the configuration lacks n"),
        ({"kind": "a", "n": 2, "depth": 3}, "start point 1: depth is given, and exists only with kind in"),
        ({"kind": "a", "n": 3}, "start point 1: the constraint tests.asha_core.predicates:even refuses"),
        ({"kind": "a", "m": 3}, "start point 1: unknown dimension 'm'"),
        ({"kind": "a", "n": 2, "k": 1.0}, "start point 1: k is 1.0: it is frozen at 0.5"),
    ],
)
def test_a_point_outside_the_space_is_named_by_its_number(point, said):
    with pytest.raises(ConfigurationError) as caught:
        Listed([POINTS[0], point], RandomSearch(DISCRETE, 0))
    assert said in str(caught.value)


# -- grid ------------------------------------------------------------------------------------------


def test_a_grid_has_every_allowed_combination_once():
    grid = GridSearch(DISCRETE, 0)
    found = [grid.propose(index) for index in range(grid.size)]
    expected = {
        frozenset({"kind": kind, "n": n, "k": 0.5, **deep}.items())
        for kind in "abc"
        for n in (2, 4, 6, 8, 10, 12)
        for deep in ([{}] if kind == "a" else [{"depth": depth} for depth in range(1, 17)])
    }
    assert grid.size == len(found) == len(expected) == 6 * (1 + 2 * 16)
    assert {frozenset(configuration.items()) for configuration in found} == expected


def test_a_grids_order_is_shuffled_by_the_seed():
    space = SearchSpace({"a": Int(1, 10), "b": Int(1, 10)})
    orders = [[GridSearch(space, seed).propose(i) for i in range(100)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert set(orders[0]) == set(orders[2])
    # not lexicographic: the first tenth has many first values
    assert len({configuration["a"] for configuration in orders[0][:10]}) > 3


def test_a_frozen_dimension_is_one_value_of_a_grid():
    space = SearchSpace({"a": Int(1, 10), "x": Float(0.0, 1.0)})
    grid = GridSearch(space.freeze(x=0.5), 0)
    assert grid.size == 10
    assert {configuration["x"] for configuration in map(grid.propose, range(10))} == {0.5}


@pytest.mark.parametrize(
    ("space", "said"),
    [
        (SearchSpace({"n": Int(1, 3), "x": Float(0, 1)}), ("'x' is a Float", "Choice", "freeze")),
        (
            SearchSpace({"a": Int(1, 400), "b": Int(1, 400)}),
            ("160,000 combinations", "100,000", "random, sobol or halton"),
        ),
        (SearchSpace({"a": Int(0, 10**12)}), ("'a'", "more than 100,000 values")),
        (SearchSpace({"a": Int(1, 4)}, constraints=[never]), ("refuse all 4 configurations",)),
    ],
)
def test_what_has_no_grid_is_refused_with_what_to_do(space, said):
    with pytest.raises(SpaceError) as caught:
        GridSearch(space, 0)
    assert all(part in str(caught.value) for part in said)


@pytest.mark.parametrize("name", ["random", "sobol", "halton"])
def test_constraints_that_refuse_everything_are_told_before_anything_is_begun(name):
    make_searcher(name, SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)}), 0).check()
    with pytest.raises(SpaceError):
        make_searcher(name, SearchSpace({"x": Float(0.0, 1.0)}, constraints=[never]), 0).check()


def test_how_many_configurations_a_space_has():
    dimensions = {"a": Choice([1, 1.5]), "b": Int(1, 3), "c": Constant(0)}
    assert configurations(SearchSpace(dimensions), 6) == 6
    assert configurations(SearchSpace(dimensions), 5) is None
    assert configurations(SearchSpace(dimensions, conditions={"b": {"a": 1}}), 6) == 4
    assert configurations(SearchSpace(dimensions, constraints=[lambda c: c["b"] < 2]), 6) == 2
    assert configurations(SearchSpace(dimensions, constraints=[lambda c: False]), 6) is None
    assert configurations(SearchSpace({**dimensions, "x": Float(0.0, 1.0)}), 6) is None
