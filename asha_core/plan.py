"""What a search will cost, before anything is spent: expected trials and units, rung by rung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlannedRung:
    """One rung of a plan.

    trials: how many reach it; floor(n / eta^k) of n. Asynchronous promotion can exceed this a little,
    because improving arrivals promote more.
    units: resource spent between the rung below and this one, by all of them.
    """

    level: int
    trials: int
    units: int


def plan_rungs(levels: Sequence[int], reduction_factor: int, trials: int) -> list[PlannedRung]:
    """What ``trials`` configurations are expected to cost.

    >>> [(rung.level, rung.trials, rung.units) for rung in plan_rungs((1, 3, 9), 3, 27)]
    [(1, 27, 27), (3, 9, 18), (9, 3, 18)]
    """
    rungs = []
    below = 0
    for level in levels:
        rungs.append(PlannedRung(level, trials, trials * (level - below)))
        below = level
        trials //= reduction_factor
    return rungs


def expected_units(levels: Sequence[int], reduction_factor: int, trials: int) -> int:
    """Units of resource that ``trials`` configurations are expected to take, promotions included."""
    return sum(rung.units for rung in plan_rungs(levels, reduction_factor, trials))


def affordable_trials(levels: Sequence[int], reduction_factor: int, units: float) -> int:
    """The most configurations whose expected cost is at most ``units``.

    >>> affordable_trials((1, 3, 9), 3, 63)
    27
    """
    low, high = 0, max(int(units) // levels[0], 0) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if expected_units(levels, reduction_factor, middle) <= units:
            low = middle
        else:
            high = middle
    return low
