"""The virtual optimiser step, and its derivative with respect to the hyper-parameters.

SGD in PyTorch's convention (the first momentum buffer is undampened), for one parameter theta:

    d_t = g_t + l1*theta_t                  l1: coupled weight decay, l2: decoupled
    v_{t+1} = m*v_t + (1-tau)*d_t           v_1 = d_0
    u_t = v_{t+1}, or d_t + m*v_{t+1} with nesterov
    theta_{t+1} = (1 - lr*l2)*theta_t - lr*u_t

For a coordinate psi with tangent Z = dtheta/dpsi (Z_0 = 0; a dot is a derivative by psi):

    d' = H_t Z + dg/dpsi + l1*Z + l1'*theta;   v' = m*v' + m'*v + (1-tau)*d'   (t = 0: v' = d')
    u' = v'   (nesterov: d' + m*v' + m'*v)
    Z <- (1-lr*l2)*Z - (lr'*l2 + lr*l2')*theta - lr'*u - lr*u'

and the hyper-gradient is <grad L_heldout(theta_H), Z_H>. Two routes:

``one_step``   H = 1. Everything collapses to dot products with g_v = grad L_heldout(theta_1), and two
               backward passes for each coordinate that acts through the loss.
``unrolled``   any H, by the tangents above; Hessian-vector products by double backward.

How each optimiser setting depends on each coordinate is read off the task's own optimiser by central
differences on plain numbers (exact to 1e-8), so any mapping (lr = lr0 * batch/256, say) is right.
A coordinate that moves a setting is taken not to act through the loss as well.
How the training loss depends on a coordinate is a central difference too: exact for label smoothing,
which enters linearly, and right for losses that cannot take a tensor in place of a number.

Sources: Luketina et al. 2016, arXiv:1511.06727, eq. 5; Baydin et al. 2018, arXiv:1703.04782;
Franceschi et al. 2017, arXiv:1703.01785 (forward mode).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asha_core.space import Configuration, Float, SearchSpace
from warmstart.base import Batch, GroupSettings, Losses, movable

Tensors = dict[str, Tensor]

_SETTING_STEP = 1e-4  # search coordinates
_LOSS_STEP = 1e-2  # of the dimension's range in search coordinates


@dataclass(frozen=True, slots=True)
class HyperGradient:
    """gradient: name -> nats per search coordinate; exactly 0 where nothing depends on one.

    final: held-out loss after the virtual steps.
    """

    gradient: dict[str, float]
    final: float


@dataclass(frozen=True, slots=True)
class _Slope:
    """How one coordinate moves the settings of each group, and whether it acts through the loss."""

    settings: list[tuple[float, float, float]]  # (lr', momentum', weight_decay') by group
    through_loss: bool


def neighbours(
    dimension: Float, configuration: Mapping[str, object], name: str, step: float
) -> tuple[Configuration, Configuration, float]:
    """The configurations one step below and above in one coordinate, clamped, and their distance."""
    low, high = dimension.search_bounds
    value = configuration[name]
    assert isinstance(value, float)
    centre = dimension.to_search(value)
    below, above = max(centre - step, low), min(centre + step, high)
    return (
        _with(configuration, name, dimension.from_search(below)),
        _with(configuration, name, dimension.from_search(above)),
        above - below,
    )


def _with(configuration: Mapping[str, object], name: str, value: float) -> Configuration:
    values = {**configuration, name: value}
    return Configuration(tuple(values), tuple(values.values()))  # type: ignore[arg-type]


def _slopes(losses: Losses, space: SearchSpace, configuration: Configuration) -> dict[str, _Slope]:
    slopes = {}
    for name, dimension in movable(space, configuration).items():
        below, above, distance = neighbours(dimension, configuration, name, _SETTING_STEP)
        rows = [
            (
                (b.lr - a.lr) / distance,
                (b.momentum - a.momentum) / distance,
                (b.weight_decay - a.weight_decay) / distance,
            )
            for a, b in zip(losses.settings(below), losses.settings(above), strict=True)
        ]
        # a coordinate that moves no setting acts, if at all, through the loss or the augmentation
        slopes[name] = _Slope(rows, through_loss=not any(any(row) for row in rows))
    return slopes


def _gradients(loss: Tensor, parameters: Mapping[str, Tensor], *, graph: bool = False) -> Tensors:
    found = torch.autograd.grad(
        loss, list(parameters.values()), create_graph=graph, allow_unused=True, materialize_grads=True
    )
    return dict(zip(parameters, found, strict=True))


def _leaves(parameters: Mapping[str, Tensor]) -> Tensors:
    return {name: value.detach().requires_grad_() for name, value in parameters.items()}


def _dot(left: Mapping[str, Tensor], right: Mapping[str, Tensor], names: Sequence[str]) -> float:
    """Sum of products over the named tensors, accumulated in float64."""
    return float(
        sum(torch.dot(left[name].flatten().double(), right[name].flatten().double()).item() for name in names)
    )


def one_step(
    losses: Losses, space: SearchSpace, configuration: Configuration, train: Batch, heldout: Batch
) -> HyperGradient:
    """The hyper-gradient of one virtual step from a zero momentum buffer, in closed form.

    Args:
        train, heldout: the two halves of a mini-batch; never the same samples.
    Returns:
        The derivative of the held-out loss after the step, by coordinate.

    With heavy-ball momentum the entry of the momentum is exactly 0: the first step does not use it.
    """
    groups = losses.settings(configuration)
    slopes = _slopes(losses, space, configuration)
    leaves = _leaves(losses.parameters)
    gradient = _gradients(losses.train_loss(leaves, train, configuration), leaves)
    start = {name: value.detach() for name, value in leaves.items()}
    first: Tensors = {}  # d_0 = v_1
    after: Tensors = {}
    kappa: list[float] = []  # u_0 = kappa * d_0
    for group in groups:
        scale = 1.0 + group.momentum if group.nesterov else 1.0
        coupled, decoupled = _decays(group)
        kappa.append(scale)
        for name in group.parameters:
            first[name] = gradient[name] + coupled * start[name]
            shrunk = (1.0 - group.lr * decoupled) * start[name]
            after[name] = shrunk - group.lr * scale * first[name]
    leaves_after = _leaves({name: after.get(name, value) for name, value in start.items()})
    final = losses.heldout_loss(leaves_after, heldout)
    g_v = _gradients(final, leaves_after)

    answer = dict.fromkeys(slopes, 0.0)
    for index, group in enumerate(groups):
        names = group.parameters
        along_step, along_weights = _dot(g_v, first, names), _dot(g_v, start, names)
        _, decoupled = _decays(group)
        by_lr = -(kappa[index] * along_step + decoupled * along_weights)
        by_momentum = -group.lr * along_step if group.nesterov else 0.0
        by_decay = -group.lr * (1.0 if group.decoupled else kappa[index]) * along_weights
        for coordinate, slope in slopes.items():
            lr, momentum, decay = slope.settings[index]
            answer[coordinate] += lr * by_lr + momentum * by_momentum + decay * by_decay

    scaled = {
        name: (-group.lr * scale) * g_v[name]
        for group, scale in zip(groups, kappa, strict=True)
        for name in group.parameters
    }
    for coordinate, slope in slopes.items():
        if slope.through_loss:
            dimension = space[coordinate]
            assert isinstance(dimension, Float)
            answer[coordinate] = _through_loss(
                losses, dimension, configuration, coordinate, train, start, scaled
            )
    return HyperGradient(answer, final.item())


def _through_loss(
    losses: Losses,
    dimension: Float,
    configuration: Configuration,
    coordinate: str,
    train: Batch,
    start: Tensors,
    direction: Tensors,
) -> float:
    """d/dpsi of the training loss's directional derivative: two backward passes.

    A backward pass rather than a forward-mode one: every layer has it, and PyTorch's forward mode
    decomposes batch norm and others into slow pieces.
    """
    below, above, distance = neighbours(dimension, configuration, coordinate, _loss_step(dimension))

    def slope(at: Configuration) -> float:
        leaves = _leaves(start)
        return _dot(_gradients(losses.train_loss(leaves, train, at), leaves), direction, list(direction))

    return (slope(above) - slope(below)) / distance


def _loss_step(dimension: Float) -> float:
    low, high = dimension.search_bounds
    return _LOSS_STEP * (high - low)


def _decays(group: GroupSettings) -> tuple[float, float]:
    """(l1, l2): coupled and decoupled weight decay; one of them is 0."""
    return (0.0, group.weight_decay) if group.decoupled else (group.weight_decay, 0.0)


class _Tangent:
    """Z and v' of one coordinate, through the virtual steps."""

    def __init__(self, slope: _Slope, dimension: Float, coordinate: str) -> None:
        self.slope = slope
        self.dimension = dimension
        self.coordinate = coordinate
        self.z: Tensors = {}
        self.velocity: Tensors = {}


def unrolled(
    losses: Losses,
    space: SearchSpace,
    configuration: Configuration,
    train: Sequence[Batch],
    heldout: Batch,
) -> HyperGradient:
    """The hyper-gradient through H = len(train) virtual steps, by forward tangents.

    Args:
        train: one training batch a step. heldout: other samples.
    Returns:
        The derivative of the held-out loss after the last step, by coordinate. From H = 2 on, the
        momentum has one with heavy-ball too.
    """
    groups = losses.settings(configuration)
    tangents = [
        _Tangent(slope, dimension, name)
        for name, slope in _slopes(losses, space, configuration).items()
        if isinstance(dimension := space[name], Float)
    ]
    theta: Tensors = {name: value.detach() for name, value in losses.parameters.items()}
    velocity: Tensors = {}
    for batch in train:
        leaves = _leaves(theta)
        graph = bool(velocity)  # Z is 0 before the first step, and so is H Z
        gradient = _gradients(losses.train_loss(leaves, batch, configuration), leaves, graph=graph)
        for tangent in tangents:
            curvature = _hessian_times(gradient, leaves, tangent.z) if tangent.z else {}
            if tangent.slope.through_loss:
                for name, value in _gradient_slope(losses, tangent, configuration, batch, theta).items():
                    curvature[name] = curvature[name] + value if name in curvature else value
            _advance(tangent, groups, curvature, gradient, theta, velocity)
        theta, velocity = _sgd(groups, gradient, theta, velocity)
    leaves = _leaves(theta)
    final = losses.heldout_loss(leaves, heldout)
    g_v = _gradients(final, leaves)
    answer = {t.coordinate: _dot(g_v, t.z, list(t.z)) for t in tangents}
    return HyperGradient(answer, final.item())


def _hessian_times(gradient: Tensors, leaves: Tensors, vector: Tensors) -> Tensors:
    inner = sum((gradient[name] * value).sum() for name, value in vector.items())
    assert isinstance(inner, Tensor)
    found = torch.autograd.grad(
        inner, list(leaves.values()), retain_graph=True, allow_unused=True, materialize_grads=True
    )
    return dict(zip(leaves, found, strict=True))


def _gradient_slope(
    losses: Losses, tangent: _Tangent, configuration: Configuration, batch: Batch, theta: Tensors
) -> Tensors:
    """dg/dpsi by a central difference of two gradients."""
    step = _loss_step(tangent.dimension)
    below, above, distance = neighbours(tangent.dimension, configuration, tangent.coordinate, step)
    sides = []
    for at in (below, above):
        leaves = _leaves(theta)
        sides.append(_gradients(losses.train_loss(leaves, batch, at), leaves))
    return {name: (sides[1][name] - sides[0][name]) / distance for name in theta}


def _advance(
    tangent: _Tangent,
    groups: Sequence[GroupSettings],
    curvature: Tensors,
    gradient: Tensors,
    theta: Tensors,
    velocity: Tensors,
) -> None:
    """One step of the tangent recursion in the module's docstring."""
    for index, group in enumerate(groups):
        lr_, m_, wd_ = tangent.slope.settings[index]
        l1, l2 = _decays(group)
        l1_, l2_ = (0.0, wd_) if group.decoupled else (wd_, 0.0)
        keep = 1.0 - group.dampening if group.momentum else 1.0  # PyTorch: no buffer, no dampening
        for name in group.parameters:
            at, zero = theta[name], torch.zeros_like(theta[name])
            z = tangent.z.get(name, zero)
            d = gradient[name].detach() + l1 * at
            d_ = curvature.get(name, zero) + l1 * z + l1_ * at
            if velocity:
                v = group.momentum * velocity[name] + keep * d
                v_ = group.momentum * tangent.velocity[name] + m_ * velocity[name] + keep * d_
            else:
                v, v_ = d, d_
            u = d + group.momentum * v if group.nesterov else v
            u_ = d_ + group.momentum * v_ + m_ * v if group.nesterov else v_
            shrink = (lr_ * l2 + group.lr * l2_) * at
            tangent.z[name] = (1.0 - group.lr * l2) * z - shrink - lr_ * u - group.lr * u_
            tangent.velocity[name] = v_


def _sgd(
    groups: Sequence[GroupSettings], gradient: Tensors, theta: Tensors, velocity: Tensors
) -> tuple[Tensors, Tensors]:
    """The step itself: new weights and momentum buffers."""
    weights, buffers = dict(theta), dict(velocity)
    for group in groups:
        l1, l2 = _decays(group)
        for name in group.parameters:
            d = gradient[name].detach() + l1 * theta[name]
            keep = 1.0 - group.dampening if group.momentum else 1.0
            v = group.momentum * velocity[name] + keep * d if velocity else d
            u = d + group.momentum * v if group.nesterov else v
            buffers[name] = v
            weights[name] = (1.0 - group.lr * l2) * theta[name] - group.lr * u
    return weights, buffers
