"""Steps of a configuration inside its search space."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from asha_core.space import Configuration, Float, SearchSpace
from warmstart.base import Coordinates


def movable(space: SearchSpace, configuration: Mapping[str, Any]) -> dict[str, Float]:
    """The dimensions that a warm start may move: the real ones without a step, where they exist."""
    return {
        name: d
        for name, d in space.items()
        if isinstance(d, Float) and d.step is None and name in configuration
    }


def move(
    space: SearchSpace,
    configuration: Configuration,
    step: Mapping[str, float],
    *,
    coordinates: Coordinates = "search",
    reflect: bool = False,
) -> Configuration:
    """The configuration after a step, inside the space's bounds.

    Args:
        step: name -> change; dimensions that are not named stay as they are. A step of exactly 0
            leaves the value as it is, to the last bit.
        coordinates: what the step is in: search coordinates (log10 of a logarithmic dimension), or the
            unit cube.
        reflect: what would leave the space comes back from the bound, instead of staying on it.
    """
    values = dict(configuration)
    for name, dimension in movable(space, configuration).items():
        change = step.get(name, 0.0)
        if change != 0.0:
            low, high = dimension.search_bounds
            if coordinates == "unit":
                change *= high - low
            target = dimension.to_search(values[name]) + change
            if reflect and math.isfinite(target):
                target = _reflected(target, low, high)
            values[name] = dimension.from_search(target)
    return Configuration(tuple(values), tuple(values.values()))


def _reflected(value: float, low: float, high: float) -> float:
    """``value`` folded into [low, high] as by mirrors at both ends."""
    span = high - low
    offset = (value - low) % (2 * span)
    return low + (offset if offset <= span else 2 * span - offset)


def step_taken(space: SearchSpace, before: Configuration, after: Configuration) -> dict[str, float]:
    """The step that was really taken, in search coordinates, after clamping."""
    return {
        name: dimension.to_search(after[name]) - dimension.to_search(before[name])
        for name, dimension in movable(space, before).items()
        if name in after
    }
