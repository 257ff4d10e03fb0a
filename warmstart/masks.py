"""Masks: which dimensions a strategy may move, by their names or by what they do in the optimiser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asha_core.errors import SettingError, TaskError, nearest
from asha_core.space import Configuration, SearchSpace
from warmstart.base import Losses, movable

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


@dataclass(frozen=True, slots=True)
class Roles:
    """What dimensions do in the optimiser.

    moves: dimension -> the settings that it moves. late: the settings that the first step does not use.
    Both are empty where there is no network, or where the optimiser cannot be looked through.
    """

    moves: Mapping[str, frozenset[str]] = field(default_factory=dict)
    late: frozenset[str] = frozenset()

    def late_alone(self, name: str) -> bool:
        """Whether a dimension acts from the second step on, and not before."""
        moves = self.moves.get(name, frozenset())
        return bool(moves) and moves <= self.late

    @classmethod
    def of(cls, losses: Losses, space: SearchSpace, configuration: Configuration) -> Roles:
        """Those of one configuration's real dimensions."""
        if losses.network is None:
            return cls()
        from warmstart.estimates.dependence import role_of, settings_slopes

        names = list(movable(space, configuration))
        try:
            groups, dependence = settings_slopes(losses.network.groups, space, configuration, names)
        except TaskError:  # an optimiser that cannot be looked through: said when it matters
            return cls()
        late = frozenset(setting for group in groups for setting in group.late)
        return cls({name: frozenset(role_of(dependence, name)) for name in names}, late)


def check_names(mask: Sequence[str], space: SearchSpace) -> None:
    """Raise ``SettingError`` for what is neither a dimension nor a setting of an optimiser."""
    for name in mask:
        if name not in space and name not in OPTIMISER_SETTINGS:
            raise SettingError(
                f"mask names {name!r}, which is neither a dimension nor a setting of an optimiser"
                f"{nearest(name, {*space, *OPTIMISER_SETTINGS})}"
            )


def masked(
    mask: Sequence[str] | None, space: SearchSpace, configuration: Configuration, roles: Roles
) -> list[str]:
    """The real dimensions that a mask lets a strategy move; None: all of them.

    Raises:
        SettingError: the mask names what is neither a dimension nor a setting of an optimiser.
    """
    names = list(movable(space, configuration))
    if mask is None:
        return names
    check_names(mask, space)
    wanted = set(mask)
    return [name for name in names if name in wanted or roles.moves.get(name, frozenset()) & wanted]


def no_match(mask: Sequence[str] | None, space: SearchSpace, configuration: Configuration) -> dict[str, Any]:
    """What the diagnostics say where there is nothing to move."""
    if mask is None or not movable(space, configuration):
        return {"note": "nothing to move: the configuration has no real dimension"}
    told: dict[str, Any] = {"note": f"nothing to move: the mask {','.join(mask)} matches no real dimension"}
    if not set(mask) & set(space):  # else the dimension is there in other configurations, or is discrete
        told["unmatched"] = list(mask)
    return told
