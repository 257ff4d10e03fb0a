"""A gradient that is clipped by its norm, and the derivative of that.

As ``torch.nn.utils.clip_grad_norm_`` has it, with n the norm of the gradient g of all groups together:

    G = c*g                             c = min(1, M / (n + 1e-6))
    dG = c*(dg - g*<g, dg>/(n*(n + 1e-6))) + G/M * dM        where c < 1; else dG = dg

The first part is a symmetric map of dg, so it is its own transpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from asha_core.space import Configuration, Float, SearchSpace
from asha_core.space.watched import Watched
from warmstart.base import Network
from warmstart.estimates.passes import Tensors
from warmstart.estimates.stencils import SETTING_STEP, stencil
from warmstart.estimates.streaming import dot
from warmstart.optimizers import Group

_EPSILON = 1e-6  # PyTorch's


@dataclass(frozen=True, slots=True)
class Limit:
    """The norm to which gradients are clipped, and how it depends on coordinates.

    Attributes:
        norm: None: nothing is clipped.
        slopes: coordinate -> derivative; only of those that move it.
        names: the parameters whose gradients, where they have one, are clipped together.
    """

    norm: float | None
    slopes: Mapping[str, float]
    names: tuple[str, ...]

    def applied(self, gradient: Tensors) -> Clipped:
        """To the gradient of one training pass."""
        return Clipped(self, gradient)


def limit_of(
    network: Network,
    space: SearchSpace,
    configuration: Configuration,
    wanted: Sequence[str],
    groups: Sequence[Group],
) -> Limit:
    """How the network's gradients are clipped under this configuration."""
    watched = Watched(configuration)
    norm = network.max_norm(watched)
    slopes: dict[str, float] = {}
    for name in wanted:
        if norm is None:
            break
        dimension = space[name]
        if name in watched.reads and isinstance(dimension, Float):
            _, points = stencil(dimension, configuration, name, SETTING_STEP)
            # a difference, so that what does not move is exactly 0
            slope = sum(weight * (_norm_at(network, there, norm) - norm) for weight, there in points)
            if slope:
                slopes[name] = slope
    return Limit(norm, slopes, tuple(name for group in groups for name in group.parameters))


def _norm_at(network: Network, configuration: Configuration, here: float) -> float:
    norm = network.max_norm(configuration)
    return here if norm is None else norm


class Clipped:
    """One gradient, clipped.

    Attributes:
        gradient: by name; the very tensors that were given, where nothing is clipped.
    """

    def __init__(self, limit: Limit, gradient: Tensors) -> None:
        self._limit = limit
        self._names = [name for name in limit.names if name in gradient] if limit.norm is not None else []
        self._raw = [gradient[name] for name in self._names]
        self._norm = dot(self._raw, self._raw) ** 0.5
        self._scale = 1.0
        self.gradient = gradient
        if limit.norm is not None and limit.norm < self._norm + _EPSILON:
            self._scale = limit.norm / (self._norm + _EPSILON)
            shorter = torch._foreach_mul(self._raw, self._scale)
            self.gradient = {**gradient, **dict(zip(self._names, shorter, strict=True))}

    def through(self, moving: Tensors) -> Tensors:
        """The derivative applied to a change of the raw gradient, which may lack names (0 there)."""
        if self._scale == 1.0 or not moving:
            return moving
        names = self._names
        there = [n for n, name in enumerate(names) if name in moving]
        along = dot([self._raw[n] for n in there], [moving[names[n]] for n in there])
        turn = -self._scale * along / (self._norm * (self._norm + _EPSILON))
        changed = dict(zip(names, torch._foreach_mul(self._raw, turn), strict=True))
        for n in there:
            changed[names[n]].add_(moving[names[n]], alpha=self._scale)
        return changed

    def by_limit(self, coordinate: str) -> Tensors:
        """The change of the clipped gradient by the limit that a coordinate moves; empty: it moves none."""
        slope = self._limit.slopes.get(coordinate, 0.0)
        if self._scale == 1.0 or not slope:
            return {}
        assert self._limit.norm is not None
        changed = torch._foreach_mul(self._raw, self._scale * slope / self._limit.norm)
        return dict(zip(self._names, changed, strict=True))
