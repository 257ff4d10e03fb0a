"""Warm starts inside other tuners: Optuna, Ray Tune, Lightning.

Each library is imported only where it is used, and none of them has to be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from asha_core.errors import SettingError
from asha_core.space import SearchSpace
from asha_core.space.conversions import library
from asha_core.space.dimensions import Constant, Dimension, Float
from warmstart.base import Problem

__all__ = ["MakeProblem", "library", "space_of"]
MakeProblem = Callable[[SearchSpace], Problem]


def space_of(values: Mapping[str, Any], movable: Mapping[str, Float]) -> SearchSpace:
    """The movable dimensions, and every other value that a space can hold as a constant.

    Raises:
        SettingError: nothing can be moved.
    """
    if not movable:
        raise SettingError(
            f"none of {', '.join(map(str, values)) or 'no values'} is a continuous range with two bounds: "
            "there is nothing that a warm start could move"
        )
    dimensions: dict[str, Dimension] = {}
    for name, value in values.items():
        if name in movable:
            dimensions[name] = movable[name]
        elif value is None or isinstance(value, str | int | float | bool):
            dimensions[name] = Constant(value)
    return SearchSpace(dimensions)
