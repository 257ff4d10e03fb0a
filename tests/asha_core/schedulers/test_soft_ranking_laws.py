"""PASHA's comparison against versions that compute everything anew at every question."""

from __future__ import annotations

import itertools
import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.schedulers.soft_ranking import Curve, CurveNoise, SoftRanking, SortedChunks, crossing_distance

quick = settings(max_examples=150, deadline=None)
few = st.integers(-4, 4).map(float)
finite = few | st.floats(-1e6, 1e6)
odd = st.sampled_from([math.nan, math.inf, -math.inf])


@quick
@given(
    st.lists(st.integers(0, 60), max_size=150), st.integers(1, 9), st.integers(-1, 160), st.integers(0, 40)
)
def test_sorted_chunks_are_a_sorted_list(numbers, most, first, more):
    chunks, plain = SortedChunks(most), []
    for arrival, number in enumerate(numbers):
        entry = (float(number), arrival)
        plain = sorted([*plain, entry])
        assert chunks.add(entry) == plain.index(entry)
        assert chunks.n == len(plain)
    assert all(0 < len(chunk) <= most for chunk in chunks._chunks)
    assert chunks.between(first, first + more) == plain[max(first, 0) : first + more + 1]


@pytest.mark.parametrize("step", [1, -1, 389])
def test_sorted_chunks_of_their_own_size(step):
    chunks, n = SortedChunks(), 2000
    entries = [(float(i * step % n), i) for i in range(n)]
    for entry in entries:
        chunks.add(entry)
    assert chunks.between(0, n - 1) == sorted(entries)
    assert len(chunks._chunks) >= n // 512


def largest_gap(pairs):
    """The definition: the i-th of the top rung is, below, so far from the i-th there."""
    ranked = sorted(range(len(pairs)), key=lambda arrival: pairs[arrival][1])
    below = sorted(loss for loss, _ in pairs)
    return max(abs(pairs[arrival][0] - loss) for arrival, loss in zip(ranked, below, strict=True))


@quick
@given(
    st.lists(st.tuples(finite, finite | st.just(math.inf), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 5),
    st.floats(0, 10),
)
def test_soft_ranking_agrees_where_no_position_is_further_off(triples, most, epsilon):
    ranking, pairs = SoftRanking(most), []
    for below, above, asked in triples:
        ranking.add(below, above)
        pairs.append((below, above))
        if asked:
            gap = largest_gap(pairs)
            for allowed in (epsilon, gap, gap / 2):
                assert ranking.agrees(allowed) == (gap <= allowed)


def crossing(one, other):
    """The definition: the order of the end was there before, and was the other way round in between."""
    order = [(a > b) - (a < b) for a, b in zip(one, other, strict=True)]
    for i, j in itertools.combinations(range(len(order)), 2):
        if order[-1] and order[i] == order[-1] and order[j] == -order[-1]:
            apart = abs(one[-1] - other[-1])
            return apart if 0 < apart < math.inf else None
    return None


pairs_of_curves = st.lists(st.tuples(few | odd, few | odd), min_size=1, max_size=12)


@pytest.mark.long
@settings(max_examples=400, deadline=None)
@given(pairs_of_curves)
def test_crossing_distance_is_that_of_the_definition_in_either_order(both):
    one, other = zip(*both, strict=True)
    assert crossing_distance(one, other) == crossing_distance(other, one) == crossing(one, other)


@pytest.mark.long
@quick
@given(
    st.integers(1, 7).flatmap(
        lambda units: st.lists(
            st.tuples(st.lists(few | odd, min_size=units, max_size=units), st.sets(st.integers(1, units))),
            max_size=14,
        )
    ),
    st.sampled_from([1, 2, 5, 64]),
)
def test_noise_is_the_90th_percentile_over_all_pairs_in_the_window(curves, window):
    noise, kept = CurveNoise(window), []
    for losses, skipped in curves:
        whole = dict(enumerate(losses, 1))
        last = len(losses)
        curve = Curve()
        kept.append({unit: loss for unit, loss in whole.items() if unit == last or unit not in skipped})
        for unit, loss in kept[-1].items():
            curve.append(unit, loss)
        assert all(repr(curve.at(unit)) == repr(loss) for unit, loss in kept[-1].items())
        noise.add(curve)
        distances = []
        for one, other in itertools.combinations(kept[-window:], 2):
            common = sorted(one.keys() & other.keys())
            distances.append(crossing([one[unit] for unit in common], [other[unit] for unit in common]))
        distances = [distance for distance in distances if distance is not None]
        if distances:
            assert noise.percentile() == pytest.approx(float(numpy.percentile(distances, 90)), rel=1e-12)
        else:
            assert noise.percentile() is None
