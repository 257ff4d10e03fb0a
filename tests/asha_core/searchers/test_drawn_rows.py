"""Which recorded configurations a simulated search meets."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asha_core.errors import SettingError
from asha_core.searchers.drawn_rows import drawn_rows


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(1, 200))
def test_as_many_rows_as_the_table_has_and_of_it(seed: int, search: int, rows: int) -> None:
    drawn = drawn_rows(seed, search, rows)
    assert len(drawn) == rows
    assert set(drawn) <= set(range(rows))
    assert drawn == drawn_rows(seed, search, rows)


def test_seeds_of_the_study_and_of_the_search_draw_independently() -> None:
    kinds = {tuple(drawn_rows(seed, search, 50)) for seed in range(5) for search in range(5)}
    assert len(kinds) == 25


def test_each_place_has_each_row_equally_often() -> None:
    searches = [drawn_rows(3, search, 10) for search in range(3_000)]
    for place in (0, 4, 9):
        counts = Counter(rows[place] for rows in searches)
        assert set(counts) == set(range(10))
        chi_squared = sum((count - 300) ** 2 / 300 for count in counts.values())
        assert chi_squared < 27.9  # of 9 degrees of freedom, exceeded once in a thousand
    pairs = Counter((rows[0], rows[1]) for rows in searches)
    assert sum((pairs[a, b] - 30) ** 2 / 30 for a in range(10) for b in range(10)) < 149  # of 99


def test_the_draws_stay_as_they_are() -> None:
    """Reports of old studies draw them again."""
    assert drawn_rows(0, 1, 12) == GOLDEN


GOLDEN = [11, 6, 10, 8, 8, 8, 5, 6, 10, 0, 8, 8]


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(SettingError, match="rows"):
        drawn_rows(0, 0, 0)
