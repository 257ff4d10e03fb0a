"""The reference: hyper-gradients by differentiating the optimiser's steps themselves, back to front.

It needs a training loss and an augmentation that take 0-d tensors in the place of numbers, layers with a
double backward, and the memory of all the steps at once. Nothing is left to formulas but the step itself, so
it is what the cheaper routes are checked against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from asha_core.errors import TaskError
from asha_core.space import Configuration, SearchSpace
from warmstart.base import Batch, Network
from warmstart.estimates.dependence import (
    LOSS_STEP,
    Dependence,
    Watched,
    real_dimension,
    settings_slopes,
    stencil,
    wanted_names,
)
from warmstart.estimates.estimate import Estimate
from warmstart.estimates.optimizers import Group, State
from warmstart.estimates.passes import gradients, leaves_of


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
    Raises:
        TaskError: a coordinate acts on the loss, and the loss cannot be differentiated by it.
    Source: Maclaurin et al. 2015, arXiv:1502.03492; Franceschi et al. 2017, arXiv:1703.01785, section 3.1.
    """
    wanted = wanted_names(space, configuration, only)
    plain_groups, dependence = settings_slopes(network.groups, space, configuration, wanted)
    start = leaves_of(network.parameters)
    # apart, so that what a loss reads and does not follow is found out
    in_settings, in_losses = (
        _coordinates(space, configuration, wanted),
        _coordinates(space, configuration, wanted),
    )
    groups = [_group(group, dependence, index, in_settings) for index, group in enumerate(plain_groups)]
    native = Watched(_native(space, configuration, in_losses))
    theta: dict[str, Tensor] = dict(start)
    state: dict[str, State] = {}
    for t, batch in enumerate(train, start=1):
        loss = _training_loss(network, theta, batch, native)
        gradient = gradients(loss, theta, retain_graph=True, create_graph=True)
        theta = dict(theta)
        for group in groups:
            for name in group.parameters:
                theta[name], state[name] = group.step(gradient[name], theta[name], state.get(name, ()), t)
    final = network.heldout_loss(theta, heldout)
    answer: dict[str, float] = {}
    if wanted:
        leaves = [*in_settings.values(), *in_losses.values()]
        slopes = torch.autograd.grad(final, leaves, allow_unused=True)
        for name, own, other in zip(wanted, slopes[: len(wanted)], slopes[len(wanted) :], strict=True):
            # a loss may read a number and do nothing with it: then there is nothing to follow
            if (
                other is None
                and name in native.reads
                and _acts(network, space, configuration, name, train[0])
            ):
                raise TaskError(
                    f'route "reverse" cannot follow {name}: the loss, the augmentation or the model makes it '
                    'a plain number on the way; compute with it as with a tensor, or use route "auto"'
                )
            answer[name] = sum(slope.item() for slope in (own, other) if slope is not None)
    ignored = tuple(n for n in wanted if n not in native.reads and n not in dependence.settings)
    return Estimate(answer, final.item(), "reverse", ignored)


def _training_loss(network: Network, theta: dict[str, Tensor], batch: Batch, config: Configuration) -> Tensor:
    try:
        return network.training_loss(theta, batch, config)
    except TypeError as error:
        if "Tensor" not in str(error):
            raise
        raise TaskError(
            f'{error}: route "reverse" gives the loss, the augmentation and the model 0-d tensors for the '
            'configuration\'s numbers; compute with them as with tensors, or use route "auto"'
        ) from error


@torch.no_grad()
def _acts(
    network: Network, space: SearchSpace, configuration: Configuration, name: str, batch: Batch
) -> bool:
    """Whether the training loss is another one a little beside the configuration."""
    _, points = stencil(real_dimension(space, name), configuration, name, LOSS_STEP)
    losses = {
        network.training_loss(network.parameters, batch, config).item()
        for config in (configuration, *(there for _, there in points))
    }
    return len(losses) > 1


def _coordinates(space: SearchSpace, configuration: Configuration, names: Sequence[str]) -> dict[str, Tensor]:
    """The search coordinates as leaves of a graph."""
    return {
        name: torch.tensor(
            real_dimension(space, name).to_search(configuration[name]),
            dtype=torch.float64,
            requires_grad=True,
        )
        for name in names
    }


def _native(space: SearchSpace, configuration: Configuration, psi: dict[str, Tensor]) -> Configuration:
    """The configuration with tensors of psi in the place of numbers."""
    values: dict[str, Any] = dict(configuration)
    for name, coordinate in psi.items():
        values[name] = 10.0**coordinate if real_dimension(space, name).log else coordinate
    return Configuration(tuple(values), tuple(values.values()))


def _group(group: Group, dependence: Dependence, index: int, psi: dict[str, Tensor]) -> Group:
    """The group with settings that depend on psi; to first order, which is all that a derivative needs."""
    settings: dict[str, Any] = {}
    for name, coordinate in psi.items():
        for setting, slope in dependence.slope(name, index).items():
            if slope:
                before = settings.get(setting, getattr(group, setting))
                settings[setting] = before + slope * (coordinate - coordinate.detach())
    return replace(group, **settings)
