"""Configurations as numbers between 0 and 1, as models take them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asha_core.space import Choice, SearchSpace
from asha_core.space.dimensions import Constant


def encode(space: SearchSpace, configuration: Mapping[str, Any]) -> list[float]:
    """Numbers at their place between the bounds, on the scale that they are drawn on; choices one-hot.

    A dimension that does not exist in the configuration is in the middle, and none of its options. Constants
    are left out. Of an empty ``configuration`` it is as long as of any other.
    """
    numbers: list[float] = []
    for name, dimension in space.items():
        if isinstance(dimension, Constant):
            continue
        there = name in configuration
        if isinstance(dimension, Choice):
            chosen = dimension.index(configuration[name]) if there else -1
            numbers += [float(option == chosen) for option in range(len(dimension.options))]
        else:
            numbers.append(dimension.to_unit(configuration[name]) if there else 0.5)
    return numbers
