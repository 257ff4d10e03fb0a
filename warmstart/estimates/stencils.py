"""Finite differences along one search coordinate, inside its bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from asha_core.space import Configuration, Float, SearchSpace

SETTING_STEP = 1e-4  # search coordinates; settings are plain double-precision numbers
LOSS_STEP = 1e-2  # of a dimension's range: a ReLU network's loss has no derivative by its input, only a trend

Stencil = list[tuple[float, Configuration]]  # sum of weight * f(configuration) is a derivative


def at(configuration: Mapping[str, Any], name: str, value: Any) -> Configuration:
    """The configuration with one value replaced."""
    values = {**configuration, name: value}
    return Configuration(tuple(values), tuple(values.values()))


def stencil(
    dimension: Float, configuration: Configuration, name: str, step: float, reach: int = 1
) -> tuple[float, Stencil]:
    """Configurations and weights whose weighted sum is a derivative along one search coordinate.

    Args:
        step: between neighbouring points, in search coordinates.
        reach: points on each side; the error is of order step^(2*reach).
    Returns:
        (weight of the configuration itself, the other points). Near a bound the points lie inside it, uneven,
        of the same order; then the configuration itself has a weight that is not 0.
    """
    low, high = dimension.search_bounds
    centre = dimension.to_search(configuration[name])
    step = min(step, (high - low) / (4 * reach))
    below, above = (math.floor(room / step + 1e-9) for room in (centre - low, high - centre))
    first = -reach
    if below < reach:
        first = -below
    elif above < reach:
        first = above - 2 * reach
    offsets = range(first, first + 2 * reach + 1)
    points = [
        (float(weight) / step, at(configuration, name, dimension.from_search(centre + offset * step)))
        for offset, weight in zip(offsets, _derivative_weights(offsets), strict=True)
        if offset != 0
    ]
    return (0.0 if first == -reach else -sum(weight for weight, _ in points)), points


def real_dimension(space: SearchSpace, name: str) -> Float:
    """A dimension that is known to be a real one."""
    dimension = space[name]
    assert isinstance(dimension, Float)
    return dimension


def stencil_over(
    space: SearchSpace, configuration: Configuration, name: str, share: float, reach: int = 1
) -> tuple[float, Stencil]:
    """``stencil`` with a step that is a share of the dimension's range."""
    dimension = real_dimension(space, name)
    low, high = dimension.search_bounds
    return stencil(dimension, configuration, name, share * (high - low), reach)


def _derivative_weights(offsets: Sequence[int]) -> np.ndarray[Any, Any]:
    """Weights w with sum of w * f(offsets) = f'(0) for every polynomial of degree below len(offsets)."""
    powers = np.vander(np.array(offsets, dtype=float), increasing=True).T
    target = np.zeros(len(offsets))
    target[1] = 1.0
    weights: np.ndarray[Any, Any] = np.linalg.solve(powers, target)
    return weights
