"""What a search will cost, before anything is spent: expected trials and units, rung by rung."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Bracket(NamedTuple):
    """Trials that are compared with each other."""

    levels: Sequence[int]  # of its rungs
    trials: int  # configurations that begin in it
    times: int = 1  # how many such brackets there are


@dataclass(frozen=True, slots=True)
class ExpectedRung:
    """What is expected of one rung. Asynchronous rules exceed it: see ``forecast``."""

    level: int
    trials: int  # that reach it; floor(n / eta^k) of n
    units: int  # of resource between the rung below and this one, by all of them


def expected_rungs(
    levels: Sequence[int], reduction_factor: int, trials: int, survivors: int = 0
) -> list[ExpectedRung]:
    """What ``trials`` configurations are expected to cost.

    Args:
        survivors: how many go on from a rung, at the least.

    >>> [(rung.level, rung.trials, rung.units) for rung in expected_rungs((1, 3, 9), 3, 27)]
    [(1, 27, 27), (3, 9, 18), (9, 3, 18)]
    """
    rungs = []
    below = 0
    for level in levels:
        rungs.append(ExpectedRung(level, trials, trials * (level - below)))
        below = level
        trials = max(trials // reduction_factor, min(trials, survivors))
    return rungs


def bracket_rungs(
    brackets: Iterable[Bracket], reduction_factor: int, survivors: int = 0
) -> list[ExpectedRung]:
    """The rungs of several brackets together, by level.

    >>> both = bracket_rungs([Bracket((1, 3, 9), 9), Bracket((9,), 3, times=2)], 3)
    >>> [(rung.level, rung.trials, rung.units) for rung in both]
    [(1, 9, 9), (3, 3, 6), (9, 7, 60)]
    """
    trials: dict[int, int] = {}
    units: dict[int, int] = {}
    for bracket in brackets:
        for rung in expected_rungs(bracket.levels, reduction_factor, bracket.trials, survivors):
            trials[rung.level] = trials.get(rung.level, 0) + bracket.times * rung.trials
            units[rung.level] = units.get(rung.level, 0) + bracket.times * rung.units
    return [ExpectedRung(level, trials[level], units[level]) for level in sorted(trials)]


def bracket_units(brackets: Iterable[Bracket], reduction_factor: int, survivors: int = 0) -> int:
    """Units of resource that brackets are expected to take."""
    return sum(rung.units for rung in bracket_rungs(brackets, reduction_factor, survivors))


def rungs_until(rungs: Iterable[ExpectedRung], units: int) -> list[ExpectedRung]:
    """What becomes of one bracket's rungs if nobody goes on before a rung is complete, and the units end.

    >>> bracket = expected_rungs((1, 3, 9), 3, 27)
    >>> [(rung.level, rung.trials, rung.units) for rung in rungs_until(bracket, 32)]
    [(1, 27, 27), (3, 2, 5), (9, 0, 0)]
    """
    found = []
    for rung in rungs:
        spent = min(rung.units, units)
        units -= spent
        found.append(ExpectedRung(rung.level, rung.trials * spent // max(rung.units, 1), spent))
    return found


def affordable_trials(cost: Callable[[int], int], units: float) -> int:
    """The most configurations whose expected cost is at most ``units``.

    Args:
        cost: units that n configurations are expected to take; at least n.

    >>> affordable_trials(lambda n: bracket_units([Bracket((1, 3, 9), n)], 3), 63)
    27
    """
    low, high = 0, max(int(units), 0) + 1
    while high - low > 1:
        middle = (low + high) // 2
        if cost(middle) <= units:
            low = middle
        else:
            high = middle
    return low
