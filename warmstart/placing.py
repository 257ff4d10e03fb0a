"""From a place on an axis to a value near it: what a found learning rate makes of a sampled one."""

from __future__ import annotations

from collections.abc import Mapping

from asha_core.space import Configuration, Float, SearchSpace
from warmstart.moves import movable


def placeable(space: SearchSpace, configuration: Mapping[str, object]) -> dict[str, Float]:
    """The dimensions that can be placed: the movable ones on a logarithmic axis."""
    return {name: dimension for name, dimension in movable(space, configuration).items() if dimension.log}


def mapped(
    space: SearchSpace,
    configuration: Configuration,
    place: Mapping[str, float],
    width: float,
    offset: Mapping[str, float] | None = None,
) -> Configuration:
    """The configuration with each placed dimension in a window about its place.

    The value's rank in its dimension, which the searcher chose, becomes its rank in the window: the order of
    two configurations stays, and none is drawn anew.

    Args:
        place: name -> search coordinate (log10) of the window's middle; other dimensions stay as they are.
        width: of the window, in decades; at least 0.
        offset: name -> what this configuration adds to the place, in decades; None: nothing.
    Returns:
        A configuration inside the space's bounds; constraints are not looked at.
    """
    values = dict(configuration)
    for name, dimension in placeable(space, configuration).items():
        if name in place:
            low, high = dimension.search_bounds
            rank = (dimension.to_search(values[name]) - low) / (high - low)
            middle = place[name] + (offset or {}).get(name, 0.0)
            values[name] = dimension.from_search(middle + (rank - 0.5) * width)
    return Configuration(tuple(values), tuple(values.values()))
