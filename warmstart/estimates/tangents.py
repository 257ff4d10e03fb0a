"""Hyper-gradients through several virtual steps, by forward tangents; formulas: the package's docstring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch

from asha_core.space import Configuration, SearchSpace
from warmstart.base import Batch, Network, Running
from warmstart.estimates.clipping import limit_of
from warmstart.estimates.dependence import OptimizerSettings, optimizer_settings, wanted_names
from warmstart.estimates.passes import (
    Pass,
    Tensors,
    attention,
    gradients,
    gradients_along,
    heldout_pass,
    loss_slope,
    measured,
    training_pass,
)
from warmstart.estimates.stencils import LOSS_STEP
from warmstart.estimates.streaming import dot
from warmstart.estimates.types import CannotLookThrough, Estimate
from warmstart.optimizers import State


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
    settings: OptimizerSettings | None = None,
) -> Estimate:
    """The hyper-gradient through H = len(train) virtual steps, by forward tangents.

    Arguments that are not listed are as for ``one_step``.

    Args:
        train: one training batch a step.
        heldout: other samples.
        curvature: False takes each step's gradient and decay as if the coordinate had not moved the weights
            before: no Hessian-vector products. What is left is exact for H = 1, and says beyond that whether
            the way that was gone is still downhill where it ends. Where the rate alone is wanted, that way is
            theta_H - theta_0, and no tangent is carried.
        settings: of the optimiser under this configuration, where they are known already.
    Returns:
        The derivative of the held-out loss after the last step, by coordinate. From H = 2 on,
        heavy-ball momentum and Adam's betas have one too.
    """
    wanted = wanted_names(space, configuration, only)
    settings = settings or optimizer_settings(network.groups, space, configuration, wanted)
    given = space, configuration, train, heldout, wanted, loss_step, curvature, settings
    return measured(
        network,
        settings,
        wanted,
        lambda running, marks: _unrolled(network, running, *given, marks=marks),
    )


def _unrolled(
    network: Network,
    running: Running,
    space: SearchSpace,
    configuration: Configuration,
    train: Sequence[Batch],
    heldout: Batch,
    wanted: Sequence[str],
    loss_step: float,
    curvature: bool,
    settings: OptimizerSettings,
    *,
    marks: bool,
) -> Estimate:
    tangents = [_Tangent(name) for name in wanted]
    theta: Tensors = {name: value.detach() for name, value in network.parameters.items()}
    start = dict(theta)
    state: dict[str, State] = {}
    taken: Counter[str] = Counter()  # steps, by parameter: one without a gradient is skipped
    limit = limit_of(network, space, configuration, wanted, settings.groups)
    touched = {*settings.slopes, *limit.slopes}
    rate_alone = not curvature and not limit.slopes and _through_rates(settings, wanted, theta)
    for t, batch in enumerate(train, start=1):
        # Z is 0 before the first step, and so is its product with the Hessian
        twice = t > 1 and curvature
        running.put(theta)
        here = training_pass(network, running, batch, configuration, wanted, marks=marks, twice=twice)
        repeated = here.through_loss or here.through_inputs
        after = running.mark() if repeated else None
        touched |= {*here.through_loss, *here.through_inputs}
        if rate_alone and repeated:
            if t > 1:
                raise CannotLookThrough("what the loss reads of the configuration differs from step to step")
            rate_alone = False
        plain = {name: value.detach() for name, value in here.gradient.items()}
        clipped = limit.applied(plain)
        taken.update(plain.keys())
        for tangent in [] if rate_alone else tangents:
            samples = here, batch, plain, loss_step
            moving = _gradient_tangent(network, running, space, configuration, tangent, *samples)
            with torch.no_grad():
                moving = _sum(clipped.through(moving), clipped.by_limit(tangent.name))
                _advance(
                    tangent, settings, moving, clipped.gradient, theta, state, taken, curvature=curvature
                )
        if repeated:
            running.rewind(after)
        with torch.no_grad():
            for group in settings.groups:
                for name in group.parameters:
                    if name in plain:
                        theta[name], state[name] = group.step(
                            clipped.gradient[name], theta[name], state.get(name, ()), taken[name]
                        )
        del here
    running.put(theta)
    loss, leaves = heldout_pass(network, running, heldout)
    g_v = gradients(loss, leaves)
    if rate_alone:
        answer = _by_displacement(settings, wanted, start, theta, g_v)
    else:
        answer = {}
        for tangent in tangents:
            both = tangent.z.keys() & g_v.keys()
            answer[tangent.name] = dot([g_v[name] for name in both], [tangent.z[name] for name in both])
    ignored = tuple(name for name in wanted if name not in touched)
    return Estimate(answer, loss.item(), "tangents" if curvature else "first-order", ignored)


def _sum(left: Tensors, right: Tensors) -> Tensors:
    return {**left, **{name: left[name] + value if name in left else value for name, value in right.items()}}


def _through_rates(settings: OptimizerSettings, wanted: Sequence[str], theta: Tensors) -> bool:
    """Whether the wanted coordinates move learning rates and no other setting, by steps that rounding leaves.

    Weights of low precision swallow a step of a small rate, and with it what was to be read off it.
    """
    moved = {setting for name in wanted for setting in settings.moved_by(name)}
    return moved <= {"lr"} and all(
        group.lr > 100 * torch.finfo(theta[name].dtype).eps
        for group in settings.groups
        for name in group.parameters
    )


def _by_displacement(
    settings: OptimizerSettings,
    wanted: Sequence[str],
    start: Tensors,
    theta: Tensors,
    g_v: Tensors,
) -> dict[str, float]:
    """dtheta_H/dlr is (theta_H - theta_0)/lr where every step is a rate times what does not depend on it."""
    answer = dict.fromkeys(wanted, 0.0)
    for index, group in enumerate(settings.groups):
        slopes = {name: settings.slope(name, index).get("lr", 0.0) for name in wanted}
        names = [name for name in group.parameters if name in g_v] if any(slopes.values()) else []
        # a tensor at a time, so that no further copy of all weights is made
        parts = [(g_v[n] * (theta[n] - start[n])).sum(dtype=torch.float64) for n in names]
        along = torch.stack(parts).sum().item() if parts else 0.0
        for name, slope in slopes.items():
            answer[name] += slope * along / group.lr
    return answer


def _gradient_tangent(
    network: Network,
    running: Running,
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
    curved = [(here.gradient[name] * z).sum() for name, z in tangent.z.items() if name in here.gradient]
    if curved:
        inner = torch.stack(curved).sum()
        if inner.requires_grad:  # the loss may be linear in the weights
            with attention(here.twice):
                moving = gradients(inner, here.leaves, retain_graph=True)
    parts: list[tuple[float, Tensors]] = []
    if tangent.name in here.through_inputs:
        along = tangent.name, batch, here, plain, loss_step
        parts = list(gradients_along(network, running, space, configuration, *along))
    elif tangent.name in here.through_loss:
        slope = loss_slope(network, running, space, configuration, tangent.name, here, batch, loss_step)
        parts = [(1.0, gradients(slope, here.leaves, retain_graph=True))]
    for weight, found in parts:
        for name, value in found.items():
            moving[name] = moving[name] + weight * value if name in moving else weight * value
    return moving


def _advance(
    tangent: _Tangent,
    settings: OptimizerSettings,
    moving: Tensors,
    gradient: Tensors,
    theta: Tensors,
    state: Mapping[str, State],
    taken: Mapping[str, int],
    *,
    curvature: bool,
) -> None:
    """One step of the tangent, of every parameter that the step moves; those of the others stay."""
    for index, group in enumerate(settings.groups):
        slope = settings.slope(tangent.name, index)
        for name in group.parameters:
            if name not in gradient:
                continue
            zero = torch.zeros_like(theta[name])
            before = tangent.z.get(name, zero)
            z, tangent.state[name] = group.tangent(
                gradient[name],
                theta[name],
                state.get(name, ()),
                taken[name],
                moving.get(name, zero),
                before if curvature else zero,
                tangent.state.get(name, ()),
                slope,
            )
            tangent.z[name] = z if curvature else before + z
