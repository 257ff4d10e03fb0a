"""Hyper-gradients: the derivative of the held-out loss after virtual optimiser steps, by coordinate.

theta_H is the network after H virtual steps under the configuration psi, from its initial weights and a
zero optimiser state. Three routes to dL_heldout(theta_H)/dpsi, which agree:

``closed``     H = 1, the default. With g_v = grad L_heldout(theta_1), everything that acts through the
               optimiser is a dot product with g_v. What acts through the loss takes one more backward pass of
               the training graph, which is kept; what acts through the network's inputs, two gradients.
``tangents``   any H: the derivative Z of the weights is carried through the steps, one Z a coordinate;
               Hessian-vector products by differentiating the gradient again.
``first-order`` the same without the products: exact for H = 1, an approximation beyond, at half the cost.
``reverse``    any H: the steps themselves are differentiated, back to front. The reference: it needs a loss
               and an augmentation that take tensors for numbers, and the memory of all the steps.

One step, with u = phi(d) the update and d = g + l1*theta (``optimizers.py``):

    dL/dlr        = -(<g_v, u> + l2*<g_v, theta>)
    dL/dsetting   = -lr * <g_v, du/dsetting>
    dL/dpsi       = -lr * <g_v, phi'(d) * dg/dpsi>        through the loss or the inputs

and the tangents, for a coordinate psi with Z = dtheta/dpsi, Z_0 = 0 (a dot is a derivative by psi):

    dg = Hess Z + dg/dpsi;   (Z, state') <- tangent of the optimiser's step;   dL/dpsi = <grad L_heldout, Z_H>

A finite step is taken along coordinates that act through the inputs: the gradient of a ReLU network jumps as
its inputs move, so that only a difference over a step means anything.

Sources: Luketina et al. 2016, arXiv:1511.06727, eq. 5; Baydin et al. 2018, arXiv:1703.04782;
Franceschi et al. 2017, arXiv:1703.01785 (forward and reverse mode).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from asha_core.space import Configuration, Float, SearchSpace
from warmstart.base import Batch, Network
from warmstart.dependence import (
    LOSS_STEP,
    Dependence,
    Stencil,
    Watched,
    settings_slopes,
    stencil,
    wanted_names,
)
from warmstart.estimates import Estimate
from warmstart.optimizers import Group, State
from warmstart.streaming import dot, each_gradient, pieces

Tensors = dict[str, Tensor]


@dataclass(slots=True)
class Pass:
    """One training gradient, and through what the wanted coordinates act on it.

    outputs: of the network, with their graph if something acts through the loss.
    through_inputs, through_loss: names of coordinates; none is in both.
    """

    leaves: Tensors
    outputs: Any
    gradient: Tensors
    through_inputs: list[str]
    through_loss: list[str]


@contextmanager
def differentiable() -> Iterator[None]:
    """Gradients are recorded inside, in the weights' own precision, whatever the caller has set about it."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):  # a backward pass under it would be in half precision
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def leaves_of(parameters: Mapping[str, Tensor]) -> Tensors:
    """The same weights as leaves of a graph of their own."""
    return {name: value.detach().requires_grad_() for name, value in parameters.items()}


def gradients(
    loss: Tensor, parameters: Mapping[str, Tensor], *, retain_graph: bool = False, create_graph: bool = False
) -> Tensors:
    """By name; zeros for what the loss does not depend on.

    Raises:
        RuntimeError: ``create_graph``, and a layer whose backward pass cannot be differentiated.
    """
    found = torch.autograd.grad(
        loss,
        list(parameters.values()),
        retain_graph=retain_graph,
        create_graph=create_graph,
        allow_unused=True,
        materialize_grads=True,
    )
    if create_graph:
        _refuse_dead_ends(found)
    return dict(zip(parameters, found, strict=True))


def _refuse_dead_ends(found: Sequence[Tensor]) -> None:
    """Look for the node that stands for a backward pass which cannot be differentiated.

    It raises an error when it is run; but autograd runs what leads to the weights alone, that node does not,
    and so its part of the second derivative would be missing without a word.
    """
    waiting = [each.grad_fn for each in found]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        if node.name() == "torch::autograd::Error":
            raise RuntimeError(
                "a layer's backward pass cannot be differentiated (it is marked with @once_differentiable)"
            )
        following = {each for each, _ in node.next_functions} - seen
        seen |= following
        waiting += following


def training_pass(
    network: Network,
    theta: Mapping[str, Tensor],
    batch: Batch,
    configuration: Configuration,
    wanted: Sequence[str],
    *,
    twice: bool = False,
) -> Pass:
    """The training gradient at ``theta``, watching what is read on the way.

    Args:
        twice: the gradient will be differentiated again.
    """
    leaves = leaves_of(theta)
    in_forward, in_criterion = Watched(configuration), Watched(configuration)
    outputs = network.forward(leaves, batch, in_forward)
    loss = network.criterion(outputs, batch, in_criterion)
    through_inputs = [name for name in wanted if name in in_forward.reads]
    through_loss = [n for n in wanted if n in in_criterion.reads and n not in in_forward.reads]
    found = gradients(loss, leaves, retain_graph=bool(through_loss) or twice, create_graph=twice)
    return Pass(leaves, outputs if through_loss else None, found, through_inputs, through_loss)


def one_step(
    network: Network,
    space: SearchSpace,
    configuration: Configuration,
    train: Batch,
    heldout: Batch,
    *,
    only: Sequence[str] | None = None,
    loss_step: float = LOSS_STEP,
) -> Estimate:
    """The hyper-gradient of one virtual step, in closed form.

    Args:
        train, heldout: the two halves of a mini-batch; never the same samples.
        only: names of the coordinates that are wanted; None: all that can be moved.
        loss_step: the finite step along coordinates that act through the loss or the inputs, as a share of
            their range.
    Returns:
        The derivative of the held-out loss after the step, by coordinate.

    What the first step does not use (heavy-ball momentum, Adam's betas) has derivative exactly 0.
    """
    wanted = wanted_names(space, configuration, only)
    groups, dependence = settings_slopes(network.groups, space, configuration, wanted)
    theta = {name: value.detach() for name, value in network.parameters.items()}
    first = training_pass(network, theta, train, configuration, wanted)
    with torch.no_grad():
        leaves = leaves_of(_first_weights(groups, theta, first.gradient))
    loss = network.heldout_loss(leaves, heldout)
    products = _Products(groups, dependence, wanted, theta, first.gradient)
    direction: Tensors = {}  # g_v, then -lr * phi'(d) * g_v; kept only for what acts through the gradient

    def visit(found: Tensors) -> None:
        products.add(found)
        if first.through_loss or first.through_inputs:
            direction.update(found)

    each_gradient(loss, leaves, visit, spend=True)
    final = loss.item()
    del leaves, loss
    answer = products.answer
    with torch.no_grad():
        _against_the_update(groups, theta, first.gradient, direction)
    for name in first.through_loss:
        slope = loss_slope(network, space, configuration, name, first, train, loss_step)
        keep = name != first.through_loss[-1]
        answer[name] += _along(slope, first.leaves, direction, retain_graph=keep)
        del slope
    first.outputs = None
    for name in first.through_inputs:
        own, points = _points(space, configuration, name, loss_step)
        for weight, there in points:
            again = leaves_of(theta)
            loss = network.criterion(network.forward(again, train, there), train, there)
            answer[name] += weight * _along(loss, again, direction)
            del loss
        if own:
            answer[name] += own * dot([first.gradient[each] for each in direction], list(direction.values()))
    touched = {*dependence.settings, *first.through_loss, *first.through_inputs}
    return Estimate(answer, final, "closed", tuple(name for name in wanted if name not in touched))


def _first_weights(groups: Sequence[Group], theta: Tensors, gradient: Tensors) -> Tensors:
    """theta_1; a parameter of no group stays as it is."""
    after = dict(theta)
    for group in groups:
        decay = group.weight_decay if group.decoupled else 0.0
        after.update((name, theta[name].clone()) for name in group.parameters)
        for found, weights, moved in _rows(group.parameters, gradient, theta, after):
            if decay:
                torch._foreach_mul_(moved, 1.0 - group.lr * decay)
            torch._foreach_add_(moved, group.first(found, weights), alpha=-group.lr)
    return after


def _rows(names: Sequence[str], *columns: Tensors) -> Iterator[list[list[Tensor]]]:
    """Some parameters' tensors out of several dictionaries, a piece at a time."""
    return pieces(*([column[name] for name in names] for column in columns))


def _against_the_update(groups: Sequence[Group], theta: Tensors, gradient: Tensors, g_v: Tensors) -> None:
    """Turn g_v into -lr * phi'(d) * g_v, in place; what no group has goes."""
    for name in g_v.keys() - {name for group in groups for name in group.parameters}:
        del g_v[name]
    for group in groups:
        names = [name for name in group.parameters if name in g_v]
        for found, weights, turned in _rows(names, gradient, theta, g_v):
            torch._foreach_mul_(turned, group.first_by_d(found, weights))
            torch._foreach_mul_(turned, -group.lr)


def _along(loss: Tensor, leaves: Tensors, direction: Tensors, *, retain_graph: bool = False) -> float:
    """<grad loss, direction>."""
    parts: list[float] = []

    def visit(found: Tensors) -> None:
        names = [name for name in found if name in direction]
        parts.append(dot([found[name] for name in names], [direction[name] for name in names]))

    each_gradient(loss, leaves, visit, retain_graph=retain_graph)
    return sum(parts)


class _Products:
    """What acts through the optimiser: <g_v, dtheta_1/dpsi> by coordinate, added up as parts of g_v come."""

    def __init__(
        self,
        groups: Sequence[Group],
        dependence: Dependence,
        wanted: Sequence[str],
        theta: Tensors,
        gradient: Tensors,
    ) -> None:
        self._theta, self._gradient = theta, gradient
        self.answer = dict.fromkeys(wanted, 0.0)
        # setting -> (coordinate, slope) of those that move it: each product is computed once a group
        self._moved: list[tuple[Group, dict[str, list[tuple[str, float]]]]] = []
        for index, group in enumerate(groups):
            by_setting: dict[str, list[tuple[str, float]]] = {}
            for name in wanted:
                for setting, slope in dependence.slope(name, index).items():
                    if slope:
                        by_setting.setdefault(setting, []).append((name, slope))
            self._moved.append((group, by_setting))

    def add(self, g_v: Tensors) -> None:
        """Those of some of the parameters."""
        for group, by_setting in self._moved:
            names = [name for name in group.parameters if name in g_v]
            for after, found, weights in _rows(names, g_v, self._gradient, self._theta):
                for setting, slopes in by_setting.items():
                    product = _by_setting(group, setting, found, weights, after)
                    for name, slope in slopes:
                        self.answer[name] += slope * product


def _by_setting(
    group: Group, setting: str, found: list[Tensor], weights: list[Tensor], g_v: list[Tensor]
) -> float:
    """<g_v, dtheta_1/dsetting>, of some of the group's parameters."""
    if setting == "lr":
        decay = group.weight_decay if group.decoupled else 0.0
        return -dot(g_v, group.first(found, weights)) - (decay * dot(g_v, weights) if decay else 0.0)
    if setting == "weight_decay" and group.decoupled:
        return -group.lr * dot(g_v, weights)
    shaped = group.first_by(setting, found, weights)
    return 0.0 if shaped is None else -group.lr * dot(g_v, shaped)


def loss_slope(
    network: Network,
    space: SearchSpace,
    configuration: Configuration,
    name: str,
    first: Pass,
    batch: Batch,
    step: float,
) -> Tensor:
    """d(training loss)/dpsi as a function of the kept outputs, to be differentiated by the weights.

    A fourth-order difference, which costs nothing beside a pass through the network, and is exact for what
    enters as a polynomial, such as label smoothing.
    """
    dimension = space[name]
    assert isinstance(dimension, Float)
    low, high = dimension.search_bounds
    own, points = stencil(dimension, configuration, name, step * (high - low), reach=2)
    terms = [(own, configuration)] if own else []
    total = [weight * network.criterion(first.outputs, batch, c) for weight, c in [*terms, *points]]
    return torch.stack(total).sum()


def _points(
    space: SearchSpace, configuration: Configuration, name: str, step: float
) -> tuple[float, Stencil]:
    """The stencil of a central difference over a share of the range."""
    dimension = space[name]
    assert isinstance(dimension, Float)
    low, high = dimension.search_bounds
    return stencil(dimension, configuration, name, step * (high - low))


def _gradients_along(
    network: Network,
    space: SearchSpace,
    configuration: Configuration,
    name: str,
    batch: Batch,
    theta: Mapping[str, Tensor],
    here: Tensors,
    step: float,
) -> Any:
    """(weight, gradient) pairs whose weighted sum is dg/dpsi; one gradient at a time is alive.

    A central difference of gradients rather than of forward-mode derivatives: every layer has a backward
    pass, and PyTorch decomposes batch norm and others in forward mode, which costs more than it saves.
    """
    own, points = _points(space, configuration, name, step)
    for weight, there in points:
        leaves = leaves_of(theta)
        loss = network.criterion(network.forward(leaves, batch, there), batch, there)
        yield weight, gradients(loss, leaves)
    if own:
        yield own, here


class _Tangent:
    """Z and the state's derivative of one coordinate, through the virtual steps."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.z: Tensors = {}
        self.state: dict[str, State] = {}


def unrolled(
    network: Network,
    space: SearchSpace,
    configuration: Configuration,
    train: Sequence[Batch],
    heldout: Batch,
    *,
    only: Sequence[str] | None = None,
    loss_step: float = LOSS_STEP,
    curvature: bool = True,
) -> Estimate:
    """The hyper-gradient through H = len(train) virtual steps, by forward tangents.

    Args:
        train: one training batch a step. heldout: other samples. Otherwise as ``one_step``.
        curvature: False leaves the Hessian-vector products out. What is left is exact for H = 1, and says
            beyond that whether the way that was gone is still downhill where it ends; it costs half as much.
    Returns:
        The derivative of the held-out loss after the last step, by coordinate. From H = 2 on,
        heavy-ball momentum and Adam's betas have one too.
    """
    wanted = wanted_names(space, configuration, only)
    groups, dependence = settings_slopes(network.groups, space, configuration, wanted)
    tangents = [_Tangent(name) for name in wanted]
    theta: Tensors = {name: value.detach() for name, value in network.parameters.items()}
    state: dict[str, State] = {}
    touched = set(dependence.settings)
    for t, batch in enumerate(train, start=1):
        # Z is 0 before the first step, and so is its product with the Hessian
        twice = t > 1 and curvature
        here = training_pass(network, theta, batch, configuration, wanted, twice=twice)
        touched |= {*here.through_loss, *here.through_inputs}
        plain = {name: value.detach() for name, value in here.gradient.items()}
        for tangent in tangents:
            moving = _gradient_tangent(network, space, configuration, tangent, here, batch, plain, loss_step)
            with torch.no_grad():
                _advance(tangent, groups, dependence, moving, plain, theta, state, t)
        with torch.no_grad():
            for group in groups:
                for name in group.parameters:
                    theta[name], state[name] = group.step(plain[name], theta[name], state.get(name, ()), t)
        del here
    leaves = leaves_of(theta)
    loss = network.heldout_loss(leaves, heldout)
    g_v = gradients(loss, leaves)
    answer = {t.name: dot([g_v[name] for name in t.z], list(t.z.values())) for t in tangents}
    ignored = tuple(name for name in wanted if name not in touched)
    return Estimate(answer, loss.item(), "tangents" if curvature else "first-order", ignored)


def _gradient_tangent(
    network: Network,
    space: SearchSpace,
    configuration: Configuration,
    tangent: _Tangent,
    here: Pass,
    batch: Batch,
    plain: Tensors,
    loss_step: float,
) -> Tensors:
    """Hess Z + dg/dpsi, by parameter; what is absent is 0."""
    moving: Tensors = {}
    if tangent.z and any(value.requires_grad for value in here.gradient.values()):
        curved = [(here.gradient[name] * z).sum() for name, z in tangent.z.items()]
        inner = torch.stack(curved).sum()
        if inner.requires_grad:  # the loss may be linear in the weights
            moving = gradients(inner, here.leaves, retain_graph=True)
    parts: list[tuple[float, Tensors]] = []
    if tangent.name in here.through_inputs:
        theta = {name: leaf.detach() for name, leaf in here.leaves.items()}
        parts = list(
            _gradients_along(network, space, configuration, tangent.name, batch, theta, plain, loss_step)
        )
    elif tangent.name in here.through_loss:
        slope = loss_slope(network, space, configuration, tangent.name, here, batch, loss_step)
        parts = [(1.0, gradients(slope, here.leaves, retain_graph=True))]
    for weight, found in parts:
        for name, value in found.items():
            moving[name] = moving[name] + weight * value if name in moving else weight * value
    return moving


def _advance(
    tangent: _Tangent,
    groups: Sequence[Group],
    dependence: Dependence,
    moving: Tensors,
    gradient: Tensors,
    theta: Tensors,
    state: Mapping[str, State],
    t: int,
) -> None:
    """One step of the tangent, of every parameter."""
    for index, group in enumerate(groups):
        slope = dependence.slope(tangent.name, index)
        for name in group.parameters:
            zero = torch.zeros_like(theta[name])
            tangent.z[name], tangent.state[name] = group.tangent(
                gradient[name],
                theta[name],
                state.get(name, ()),
                t,
                moving.get(name, zero),
                tangent.z.get(name, zero),
                tangent.state.get(name, ()),
                slope,
            )
