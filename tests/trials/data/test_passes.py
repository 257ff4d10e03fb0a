"""Units of a fixed number of samples: an endless series of shuffled passes, cut into units."""

from __future__ import annotations

from functools import partial

import torch
from hypothesis import given
from hypothesis import strategies as st

from trials.data.passes import rows_of_unit
from warmstart.problem.randomness import generator_for

sizes = st.integers(1, 40)


def rows(size: int, count: int, unit: int, seed: int = 5) -> list[int]:
    return rows_of_unit(size, count, unit, partial(generator_for, seed, "pass")).tolist()


@given(sizes, sizes, st.integers(1, 6))
def test_units_one_after_another_are_whole_passes(size: int, count: int, units: int) -> None:
    found = [row for unit in range(1, units + 1) for row in rows(size, count, unit)]
    assert len(found) == count * units
    for start in range(0, len(found), size):
        part = found[start : start + size]
        assert len(set(part)) == len(part)
        assert len(part) < size or sorted(part) == list(range(size))


@given(sizes, sizes, sizes)
def test_the_series_is_the_same_however_it_is_cut(size: int, count: int, other: int) -> None:
    long, longer = ([row for unit in range(1, 5) for row in rows(size, n, unit)] for n in (count, other))
    shared = min(len(long), len(longer))
    assert long[:shared] == longer[:shared]


def test_another_seed_is_another_order() -> None:
    assert rows(40, 40, 1) != rows(40, 40, 1, seed=6)
    assert rows(40, 40, 1) != rows(40, 40, 2)
    assert rows_of_unit(7, 3, 1, lambda number: torch.Generator()).dtype == torch.int64
