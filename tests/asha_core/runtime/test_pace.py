"""The time left is told from units that ran, and only when there are some."""

from __future__ import annotations

import math

import pytest

from asha_core.runtime.pace import Pace, seconds_left


def paces(
    workers: int, first: float, unit: float, units: int, *, start: float = 0.0
) -> tuple[list[Pace], float]:
    """Of workers whose first unit takes longer than the others."""
    made = [Pace() for _ in range(workers)]
    now = start
    for number in range(units):
        now += unit if number else first
        for pace in made:
            pace.on_unit(now, unit if number else first)
    return made, now


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("first", [0.1, 5.0, 50.0])
def test_what_the_first_unit_of_a_worker_pays_for_is_no_pace(workers: int, first: float) -> None:
    made, now = paces(workers, first, 0.1, 3, start=10.0)
    assert seconds_left(made, 100.0, now) == pytest.approx(100 * 0.1 / workers)


def test_nothing_is_said_before_a_second_unit_unless_the_first_was_long() -> None:
    made, now = paces(2, 5.0, 0.1, 1)
    assert seconds_left(made, 100.0, now) == math.inf
    assert seconds_left([], 100.0, now) == math.inf
    made, now = paces(2, 600.0, 600.0, 1)
    assert seconds_left(made, 10.0, now) == 10 * 600 / 2


def test_it_counts_down_between_units_and_waits_where_one_is_late() -> None:
    made, now = paces(1, 10.0, 10.0, 3)
    told = [seconds_left(made, 5.0, now + later) for later in (0.0, 5.0, 10.0, 20.0)]
    assert told == [50.0, 45.0, 40.0, 40.0]


def test_workers_that_start_will_be_as_fast_as_the_others() -> None:
    made, now = paces(2, 1.0, 1.0, 5)
    assert seconds_left([*made, Pace(), Pace()], 40.0, now) == pytest.approx(10.0)
    assert seconds_left(made, 0.0, now) == 0.0
