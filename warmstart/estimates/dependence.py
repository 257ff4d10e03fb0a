"""What depends on which coordinate, and differences along one.

A coordinate can act through the optimiser's settings, through the training loss (label smoothing), or
through what the network is given or is (augmentation, a dropout rate). Which of these it does is seen by
watching what each function reads of the configuration; what nothing reads has derivative exactly 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from asha_core.errors import TaskError
from asha_core.space import Configuration, Float, SearchSpace
from warmstart.base import movable
from warmstart.estimates.optimizers import SGD, Group

SETTING_STEP = 1e-4  # search coordinates; settings are plain double-precision numbers
LOSS_STEP = 1e-2  # of a dimension's range: a ReLU network's loss has no derivative by its input, only a trend

Stencil = list[tuple[float, Configuration]]  # sum of weight * f(configuration) is a derivative


class Watched(Configuration):
    """A configuration that remembers which of its dimensions were read."""

    __slots__ = ("reads",)

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(tuple(configuration), tuple(configuration.values()))
        self.reads: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.reads.add(name)
        return super().__getitem__(name)

    def __hash__(self) -> int:
        self.reads.update(self._names)
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        self.reads.update(self._names)
        return dict(self) == other

    def __repr__(self) -> str:
        self.reads.update(self._names)
        return super().__repr__()

    def __reduce__(self) -> tuple[Any, ...]:
        self.reads.update(self._names)
        return super().__reduce__()


def at(configuration: Mapping[str, Any], name: str, value: Any) -> Configuration:
    """The configuration with one value replaced."""
    values = {**configuration, name: value}
    return Configuration(tuple(values), tuple(values.values()))


def stencil(
    dimension: Float, configuration: Configuration, name: str, step: float, reach: int = 1
) -> tuple[float, Stencil]:
    """Configurations and weights whose weighted sum is a derivative along one search coordinate.

    Args:
        step: between neighbouring points, in search coordinates. reach: points on each side; the error is of
            order step^(2*reach).
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


@dataclass(frozen=True, slots=True)
class Dependence:
    """How the wanted coordinates act.

    settings: coordinate -> (setting -> slope) of each parameter group; only those that move one.
    """

    settings: Mapping[str, list[dict[str, float]]]

    def slope(self, coordinate: str, group: int) -> Mapping[str, float]:
        """Setting -> derivative by the coordinate, in one group."""
        rows = self.settings.get(coordinate)
        return rows[group] if rows is not None else {}


def settings_slopes(
    groups: Any, space: SearchSpace, configuration: Configuration, wanted: Sequence[str]
) -> tuple[Sequence[Group], Dependence]:
    """The groups' settings, and how they depend on each wanted coordinate.

    By central differences on plain numbers, so any mapping (lr = lr0 * batch/256, say) is right.

    Raises:
        TaskError: the groups come and go along a coordinate.
    """
    watched = Watched(configuration)
    here: Sequence[Group] = groups(watched)
    slopes: dict[str, list[dict[str, float]]] = {}
    begins = [False] * len(here)
    for name in wanted:
        if name not in watched.reads:
            continue
        _, points = stencil(real_dimension(space, name), configuration, name, SETTING_STEP)
        rows = [dict.fromkeys(group.SETTINGS, 0.0) for group in here]
        for weight, there in points:
            beside: Sequence[Group] = groups(there)
            if [type(group) for group in beside] != [type(group) for group in here]:
                raise TaskError(
                    f"a little beside this value of {name}, the optimiser has other parameter groups, or is "
                    "of another kind: make the same groups for every value, or use the route of finite "
                    "differences (route=differences)"
                )
            for index, (row, group, other) in enumerate(zip(rows, here, beside, strict=True)):
                begins[index] |= _nesterov_begins(group, other)
                for setting in row:  # a difference, so that what does not move is exactly 0
                    row[setting] += weight * (getattr(other, setting) - getattr(group, setting))
        if any(any(row.values()) for row in rows):
            slopes[name] = rows
    here = [
        replace(group, nesterov=True) if begin and isinstance(group, SGD) else group
        for group, begin in zip(here, begins, strict=True)
    ]
    return here, Dependence(slopes)


def _nesterov_begins(group: Group, other: Group) -> bool:
    """Whether momentum is 0 here, and Nesterov's beside it, as with ``SGD(..., nesterov=momentum > 0)``.

    At 0 both kinds are the same step, but the slope of what lies beside it is that of Nesterov's.
    """
    return isinstance(group, SGD) and isinstance(other, SGD) and group.momentum == 0.0 and other.nesterov


def role_of(dependence: Dependence, name: str) -> Iterator[str]:
    """The optimiser settings that a coordinate moves."""
    for row in dependence.settings.get(name, []):
        yield from (setting for setting, slope in row.items() if slope)


def wanted_names(space: SearchSpace, configuration: Configuration, only: Sequence[str] | None) -> list[str]:
    """The movable dimensions, or those of them that a mask names."""
    names = list(movable(space, configuration))
    return names if only is None else [name for name in names if name in only]
