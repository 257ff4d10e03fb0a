"""The independent judge: hyper-gradients by differentiating the optimiser's steps themselves, back to front.

It needs a training loss and an augmentation that take 0-d tensors in the place of numbers, layers with a
double backward, and the memory of all the steps at once. Nothing is left to formulas but the step itself, so
it is what the package's routes are checked against.

Source: Maclaurin et al. 2015, arXiv:1502.03492; Franceschi et al. 2017, arXiv:1703.01785, section 3.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from asha_core.space import Configuration, SearchSpace
from asha_core.space.watched import Watched
from warmstart.base import Batch, Losses, Network
from warmstart.estimates.dependence import OptimizerSettings, optimizer_settings, wanted_names
from warmstart.estimates.estimate import estimate
from warmstart.estimates.modes import differentiable, twice_differentiable
from warmstart.estimates.passes import gradients
from warmstart.estimates.stencils import real_dimension
from warmstart.estimates.types import Estimate
from warmstart.optimizers import Group, State


def by_route(
    losses: Losses,
    space: SearchSpace,
    configuration: Configuration,
    train: Sequence[Batch],
    heldout: Batch,
    *,
    route: Any = "auto",
    only: Sequence[str] | None = None,
) -> Estimate:
    """``estimate``, with one more route: "reverse"."""
    if route != "reverse":
        return estimate(losses, space, configuration, train, heldout, route=route, only=only)
    assert losses.network is not None
    with differentiable(), twice_differentiable():
        return reversed_steps(losses.network, space, configuration, train, heldout, only=only)


def reversed_steps(
    network: Network,
    space: SearchSpace,
    configuration: Configuration,
    train: Sequence[Batch],
    heldout: Batch,
    *,
    only: Sequence[str] | None = None,
) -> Estimate:
    """The hyper-gradient through H = len(train) virtual steps, in reverse mode.

    Args and Returns: as ``tangents.unrolled``.
    """
    wanted = wanted_names(space, configuration, only)
    settings = optimizer_settings(network.groups, space, configuration, wanted)
    psi = {
        name: torch.tensor(
            real_dimension(space, name).to_search(configuration[name]),
            dtype=torch.float64,
            requires_grad=True,
        )
        for name in wanted
    }
    groups = [_group(group, settings, index, psi) for index, group in enumerate(settings.groups)]
    native = Watched(_native(space, configuration, psi))
    theta: dict[str, Tensor] = {n: p.detach().requires_grad_() for n, p in network.parameters.items()}
    state: dict[str, State] = {}
    taken: Counter[str] = Counter()
    for batch in train:
        loss = network.training_loss(theta, batch, native)
        gradient = gradients(loss, theta, retain_graph=True, create_graph=True)
        theta = dict(theta)
        taken.update(gradient.keys())
        for group in groups:
            for name in group.parameters:
                if name in gradient:
                    before = theta[name], state.get(name, ())
                    theta[name], state[name] = group.step(gradient[name], *before, taken[name])
    final = network.heldout_loss(theta, heldout)
    slopes = torch.autograd.grad(final, list(psi.values()), allow_unused=True) if wanted else ()
    answer = {
        name: 0.0 if slope is None else slope.item() for name, slope in zip(wanted, slopes, strict=True)
    }
    ignored = tuple(n for n in wanted if n not in native.reads and n not in settings.slopes)
    return Estimate(answer, final.item(), "reverse", ignored)


def _native(space: SearchSpace, configuration: Configuration, psi: dict[str, Tensor]) -> Configuration:
    """The configuration with tensors of psi in the place of numbers."""
    values: dict[str, Any] = dict(configuration)
    for name, coordinate in psi.items():
        values[name] = 10.0**coordinate if real_dimension(space, name).log else coordinate
    return Configuration(tuple(values), tuple(values.values()))


def _group(group: Group, optimizer: OptimizerSettings, index: int, psi: dict[str, Tensor]) -> Group:
    """The group with settings that depend on psi; to first order, which is all that a derivative needs."""
    settings: dict[str, Any] = {}
    for name, coordinate in psi.items():
        for setting, slope in optimizer.slope(name, index).items():
            if slope:
                before = settings.get(setting, getattr(group, setting))
                settings[setting] = before + slope * (coordinate - coordinate.detach())
    return replace(group, **settings)
