"""Masks: which dimensions a strategy may move, by their names or by what they do in the optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from asha_core.errors import SettingError, TaskError, nearest
from asha_core.space import Configuration, SearchSpace
from warmstart.base import Losses
from warmstart.moves import movable

if TYPE_CHECKING:  # it loads torch
    from warmstart.estimates.dependence import OptimizerSettings

# of all optimisers that hyper-gradients look through; a copy, so that a mask is checked without torch
OPTIMISER_SETTINGS = ("lr", "momentum", "dampening", "weight_decay", "beta1", "beta2", "eps")


def read_mask(mask: Any) -> tuple[str, ...]:
    """A mask as names: from "lr,momentum", or from several names.

    Raises:
        SettingError: it names nothing.
    """
    names = mask.split(",") if isinstance(mask, str) else mask
    if (
        isinstance(names, Sequence | set | frozenset)
        and names
        and all(isinstance(name, str) and name.strip() for name in names)
    ):
        return tuple(name.strip() for name in names)
    raise SettingError(
        f"mask is {mask!r}: it must name dimensions, or settings of the optimiser, such as "
        '"lr" or ["lr", "momentum"]'
    )


def optimizer_settings_of(
    losses: Losses, space: SearchSpace, configuration: Configuration
) -> OptimizerSettings | None:
    """What all real dimensions do in the optimiser; None: there is no network, or no looking through it."""
    if losses.network is None:
        return None
    from warmstart.estimates.dependence import optimizer_settings

    try:
        names = list(movable(space, configuration))
        with losses.network.undisturbed():
            return optimizer_settings(losses.network.groups, space, configuration, names)
    except TaskError:  # which an estimate raises again, if it needs them
        return None


def check_names(mask: Sequence[str], space: SearchSpace) -> None:
    """Raise ``SettingError`` for what is neither a dimension nor a setting of an optimiser."""
    for name in mask:
        if name not in space and name not in OPTIMISER_SETTINGS:
            raise SettingError(
                f"mask names {name!r}, which is neither a dimension nor a setting of an optimiser"
                f"{nearest(name, {*space, *OPTIMISER_SETTINGS})}"
            )


def masked(
    mask: Sequence[str] | None,
    space: SearchSpace,
    configuration: Configuration,
    settings: OptimizerSettings | None,
) -> list[str]:
    """The real dimensions that a mask lets a strategy move; None: all of them.

    Args:
        settings: what they do in the optimiser; None: nothing that is known.

    Raises:
        SettingError: the mask names what is neither a dimension nor a setting of an optimiser.
    """
    names = list(movable(space, configuration))
    if mask is None:
        return names
    check_names(mask, space)
    wanted = set(mask)
    return [name for name in names if name in wanted or (settings and settings.moved_by(name) & wanted)]


def no_match(mask: Sequence[str] | None, space: SearchSpace, configuration: Configuration) -> dict[str, Any]:
    """What the diagnostics say where there is nothing to move."""
    if mask is None or not movable(space, configuration):
        return {"note": "nothing to move: the configuration has no real dimension"}
    found: dict[str, Any] = {"note": f"nothing to move: the mask {','.join(mask)} matches no real dimension"}
    if not set(mask) & set(space):  # else the dimension is there in other configurations, or is discrete
        found["unmatched"] = list(mask)
    return found
