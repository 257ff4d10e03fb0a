"""The optimisers that a hyper-gradient looks through: one step, and its derivative, for one parameter.

SGD in PyTorch's convention (the first momentum buffer is undampened), theta a weight and g its gradient:

    d = g + l1*theta                        l1: coupled weight decay, l2: decoupled
    v <- m*v + (1-tau)*d                    the first time v <- d
    u = v, or d + m*v with nesterov
    theta <- (1 - lr*l2)*theta - lr*u

Adam and AdamW, at step t = 1, 2, ...:

    a <- b1*a + (1-b1)*d;  s <- b2*s + (1-b2)*d^2
    u = (a / (1-b1^t)) / (sqrt(s / (1-b2^t)) + eps)
    theta <- (1 - lr*l2)*theta - lr*u

A parameter without a gradient is left out of a step, state and count ``t`` included.

Each class has the step, its tangent (the derivative of new weight and state along one coordinate, written
with a dot below: ``z`` is that of theta), and the first step in closed form, where state is 0.

Sources: Sutskever et al. 2013 (Nesterov as PyTorch has it); Kingma and Ba 2015, arXiv:1412.6980;
Loshchilov and Hutter 2019, arXiv:1711.05101.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

State = tuple[Tensor, ...]  # one parameter's; empty before the first step
Slope = Mapping[str, float]  # setting -> its derivative by one coordinate; what is absent is 0

SUPPORTED = "torch.optim.SGD, Adam and AdamW"


@dataclass(frozen=True, slots=True)
class SGD:
    """One parameter group of SGD.

    Attributes:
        parameters: the names of the group's parameters.
        decoupled: weight decay is applied to the weights (l2) instead of to the gradient (l1).
    """

    SETTINGS: ClassVar = ("lr", "momentum", "dampening", "weight_decay")

    parameters: tuple[str, ...]
    lr: float
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    decoupled: bool = False

    @property
    def kind(self) -> str:
        """What optimiser it is, for people."""
        return "SGD"

    @property
    def late(self) -> tuple[str, ...]:
        """Settings that the first step does not use: their derivative needs a second one."""
        return () if self.nesterov else ("momentum", "dampening")

    def first(self, gradients: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
        """The update u of the first step; it may be the gradients themselves."""
        d = _plus(gradients, weights, _decays(self)[0])
        scale = self._first_scale()
        return d if scale == 1.0 else list(torch._foreach_mul(d, scale))

    def first_by_d(self, gradients: Sequence[Tensor], weights: Sequence[Tensor]) -> list[float]:
        """phi'(d): the derivative of the first update by d, of each parameter."""
        return [self._first_scale()] * len(weights)

    def first_by(
        self, setting: str, gradients: Sequence[Tensor], weights: Sequence[Tensor]
    ) -> list[Tensor] | None:
        """Derivative of the first update by a setting that shapes it; None: it does not."""
        if setting == "momentum" and self.nesterov:
            return _plus(gradients, weights, _decays(self)[0])
        if setting == "weight_decay" and not self.decoupled:
            return list(torch._foreach_mul(list(weights), self._first_scale()))
        return None

    def _first_scale(self) -> float:
        return 1.0 + self.momentum if self.nesterov else 1.0

    def step(self, g: Tensor, theta: Tensor, state: State, t: int) -> tuple[Tensor, State]:
        """New weight and state; ``t`` counts from 1. Differentiable in everything, the settings too."""
        l1, l2 = _decays(self)
        d = g + l1 * theta
        v = self.momentum * state[0] + self._keep() * d if state else d
        u = d + self.momentum * v if self.nesterov else v
        return (1.0 - self.lr * l2) * theta - self.lr * u, (v,)

    def tangent(
        self,
        g: Tensor,
        theta: Tensor,
        state: State,
        t: int,
        g_: Tensor,
        z: Tensor,
        state_: State,
        slope: Slope,
    ) -> tuple[Tensor, State]:
        """Derivatives of what ``step`` gives along a coordinate; ``g_``, ``z``, ``state_``: of its inputs."""
        l1, l2 = _decays(self)
        l1_, l2_ = _decay_slopes(self, slope)
        lr_, m_ = slope.get("lr", 0.0), slope.get("momentum", 0.0)
        d, d_ = g + l1 * theta, g_ + l1 * z + l1_ * theta
        if state:
            keep, keep_ = self._keep(), -slope.get("dampening", 0.0) if self.momentum else 0.0
            v = self.momentum * state[0] + keep * d
            v_ = self.momentum * state_[0] + m_ * state[0] + keep * d_ + keep_ * d
        else:
            v, v_ = d, d_
        u = d + self.momentum * v if self.nesterov else v
        u_ = d_ + self.momentum * v_ + m_ * v if self.nesterov else v_
        return _weight_tangent(self.lr, lr_, l2, l2_, theta, z, u, u_), (v_,)

    def _keep(self) -> float:
        return 1.0 - self.dampening if self.momentum else 1.0  # PyTorch: no buffer, no dampening


@dataclass(frozen=True, slots=True)
class Adam:
    """One parameter group of Adam (coupled weight decay) or AdamW (decoupled).

    Attributes:
        parameters: the names of the group's parameters.
        decoupled: AdamW's decay.
    """

    SETTINGS: ClassVar = ("lr", "beta1", "beta2", "eps", "weight_decay")

    parameters: tuple[str, ...]
    lr: float
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    decoupled: bool = False

    @property
    def kind(self) -> str:
        """What optimiser it is, for people."""
        return "AdamW" if self.decoupled else "Adam"

    @property
    def late(self) -> tuple[str, ...]:
        """Settings that the first step does not use: its bias correction takes the betas out."""
        return ("beta1", "beta2")

    def first(self, gradients: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
        """The update of the first step: u = d / (|d| + eps)."""
        d = _plus(gradients, weights, _decays(self)[0])
        return list(torch._foreach_div(d, self._first_size(d)))

    def first_by_d(self, gradients: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
        """phi'(d) = eps / (|d| + eps)^2: the derivative of the first update by d, element by element."""
        size = self._first_size(_plus(gradients, weights, _decays(self)[0]))
        return [self.eps / each / each for each in size]

    def first_by(
        self, setting: str, gradients: Sequence[Tensor], weights: Sequence[Tensor]
    ) -> list[Tensor] | None:
        """Derivative of the first update by a setting that shapes it; None: it does not."""
        if setting == "weight_decay" and not self.decoupled:
            return list(torch._foreach_mul(self.first_by_d(gradients, weights), list(weights)))
        if setting != "eps":
            return None
        d = _plus(gradients, weights, _decays(self)[0])
        size = self._first_size(d)
        return list(torch._foreach_neg(torch._foreach_div(torch._foreach_div(d, size), size)))

    def _first_size(self, d: Sequence[Tensor]) -> list[Tensor]:
        return list(torch._foreach_add(torch._foreach_abs(list(d)), self.eps))

    def step(self, g: Tensor, theta: Tensor, state: State, t: int) -> tuple[Tensor, State]:
        """New weight and state; ``t`` counts from 1. Differentiable in everything, the settings too."""
        l1, l2 = _decays(self)
        d = g + l1 * theta
        a, s = state or (torch.zeros_like(theta), torch.zeros_like(theta))
        a = self.beta1 * a + (1.0 - self.beta1) * d
        s = self.beta2 * s + (1.0 - self.beta2) * d * d
        size = _root(s) / (1.0 - self.beta2**t) ** 0.5 + self.eps
        u = a / (1.0 - self.beta1**t) / size
        return (1.0 - self.lr * l2) * theta - self.lr * u, (a, s)

    def tangent(
        self,
        g: Tensor,
        theta: Tensor,
        state: State,
        t: int,
        g_: Tensor,
        z: Tensor,
        state_: State,
        slope: Slope,
    ) -> tuple[Tensor, State]:
        """Derivatives of what ``step`` gives along a coordinate; ``g_``, ``z``, ``state_``: of its inputs."""
        l1, l2 = _decays(self)
        l1_, l2_ = _decay_slopes(self, slope)
        b1, b2 = self.beta1, self.beta2
        b1_, b2_, eps_ = slope.get("beta1", 0.0), slope.get("beta2", 0.0), slope.get("eps", 0.0)
        zero = torch.zeros_like(theta)
        (a, s), (a_, s_) = state or (zero, zero), state_ or (zero, zero)
        d, d_ = g + l1 * theta, g_ + l1 * z + l1_ * theta
        # a tuple's right-hand side is computed first: the old a and s, on both sides of the comma
        a, a_ = b1 * a + (1.0 - b1) * d, b1 * a_ + b1_ * (a - d) + (1.0 - b1) * d_
        s, s_ = b2 * s + (1.0 - b2) * d * d, b2 * s_ + b2_ * (s - d * d) + 2.0 * (1.0 - b2) * d * d_
        if not state:  # as in ``first``: bias correction takes the betas out, and exactly
            size = d.abs() + self.eps
            u, u_ = d / size, (self.eps * d_ - eps_ * d) / size / size
            return _weight_tangent(self.lr, slope.get("lr", 0.0), l2, l2_, theta, z, u, u_), (a_, s_)
        # c: the bias corrections; r = sqrt(s), whose derivative at 0 (no gradient ever) is taken as 0
        c1, c1_ = 1.0 - b1**t, -t * b1 ** (t - 1) * b1_
        c2, c2_ = 1.0 - b2**t, -t * b2 ** (t - 1) * b2_
        r = s.sqrt()
        r_ = torch.where(r > 0, s_ / (2.0 * r), zero)
        size = r / c2**0.5 + self.eps
        size_ = r_ / c2**0.5 - 0.5 * r * c2_ / c2**1.5 + eps_
        u = a / c1 / size
        u_ = (a_ / c1 - a * c1_ / c1**2) / size - u * size_ / size
        return _weight_tangent(self.lr, slope.get("lr", 0.0), l2, l2_, theta, z, u, u_), (a_, s_)


@dataclass(frozen=True, slots=True)
class Opaque:
    """One parameter group of an optimiser whose step is not known: only its settings are.

    Attributes:
        parameters: the names of the group's parameters.
        kind: what optimiser it is, for people.
    """

    SETTINGS: ClassVar = ("lr", "momentum", "dampening", "weight_decay", "beta1", "beta2", "eps")

    parameters: tuple[str, ...]
    kind: str
    lr: float = 0.0
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    beta1: float = 0.0
    beta2: float = 0.0
    eps: float = 0.0

    @property
    def late(self) -> tuple[str, ...]:
        """Settings that a first step mostly makes no use of."""
        return ("momentum", "dampening", "beta1", "beta2")


Group = SGD | Adam


def _decays(group: Group) -> tuple[float, float]:
    """(l1, l2): coupled and decoupled weight decay; one of them is 0."""
    return (0.0, group.weight_decay) if group.decoupled else (group.weight_decay, 0.0)


def _decay_slopes(group: Group, slope: Slope) -> tuple[float, float]:
    by_decay = slope.get("weight_decay", 0.0)
    return (0.0, by_decay) if group.decoupled else (by_decay, 0.0)


def _weight_tangent(
    lr: float, lr_: float, l2: float, l2_: float, theta: Tensor, z: Tensor, u: Tensor, u_: Tensor
) -> Tensor:
    return (1.0 - lr * l2) * z - (lr_ * l2 + lr * l2_) * theta - lr_ * u - lr * u_


def _plus(gradients: Sequence[Tensor], weights: Sequence[Tensor], factor: float) -> list[Tensor]:
    if factor == 0:
        return list(gradients)
    return list(torch._foreach_add(list(gradients), list(weights), alpha=factor))


def _root(s: Tensor) -> Tensor:
    """The square root, with derivative 0 at 0 instead of infinity."""
    positive = s > 0
    return torch.where(positive, torch.where(positive, s, 1.0).sqrt(), 0.0)
