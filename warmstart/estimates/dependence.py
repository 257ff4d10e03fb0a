"""What depends on which coordinate.

A coordinate can act through the optimiser's settings, through the training loss (label smoothing), or
through what the network is given or is (augmentation, a dropout rate). Which of these it does is seen by
watching what each function reads of the configuration; what nothing reads has derivative exactly 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from asha_core.space import Configuration, SearchSpace
from asha_core.space.watched import Watched
from warmstart.estimates.stencils import SETTING_STEP, real_dimension, stencil
from warmstart.estimates.types import CannotLookThrough
from warmstart.moves import movable
from warmstart.optimizers import SGD, SUPPORTED, Group, Opaque


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """The optimiser under a configuration, and how coordinates act through it.

    Attributes:
        found: its parameter groups.
        slopes: coordinate -> (setting -> slope) of each group; only coordinates that move one.
    """

    found: Sequence[Group | Opaque]
    slopes: Mapping[str, list[dict[str, float]]]

    @property
    def groups(self) -> list[Group]:
        """Its parameter groups, whose steps are known.

        Raises:
            CannotLookThrough: they are not.
        """
        known = [group for group in self.found if not isinstance(group, Opaque)]
        opaque = next((group.kind for group in self.found if isinstance(group, Opaque)), None)
        if opaque is not None:
            raise CannotLookThrough(
                f"hyper-gradients look through {SUPPORTED}, and optimizer() gave {opaque}",
                "use one of those, or the route of finite differences (route=differences), which works with "
                "any optimiser",
            )
        return known

    def slope(self, coordinate: str, group: int) -> Mapping[str, float]:
        """Setting -> derivative by the coordinate, in one group."""
        rows = self.slopes.get(coordinate)
        return rows[group] if rows is not None else {}

    def moved_by(self, coordinate: str) -> set[str]:
        """The settings that a coordinate moves."""
        return {setting for row in self.slopes.get(coordinate, []) for setting, by in row.items() if by}

    def acts_late(self, coordinate: str) -> bool:
        """Whether a coordinate moves settings that act from the second step on, and no others."""
        late = {setting for group in self.found for setting in group.late}
        return bool(moved := self.moved_by(coordinate)) and moved <= late


def optimizer_settings(
    groups_at: Callable[[Configuration], Sequence[Group | Opaque]],
    space: SearchSpace,
    configuration: Configuration,
    wanted: Sequence[str],
) -> OptimizerSettings:
    """The optimiser's settings, and how they depend on each wanted coordinate.

    By central differences on plain numbers, so any mapping (lr = lr0 * batch/256, say) is right.

    Raises:
        CannotLookThrough: the groups come and go along a coordinate.
    """
    watched = Watched(configuration)
    here = groups_at(watched)
    slopes: dict[str, list[dict[str, float]]] = {}
    begins = [False] * len(here)
    for name in wanted:
        if name not in watched.reads:
            continue
        _, points = stencil(real_dimension(space, name), configuration, name, SETTING_STEP)
        rows = [dict.fromkeys(group.SETTINGS, 0.0) for group in here]
        for weight, there in points:
            beside = groups_at(there)
            if [type(group) for group in beside] != [type(group) for group in here]:
                raise CannotLookThrough(
                    f"a little beside this value of {name}, the optimiser has other parameter groups, or is "
                    "of another kind",
                    "make the same groups for every value, or use the route of finite differences "
                    "(route=differences)",
                )
            for index, (row, group, other) in enumerate(zip(rows, here, beside, strict=True)):
                begins[index] |= _nesterov_begins(group, other)
                for setting in row:  # a difference, so that what does not move is exactly 0
                    row[setting] += weight * (getattr(other, setting) - getattr(group, setting))
        if any(any(row.values()) for row in rows):
            slopes[name] = rows
    groups = [
        replace(group, nesterov=True) if begin and isinstance(group, SGD) else group
        for group, begin in zip(here, begins, strict=True)
    ]
    return OptimizerSettings(groups, slopes)


def _nesterov_begins(group: Group | Opaque, other: Group | Opaque) -> bool:
    """Whether momentum is 0 here, and Nesterov's beside it, as with ``SGD(..., nesterov=momentum > 0)``.

    At 0 both kinds are the same step, but the slope of what lies beside it is that of Nesterov's.
    """
    return isinstance(group, SGD) and isinstance(other, SGD) and group.momentum == 0.0 and other.nesterov


def wanted_names(space: SearchSpace, configuration: Configuration, only: Sequence[str] | None) -> list[str]:
    """The movable dimensions, or those of them that a mask names."""
    names = list(movable(space, configuration))
    return names if only is None else [name for name in names if name in only]
