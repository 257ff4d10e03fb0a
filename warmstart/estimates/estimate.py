"""One hyper-gradient, by whichever route can give it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from asha_core.errors import SettingError
from asha_core.space import Configuration, SearchSpace
from warmstart.base import Batch, Losses
from warmstart.estimates.types import CannotLookThrough, Estimate, Route

if TYPE_CHECKING:
    from warmstart.estimates.dependence import OptimizerSettings


def estimate(
    losses: Losses,
    space: SearchSpace,
    configuration: Configuration,
    train: Sequence[Batch],
    heldout: Batch,
    *,
    route: Route = "auto",
    only: Sequence[str] | None = None,
    settings: OptimizerSettings | None = None,
) -> Estimate:
    """The derivative of the held-out loss after H = len(train) virtual steps, by coordinate.

    Args:
        train: one batch a step, H at least 1.
        heldout: other samples.
        route: "auto": closed form for H = 1 and tangents for more; finite differences on the configuration
            where there is no network, or where it cannot be differentiated (another optimiser than those that
            are looked through; a layer without a double backward at H > 1, say). "first-order": as "auto",
            without Hessian-vector products, which is no derivative any more for H > 1, and half as dear.
        only: names of the coordinates that are wanted; None: all that can be moved.
        settings: of the optimiser under this configuration, where they are known already.
    Raises:
        TaskError: the optimiser is not one that can be looked through, and ``route`` asks for that.
        SettingError: a route that needs a network, and there is none; or "closed" with H > 1.
    """
    from warmstart.estimates.differences import differences  # it loads numpy, and the others torch

    may_fall_back = route in ("auto", "first-order")
    if route == "differences" or (may_fall_back and losses.network is None):
        found = differences(losses, space, configuration, train, heldout, only=only)
        return found if route == "differences" else replace(found, fallback="nothing to differentiate")
    if losses.network is None:
        raise SettingError(f'route is {route!r}, and there is no network to differentiate: use "auto"')
    if route == "closed" and len(train) > 1:
        raise SettingError(f'route "closed" looks 1 step ahead, and lookahead is {len(train)}: use "auto"')
    try:
        return _differentiated(losses, space, configuration, train, heldout, route, only, settings)
    except (RuntimeError, CannotLookThrough) as error:
        import torch

        if isinstance(error, torch.OutOfMemoryError):
            raise
        why = (error.why if isinstance(error, CannotLookThrough) else str(error)).partition("\n")[0][:200]
        if may_fall_back:
            # were it a defect of the loss itself, differences would meet it again, and raise it
            found = differences(losses, space, configuration, train, heldout, only=only)
            return replace(found, fallback=why)
        if isinstance(error, CannotLookThrough):
            raise
        losses.after(configuration, train, heldout)  # which raises a defect of the loss itself
        raise CannotLookThrough(f"route {route!r} cannot be had ({why})") from error


def _differentiated(
    losses: Losses,
    space: SearchSpace,
    configuration: Configuration,
    train: Sequence[Batch],
    heldout: Batch,
    route: Route,
    only: Sequence[str] | None,
    settings: OptimizerSettings | None,
) -> Estimate:
    from warmstart.estimates.closed_form import one_step
    from warmstart.estimates.dependence import optimizer_settings, wanted_names
    from warmstart.estimates.modes import differentiable
    from warmstart.estimates.tangents import unrolled

    network = losses.network
    assert network is not None
    if settings is None:
        wanted = wanted_names(space, configuration, only)
        with network.undisturbed():
            settings = optimizer_settings(network.groups, space, configuration, wanted)
    closed = len(train) == 1 and route != "tangents"
    curvature = route != "first-order"
    with differentiable():
        if closed:
            return one_step(network, space, configuration, train[0], heldout, only=only, settings=settings)
        steps = network, space, configuration, train, heldout
        return unrolled(*steps, only=only, curvature=curvature, settings=settings)
