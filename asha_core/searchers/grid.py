"""Every combination of a small space, once."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

from asha_core.errors import SpaceError
from asha_core.searchers.base import Searcher, space_and_seed
from asha_core.space import Choice, Configuration, Constant, Dimension, SearchSpace
from asha_core.streams import stream_seed

_MOST = 100_000


class GridSearch(Searcher):
    """Every configuration that the space allows, once, in an order that the seed shuffles.

    Successive halving compares those that came first with each other: in lexicographic order they would all
    share their first values.

    Args:
        space: Choice, Int, Constant and stepped Float dimensions alone, of at most 100,000 combinations.
        seed: the run's seed.
    Raises:
        SpaceError: a Float dimension without a step, too many combinations, or none that is allowed.
    """

    name = "grid"

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self.space, seed = space_and_seed(space, seed)
        allowed = _allowed(space, _MOST)
        order = sorted(range(len(allowed)), key=lambda index: stream_seed(seed, "grid", index))
        self._configurations = [allowed[index] for index in order]
        self.size = len(allowed)

    def propose(self, index: int) -> Configuration:
        """The configuration of trial ``index``."""
        return self._configurations[index]


def configurations(space: SearchSpace, most: int) -> int | None:
    """How many configurations a space has; None: without end, none, or of more than ``most`` combinations."""
    try:
        return len(_allowed(space, most))
    except SpaceError:
        return None


def _allowed(space: SearchSpace, most: int) -> list[Configuration]:
    """All configurations of a space, in lexicographic order."""
    axes = [_values(name, dimension) for name, dimension in space.items()]
    combinations = prod(map(len, axes))
    if combinations > most:
        raise SpaceError(
            f"the grid has {combinations:,} combinations: at most {most:,} are allowed; "
            "use random, sobol or halton, or freeze a dimension"
        )
    # dimensions that do not exist in a combination are dropped, which leaves some of them equal
    combined = (space.active(dict(zip(space, values, strict=True))) for values in product(*axes))
    found = dict.fromkeys(combined)
    allowed = [configuration for configuration in found if space.allows(configuration)]
    if not allowed:
        raise SpaceError(f"the constraints refuse all {len(found):,} configurations of the grid")
    return allowed


def _values(name: str, dimension: Dimension) -> list[Any]:
    if isinstance(dimension, Choice):
        return list(dimension.options)
    if isinstance(dimension, Constant):
        return [dimension.value]
    if dimension.count is None:
        raise SpaceError(
            f"dimension {name!r} is a Float, which has no grid: give it a step, or a Choice of values, "
            "freeze it, or use random, sobol or halton"
        )
    if dimension.count > _MOST:
        raise SpaceError(f"dimension {name!r} has more than {_MOST:,} values: too many for a grid")
    return [dimension.at(index) for index in range(dimension.count)]
