"""Sobol and Halton sequences: scipy's own, point by point, and really more even than random points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from asha_core.errors import SettingError
from asha_core.searchers.quasi_random import SEQUENCES, QuasiRandomSearch
from asha_core.searchers.random_search import RandomSearch, random_point
from asha_core.space import Choice, Float, SearchSpace
from asha_core.streams import stream_seed
from tests.asha_core.predicates import small

ENGINES = {"sobol": qmc.Sobol, "halton": qmc.Halton}
CUBE = SearchSpace({name: Float(0.0, 1.0) for name in "wxyz"})
every_sequence = pytest.mark.parametrize("sequence", SEQUENCES)


def points(searcher, count):
    return np.array([searcher.space.to_unit(searcher.propose(index)) for index in range(count)])


def scipys(sequence, dimensions, seed, count):
    return ENGINES[sequence](dimensions, scramble=True, seed=stream_seed(seed, sequence)).random(count)


@every_sequence
@pytest.mark.parametrize(
    "order",
    [(255, 256, 257, 1000), (1000, 257, 256, 255), (511, 0, 512, 0, 767, 768, 1), tuple(range(250, 520))],
)
def test_point_i_is_point_i_of_scipys_sequence_across_blocks_forwards_and_back(sequence, order):
    expected = scipys(sequence, 4, 11, 1024)
    searcher = QuasiRandomSearch(CUBE, 11, sequence)
    for index in order:
        assert CUBE.to_unit(searcher.propose(index)) == expected[index].tolist()


@every_sequence
def test_points_are_more_even_than_random_ones(sequence):
    even = [qmc.discrepancy(points(QuasiRandomSearch(CUBE, seed, sequence), 256)) for seed in range(3)]
    uneven = [qmc.discrepancy(points(RandomSearch(CUBE, seed), 256)) for seed in range(3)]
    assert max(even) < 0.3 * min(uneven)


@pytest.mark.parametrize("k", range(1, 10))
def test_the_first_2_to_the_k_sobol_points_have_a_bin_each_in_every_dimension(k):
    places = np.floor(points(QuasiRandomSearch(CUBE, 5, "sobol"), 2**k) * 2**k)
    for column in places.T:
        assert sorted(column) == list(range(2**k))


@pytest.mark.parametrize(("base", "column"), [(2, 0), (3, 1), (5, 2), (7, 3)])
def test_the_first_points_of_a_halton_sequence_have_a_bin_each_in_its_own_base(base, column):
    found = points(QuasiRandomSearch(CUBE, 5, "halton"), base**3)
    assert sorted(np.floor(found[:, column] * base**3)) == list(range(base**3))


@every_sequence
def test_options_come_equally_often(sequence):
    space = SearchSpace({"x": Float(0.0, 1.0), "kind": Choice(["a", "b", "c", "d"])})
    searcher = QuasiRandomSearch(space, 2, sequence)
    drawn = [searcher.propose(index)["kind"] for index in range(256)]
    assert all(abs(drawn.count(kind) - 64) <= (0 if sequence == "sobol" else 3) for kind in "abcd")


@every_sequence
def test_a_refused_point_is_replaced_by_draws_of_its_own_stream_and_the_others_stay(sequence):
    free = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    space = SearchSpace(dict(free), constraints=[small])
    searcher, plain = QuasiRandomSearch(space, 9, sequence), QuasiRandomSearch(free, 9, sequence)
    replaced = 0
    for index in range(200):
        first = plain.propose(index)
        attempts = [first, *(free.from_unit(random_point(9, index, attempt, 2)) for attempt in range(1, 60))]
        assert searcher.propose(index) == next(c for c in attempts if small(c))
        replaced += not small(first)
    assert replaced == pytest.approx(100, abs=10)


def test_the_sequence_is_the_same_whatever_global_randomness_says():
    expected = QuasiRandomSearch(CUBE, 1).propose(7)
    state = np.random.get_state()
    try:
        np.random.seed(123)
        searcher = QuasiRandomSearch(CUBE, 1)
        before = np.random.random(), np.random.seed(123)
        assert searcher.propose(7) == expected
        assert np.random.random() == before[0]
    finally:
        np.random.set_state(state)


def test_an_unknown_sequence_names_the_nearest():
    with pytest.raises(SettingError, match="sequence is 'halten'; did you mean \"halton\""):
        QuasiRandomSearch(CUBE, 0, "halten")
