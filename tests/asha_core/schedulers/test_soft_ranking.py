"""PASHA's comparison, worked out by hand and against versions that compute everything anew."""

from __future__ import annotations

import math

import pytest

from asha_core.schedulers.soft_ranking import Curve, CurveNoise, SoftRanking, SortedChunks, crossing_distance

NAN, INF = math.nan, math.inf


def curve(losses, resources=None):
    made = Curve()
    for resource, loss in zip(resources or range(1, len(losses) + 1), losses, strict=True):
        made.append(resource, loss)
    return made


# -- sorted chunks ---------------------------------------------------------------------------------


def test_positions_are_told_as_entries_come_and_chunks_are_split():
    chunks = SortedChunks(2)
    # 5 | 5 7 | 3 5 7 -> split 3, 5 7 | 3 5 6 7 | 3 5 6 7 9 | 1 ... | 4 ...
    places = [chunks.add((float(value),)) for value in (5, 7, 3, 6, 9, 1, 4, 8, 2, 0)]
    assert places == [0, 1, 0, 2, 4, 0, 2, 6, 1, 0]
    assert chunks.n == 10
    assert [value for (value,) in chunks.between(0, 9)] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert [value for (value,) in chunks.between(3, 6)] == [3, 4, 5, 6]
    assert [value for (value,) in chunks.between(4, 4)] == [4]
    assert max(map(len, chunks._chunks)) <= 2


@pytest.mark.parametrize("n", [512, 513, 1200])
def test_chunks_stay_small(n):
    chunks = SortedChunks()
    for value in range(n):
        assert chunks.add((float(value * 7 % n if n % 7 else value),)) <= value
    assert chunks.n == n
    assert max(map(len, chunks._chunks)) <= 512
    assert (len(chunks._chunks) == 1) == (n <= 512)
    entries = chunks.between(0, n - 1)
    assert entries == sorted(entries)
    assert len(entries) == n


# -- soft ranking ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pairs", "gap"),
    [
        ([(1, 9)], 0),  # alone
        ([(1, 5), (2, 6), (3, 7)], 0),
        ([(1, 6), (2, 5)], 1),  # above: 2, 1; below: 1, 2
        ([(1, 7), (4, 6), (6, 5)], 5),  # above: 6 4 1 against 1 4 6
        ([(6, 5), (4, 6), (1, 7)], 5),  # as they come does not matter
        ([(1, 6), (2, 6)], 0),  # equals above: the earlier first
        ([(2, 6), (1, 6)], 1),
        ([(2, 1), (2, 2), (2, 0)], 0),  # equals below cannot be told apart
        ([(1, INF), (2, 3)], 1),  # above: 2 1 against 1 2
        ([(1, 1), (2, INF)], 0),
        # 1 and 3 change places: 2. Then one in the midst of both: above 3 2 1, below 1 2 3
        ([(1, 30), (3, 10), (2, 20)], 2),
        ([(0, 2), (5, 1), (4, 0)], 5),  # above: 4 5 0 against 0 4 5
        ([(0, 2), (1, 0), (3, 1)], 3),  # above: 1 3 0 against 0 1 3
    ],
)
def test_the_largest_gap_at_any_position(pairs, gap):
    ranking = SoftRanking()
    for below, above in pairs:
        ranking.add(float(below), float(above))
    assert ranking.agrees(float(gap))
    assert not gap or not ranking.agrees(gap - 1e-9)


def test_a_disagreement_can_become_less():
    ranking = SoftRanking()
    for below, above in ((0, 2), (1, 0), (3, 1)):
        ranking.add(float(below), float(above))
    assert not ranking.agrees(2.0)  # above: 1 3 0 against 0 1 3: 1, 2, 3
    ranking.add(2.0, 3.0)
    assert ranking.agrees(2.0)  # above: 1 3 0 2 against 0 1 2 3: 1, 2, 2, 1
    assert not ranking.agrees(1.9)


def test_asking_twice_gives_the_same_answer():
    ranking = SoftRanking()
    for below, above in ((0, 2), (1, 0), (3, 1), (2, 3)):
        ranking.add(float(below), float(above))
    answers = [ranking.agrees(epsilon) for epsilon in (5.0, 2.0, 1.9, 2.0, 5.0, 1.9)]
    assert answers == [True, True, False, True, True, False]


# -- curves ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        ([1, 3, 1], [2, 2, 4], 3),  # below, above, below
        ([2, 2, 4], [1, 3, 1], 3),
        ([1, 1, 1], [2, 2, 2], None),
        ([3, 1, 1], [2, 2, 2], None),  # crossed once
        ([3, 3, 1], [2, 2, 2], None),
        ([1, 3, 3], [2, 2, 2], None),  # the other way
        ([3, 1, 3, 1], [2, 2, 2, 2], 1),
        ([1, 3, 2], [2, 2, 2], None),  # equal at the end
        ([1, 2, 1], [2, 2, 2], None),  # touched
        ([2, 3, 1], [2, 2, 2], None),  # not as at the end at first
        ([1, 2, 3, 1], [2, 2, 2, 2], 1),
        ([1, NAN, 1], [2, 2, 2], None),
        ([NAN, 3, 1], [2, 2, 2], None),
        ([1, 3, NAN], [2, 2, 2], None),
        ([1, 3, 1], [2, 2, INF], None),  # infinitely far apart
        ([1, INF, 1], [2, 2, 2], 1),
        ([1], [2], None),
        ([1, 3], [2, 2], None),
    ],
)
def test_how_far_curves_end_apart_that_crossed_and_crossed_back(one, other, distance):
    one, other = ([float(loss) for loss in losses] for losses in (one, other))
    assert crossing_distance(one, other) == distance
    assert crossing_distance(other, one) == distance
    # and as part of the noise
    noise = CurveNoise()
    noise.add(curve(one))
    noise.add(curve(other))
    assert noise.percentile() == distance


def test_a_curve_knows_its_losses_by_unit():
    whole = curve([5.0, 4.0, 3.0])
    assert [whole.at(unit) for unit in (1, 2, 3)] == [5.0, 4.0, 3.0]
    assert whole.resources is None
    holes = curve([5.0, 4.0, 3.0, 2.0], [1, 2, 4, 9])
    assert [holes.at(unit) for unit in (1, 2, 4, 9)] == [5.0, 4.0, 3.0, 2.0]
    late = curve([5.0, 4.0], [2, 3])
    assert [late.at(unit) for unit in (2, 3)] == [5.0, 4.0]


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 1),
        ([1, 2, 4], [1, 2, 3, 4], 1),  # below, above and below at units 1, 2, 4
        ([1, 2, 3, 4], [1, 2, 4], 1),
        ([2, 3, 4], [1, 2, 3, 4], None),  # 1 is not common
        ([1, 3, 4], [1, 2, 4], None),  # 1 and 4
        ([1, 2, 4], [1, 2, 4], 1),
    ],
)
def test_curves_are_compared_at_the_units_that_both_have(first, second, distance):
    one, other = {1: 1.0, 2: 3.0, 3: 1.0, 4: 1.0}, dict.fromkeys((1, 2, 3, 4), 2.0)
    noise = CurveNoise()
    noise.add(curve([one[unit] for unit in first], first))
    noise.add(curve([other[unit] for unit in second], second))
    assert noise.percentile() == distance


def test_curves_with_holes_are_compared_by_unit_and_not_by_place():
    noise = CurveNoise()
    noise.add(curve([1.0, 1.0, 1.0], [1, 3, 4]))
    noise.add(curve([2.0, 0.0, 2.0, 2.0]))  # below at unit 2 alone, which the first did not report
    assert noise.percentile() is None


# -- epsilon ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distances", "expected"),
    [
        ([2], 2.0),
        ([1, 2], 1.9),  # 9 tenths of the way
        ([1, 2, 3], 2.8),  # position 1.8 of 0, 1, 2
        (range(1, 12), 10.0),  # position 9 of 0 ... 10
        (range(1, 11), 9.1),  # position 8.1 of 0 ... 9
        ([10, 20, 30, 40, 50, 60], 55.0),  # position 4.5
    ],
)
def test_epsilon_is_the_90th_percentile_linearly_interpolated(distances, expected):
    noise = CurveNoise()
    noise._distances = sorted(float(distance) for distance in distances)
    assert noise.percentile() == pytest.approx(expected, rel=1e-12)


def test_without_a_pair_there_is_no_percentile():
    noise = CurveNoise()
    assert noise.percentile() is None
    noise.add(curve([1.0, 1.0, 1.0]))
    assert noise.percentile() is None


def test_of_more_curves_than_the_window_the_oldest_is_forgotten():
    one, other, third = [1.0, 3.0, 1.0], [2.0, 2.0, 2.0], [5.0, 5.0, 5.0]
    noise = CurveNoise(window=2)
    noise.add(curve(one))
    noise.add(curve(other))  # 1 apart
    assert noise.percentile() == 1.0
    noise.add(curve(third))  # the first is forgotten, and with it the pair
    assert noise.percentile() is None
    noise.add(curve([6.0, 4.0, 9.0]))  # with the third: above, below, above: 4 apart
    assert noise.percentile() == 4.0
    assert len(noise._members) == 2


def test_the_window_is_of_64():
    noise = CurveNoise()
    noise.add(curve([1.0, 3.0, 1.0]))
    for number in range(63):
        noise.add(curve([2.0, 2.0, 2.0 + number]))
    assert len(noise._distances) == 63  # each with the first; among themselves they never cross back
    noise.add(curve([7.0, 7.0, 7.0]))
    assert len(noise._members) == 64
    assert noise.percentile() is None


def test_all_that_moved_since_the_last_look_is_looked_at():
    ranking = SoftRanking()
    for below, above in [(0, 0), (1, 1), (10, 11), (11, 10), (-5, 0.5)]:
        ranking.add(float(below), float(above))
    # there 0 0.5 1 10 11: below 0 -5 1 11 10, which are -5 0 1 10 11 in order: 5 apart at first, then 1
    assert ranking.agrees(5.0)
    assert not ranking.agrees(4.9)
    assert not ranking.agrees(2.0)
