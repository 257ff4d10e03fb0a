"""A gradient that is clipped, and the derivative of that.

By value, each element g of the gradient with M the limit:

    G = min(max(g, -M), M)
    dG = dg                    where |g| <= M; else dG = sign(g) * dM

By its norm, as ``torch.nn.utils.clip_grad_norm_`` has it, with n the norm of the gradient g of all groups
together and h its derivative by g (g/n for the 2-norm):

    G = c*g                                        c = min(1, M / (n + 1e-6))
    dG = c*(dg - g*<h, dg>/(n + 1e-6)) + G/M * dM  where c < 1; else dG = dg

Its transpose is v -> c*(v - h*<g, v>/(n + 1e-6)), for the 2-norm the same map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asha_core.space import Configuration, Float, SearchSpace
from asha_core.space.watched import Watched
from warmstart.base import Network
from warmstart.clipping import Clipping
from warmstart.estimates.passes import Tensors
from warmstart.estimates.stencils import SETTING_STEP, stencil
from warmstart.estimates.streaming import dot
from warmstart.optimizers import Group

_EPSILON = 1e-6  # PyTorch's


@dataclass(frozen=True, slots=True)
class Limit:
    """How gradients are clipped, and how the limit depends on coordinates.

    Attributes:
        clipping: under this configuration.
        slopes: coordinate -> derivative of the limit; only of those that move it.
        names: the parameters whose gradients, where they have one, are clipped.
    """

    clipping: Clipping
    slopes: Mapping[str, float]
    names: tuple[str, ...]

    def applied(self, gradient: Tensors) -> Clipped:
        """To the gradient of one training pass."""
        if self.clipping.value is not None:
            return _ByValue(self, gradient, self.clipping.value)
        if self.clipping.norm is not None:
            return _ByNorm(self, gradient, self.clipping.norm)
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
    clipping = network.clipping(watched)
    limit = clipping.limit
    slopes: dict[str, float] = {}
    for name in wanted:
        if limit is None:
            break
        dimension = space[name]
        if name in watched.reads and isinstance(dimension, Float):
            _, points = stencil(dimension, configuration, name, SETTING_STEP)
            beside = [(weight, network.clipping(there).limit) for weight, there in points]
            # a difference, so that what does not move is exactly 0
            slope = sum(weight * (there - limit) for weight, there in beside if there is not None)
            if slope:
                slopes[name] = slope
    return Limit(clipping, slopes, tuple(name for group in groups for name in group.parameters))


class Clipped:
    """One gradient, clipped; here: not at all.

    Attributes:
        gradient: by name; the very tensors that were given, where nothing is clipped.
    """

    def __init__(self, limit: Limit, gradient: Tensors) -> None:
        self.gradient = gradient
        self._slopes = limit.slopes
        self._names = [name for name in limit.names if name in gradient]

    def through(self, moving: Tensors) -> Tensors:
        """The derivative applied to a change of the raw gradient, which may lack names (0 there)."""
        return moving

    def back(self, direction: Tensors) -> Tensors:
        """Its transpose, applied to a direction of the clipped gradient, which may lack names as well."""
        return direction

    def by_limit(self, coordinate: str) -> Tensors:
        """The change of the clipped gradient by the limit that a coordinate moves; empty: it moves none."""
        slope = self._slopes.get(coordinate, 0.0)
        return self._by_limit(slope) if slope else {}

    def _by_limit(self, slope: float) -> Tensors:
        return {}


class _ByValue(Clipped):
    def __init__(self, limit: Limit, gradient: Tensors, value: float) -> None:
        super().__init__(limit, gradient)
        self._raw, self._value = gradient, value
        self.gradient = {**gradient, **{name: gradient[name].clamp(-value, value) for name in self._names}}

    def through(self, moving: Tensors) -> Tensors:
        return {**moving, **{n: moving[n] * ~self._beyond(n) for n in self._names if n in moving}}

    def back(self, direction: Tensors) -> Tensors:
        return self.through(direction)

    def _by_limit(self, slope: float) -> Tensors:
        return {name: slope * self._raw[name].sign() * self._beyond(name) for name in self._names}

    def _beyond(self, name: str) -> Tensor:
        return self._raw[name].abs() > self._value


class _ByNorm(Clipped):
    def __init__(self, limit: Limit, gradient: Tensors, norm: float) -> None:
        super().__init__(limit, gradient)
        self._limit, self._type = norm, limit.clipping.norm_type
        self._raw = [gradient[name] for name in self._names]
        self._norm = _measured(self._raw, self._type)
        self._scale = min(1.0, norm / (self._norm + _EPSILON))
        if self._scale < 1.0:
            shorter = torch._foreach_mul(self._raw, self._scale)
            self.gradient = {**gradient, **dict(zip(self._names, shorter, strict=True))}

    def through(self, moving: Tensors) -> Tensors:
        return self._turned(moving, along=self._slope(), turned=self._raw)

    def back(self, direction: Tensors) -> Tensors:
        return self._turned(direction, along=self._raw, turned=self._slope())

    def _turned(self, moving: Tensors, along: Sequence[Tensor], turned: Sequence[Tensor]) -> Tensors:
        """c*(moving - turned*<along, moving>/(n + 1e-6))."""
        if self._scale == 1.0 or not moving:
            return moving
        there = [n for n, name in enumerate(self._names) if name in moving]
        product = dot([along[n] for n in there], [moving[self._names[n]] for n in there])
        less = torch._foreach_mul(list(turned), -self._scale * product / (self._norm + _EPSILON))
        changed = dict(zip(self._names, less, strict=True))
        for n in there:
            name = self._names[n]
            changed[name].add_(moving[name], alpha=self._scale)
        return changed

    def _slope(self) -> list[Tensor]:
        """The derivative of the norm by the gradient."""
        if self._norm == 0.0:
            return [torch.zeros_like(raw) for raw in self._raw]
        if self._type == 2.0:
            return list(torch._foreach_div(self._raw, self._norm))
        if self._type == math.inf:  # where several are largest, each has its share
            largest = [raw.abs() == self._norm for raw in self._raw]
            count = int(torch.stack([each.sum() for each in largest]).sum())
            return [raw.sign() * each / count for raw, each in zip(self._raw, largest, strict=True)]
        power = self._type - 1.0
        return [raw.sign() * (raw.abs() / self._norm) ** power for raw in self._raw]

    def _by_limit(self, slope: float) -> Tensors:
        if self._scale == 1.0:
            return {}
        changed = torch._foreach_mul(self._raw, self._scale * slope / self._limit)
        return dict(zip(self._names, changed, strict=True))


def _measured(gradient: Sequence[Tensor], kind: float) -> float:
    """The norm of all of it."""
    if kind == 2.0:
        return math.sqrt(dot(gradient, gradient))
    if not gradient:
        return 0.0
    norms = torch.stack([torch.linalg.vector_norm(each, kind, dtype=torch.float64) for each in gradient])
    return float(torch.linalg.vector_norm(norms, kind))
