"""The hyper-gradient of one virtual step in closed form; formulas: the package's docstring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from asha_core.space import Configuration, SearchSpace
from warmstart.base import Batch, Network, Running
from warmstart.estimates.clipping import limit_of
from warmstart.estimates.dependence import OptimizerSettings, optimizer_settings, wanted_names
from warmstart.estimates.passes import Tensors, heldout_pass, loss_slope, measured, training_pass
from warmstart.estimates.stencils import LOSS_STEP, stencil_over
from warmstart.estimates.streaming import dot, each_gradient, pieces
from warmstart.estimates.types import Estimate
from warmstart.optimizers import Group


def one_step(
    network: Network,
    space: SearchSpace,
    configuration: Configuration,
    train: Batch,
    heldout: Batch,
    *,
    only: Sequence[str] | None = None,
    loss_step: float = LOSS_STEP,
    settings: OptimizerSettings | None = None,
) -> Estimate:
    """The hyper-gradient of one virtual step, in closed form.

    Args:
        train, heldout: the two halves of a mini-batch; never the same samples.
        only: names of the coordinates that are wanted; None: all that can be moved.
        loss_step: the finite step along coordinates that act through the loss or the inputs, as a share of
            their range.
        settings: of the optimiser under this configuration, where they are known already.
    Returns:
        The derivative of the held-out loss after the step, by coordinate.

    What the first step does not use (heavy-ball momentum, Adam's betas) has derivative exactly 0.
    """
    wanted = wanted_names(space, configuration, only)
    settings = settings or optimizer_settings(network.groups, space, configuration, wanted)
    given = space, configuration, train, heldout, wanted, loss_step, settings
    return measured(
        network,
        settings,
        wanted,
        lambda running, marks: _one_step(network, running, *given, marks=marks),
    )


def _one_step(
    network: Network,
    running: Running,
    space: SearchSpace,
    configuration: Configuration,
    train: Batch,
    heldout: Batch,
    wanted: Sequence[str],
    loss_step: float,
    settings: OptimizerSettings,
    *,
    marks: bool,
) -> Estimate:
    groups = settings.groups
    theta = {name: value.detach() for name, value in network.parameters.items()}
    first = training_pass(network, running, train, configuration, wanted, marks=marks)
    limit = limit_of(network, space, configuration, wanted, groups)
    clipped = limit.applied(first.gradient)
    with torch.no_grad():
        _step_first(groups, running.weights, clipped.gradient)
    loss, leaves = heldout_pass(network, running, heldout)
    products = _Products(settings, wanted, theta, clipped.gradient)
    direction: Tensors = {}  # g_v, then -lr * phi'(d) * g_v; kept only for what acts through the gradient

    def visit(found: Tensors) -> None:
        products.add(found)
        if first.through_loss or first.through_inputs or limit.slopes:
            direction.update(found)

    each_gradient(loss, leaves, visit)
    final = loss.item()
    del leaves, loss
    if first.through_loss or first.through_inputs:
        running.put(theta)
    answer = products.answer
    with torch.no_grad():
        _against_the_update(groups, theta, clipped.gradient, direction)
        for name in limit.slopes:
            changed = clipped.by_limit(name)
            both = changed.keys() & direction.keys()
            answer[name] += dot([changed[n] for n in both], [direction[n] for n in both])
        direction = clipped.back(direction)
    for name in first.through_loss:
        slope = loss_slope(network, running, space, configuration, name, first, train, loss_step)
        keep = name != first.through_loss[-1]
        answer[name] += _along(slope, first.leaves, direction, retain_graph=keep)
        del slope
    first.outputs = None
    for name in first.through_inputs:
        own, points = stencil_over(space, configuration, name, loss_step)
        for weight, there in points:
            running.rewind(first.before)
            again = running.leaves(there)
            loss = network.training_loss(again, train, there)
            answer[name] += weight * _along(loss, again, direction)
            del loss
        if own:
            answer[name] += own * dot([first.gradient[each] for each in direction], list(direction.values()))
    touched = {*settings.slopes, *limit.slopes, *first.through_loss, *first.through_inputs}
    return Estimate(answer, final, "closed", tuple(name for name in wanted if name not in touched))


def _step_first(groups: Sequence[Group], theta: Tensors, gradient: Tensors) -> None:
    """Turn theta_0 into theta_1, in place, but for what has no group or no gradient."""
    for group in groups:
        decay = group.weight_decay if group.decoupled else 0.0
        names = [name for name in group.parameters if name in gradient]
        for found, weights in _rows(names, gradient, theta):
            update = group.first(found, weights)
            if decay:
                torch._foreach_mul_(weights, 1.0 - group.lr * decay)
            torch._foreach_add_(weights, update, alpha=-group.lr)


def _rows(names: Sequence[str], *columns: Tensors) -> Iterator[list[list[Tensor]]]:
    """Some parameters' tensors out of several dictionaries, a piece at a time."""
    return pieces(*([column[name] for name in names] for column in columns))


def _against_the_update(groups: Sequence[Group], theta: Tensors, gradient: Tensors, g_v: Tensors) -> None:
    """Turn g_v into -lr * phi'(d) * g_v, in place; what the step does not move goes."""
    moved = {name for group in groups for name in group.parameters} & gradient.keys()
    for name in g_v.keys() - moved:
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
        settings: OptimizerSettings,
        wanted: Sequence[str],
        theta: Tensors,
        gradient: Tensors,
    ) -> None:
        self._theta, self._gradient = theta, gradient
        self.answer = dict.fromkeys(wanted, 0.0)
        # setting -> (coordinate, slope) of those that move it: each product is computed once a group
        self._moved: list[tuple[Group, dict[str, list[tuple[str, float]]]]] = []
        for index, group in enumerate(settings.groups):
            by_setting: dict[str, list[tuple[str, float]]] = {}
            for name in wanted:
                for setting, slope in settings.slope(name, index).items():
                    if slope:
                        by_setting.setdefault(setting, []).append((name, slope))
            self._moved.append((group, by_setting))

    def add(self, g_v: Tensors) -> None:
        """Those of some of the parameters."""
        for group, by_setting in self._moved:
            names = [name for name in group.parameters if name in g_v and name in self._gradient]
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
