"""Named streams: the same numbers for the same name, whatever else was drawn, for ever."""

from __future__ import annotations

import itertools
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from asha_core.streams import stream_seed, uniforms

quick = settings(max_examples=100, deadline=None)
seeds = st.integers(-(2**63), 2**64)
names = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="/"), max_size=20)
indices = st.integers(0, 10**9)
keys = st.tuples(seeds, names, indices)


@quick
@given(keys, keys, st.integers(0, 30))
def test_a_stream_does_not_depend_on_what_was_drawn_before(key, other, count):
    first = uniforms(*key, count)
    uniforms(*other, 17)
    assert uniforms(*key, count) == first
    assert len(first) == count


@quick
@given(keys, st.integers(0, 40), st.integers(0, 40))
def test_the_first_numbers_do_not_depend_on_how_many_are_asked_for(key, one, other):
    few, many = sorted((one, other))
    assert uniforms(*key, many)[:few] == uniforms(*key, few)


@quick
@given(keys, st.integers(1, 40))
def test_numbers_lie_in_the_half_open_unit_interval_with_53_bits(key, count):
    for number in uniforms(*key, count):
        assert 0.0 <= number < 1.0
        assert (number * 2**53).is_integer()


@quick
@given(keys, keys)
def test_different_streams_are_different(key, other):
    assert (uniforms(*key, 3) == uniforms(*other, 3)) == (key == other)
    assert (stream_seed(*key) == stream_seed(*other)) == (key == other)


@quick
@given(seeds, names, indices)
def test_a_change_of_seed_name_or_index_changes_every_number(seed, name, index):
    numbers = uniforms(seed, name, index, 12)
    for other in ((seed + 1, name, index), (seed, name + "x", index), (seed, name, index + 1)):
        assert set(uniforms(*other, 12)).isdisjoint(numbers)
        assert stream_seed(*other) != stream_seed(seed, name, index)


@quick
@given(keys)
def test_numbers_within_a_stream_do_not_repeat(key):
    assert len(set(uniforms(*key, 64))) == 64


@quick
@given(keys)
def test_a_stream_seed_has_63_bits(key):
    assert 0 <= stream_seed(*key) < 2**63


def test_golden_values():
    # journals and papers depend on them: if this fails, the stream has changed
    assert uniforms(0, "configuration", 0, 10) == [
        0.86430387515517,
        0.718887791314438,
        0.8404126603332502,
        0.5901395887337807,
        0.9468335436801391,
        0.3703584398407873,
        0.3420415309517375,
        0.9815072238145266,
        0.192391529925952,
        0.11777858045873624,
    ]
    assert uniforms(20240229, "configuration", 17, 3) == [
        0.08857724643953524,
        0.11775061505991058,
        0.43872171094327694,
    ]
    assert stream_seed(0, "trial", 0) == 3244152971309395427
    assert stream_seed(7, "trial", 12345) == 1035759981555488725
    assert stream_seed(0, "batches") == 1518377606275633107


def kolmogorov_smirnov(numbers: list[float]) -> float:
    """The largest distance between the empirical distribution and the uniform one, times sqrt(n)."""
    n = len(numbers)
    distance = max(max((i + 1) / n - number, number - i / n) for i, number in enumerate(sorted(numbers)))
    return distance * math.sqrt(n)


def chi_square(numbers: list[float], bins: int) -> float:
    """Pearson's statistic as standard deviations from its expectation."""
    counts = [0] * bins
    for number in numbers:
        counts[int(number * bins)] += 1
    expected = len(numbers) / bins
    statistic = sum((count - expected) ** 2 / expected for count in counts)
    return (statistic - (bins - 1)) / math.sqrt(2 * (bins - 1))


def test_numbers_are_uniform_along_a_stream_and_across_streams():
    along = uniforms(1, "uniform", 0, 20_000)
    across = [uniforms(1, "uniform", index, 1)[0] for index in range(20_000)]
    for numbers in (along, across):
        assert kolmogorov_smirnov(numbers) < 1.63  # 1% point
        assert abs(chi_square(numbers, 100)) < 3.0
    # the tests can fail: squares are not uniform
    assert kolmogorov_smirnov([u * u for u in along]) > 10
    assert chi_square([u * u for u in along], 100) > 10


def test_neighbouring_numbers_and_neighbouring_streams_are_uncorrelated():
    along = uniforms(2, "uniform", 0, 20_001)
    pairs = [int(8 * a) * 8 + int(8 * b) for a, b in itertools.pairwise(along)]
    assert abs(chi_square([(pair + 0.5) / 64 for pair in pairs], 64)) < 4.0
    across = [uniforms(2, "uniform", index, 1)[0] for index in range(10_001)]
    pairs = [int(8 * a) * 8 + int(8 * b) for a, b in itertools.pairwise(across)]
    assert abs(chi_square([(pair + 0.5) / 64 for pair in pairs], 64)) < 4.0
