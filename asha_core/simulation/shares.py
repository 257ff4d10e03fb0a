"""Targets as shares: what so many of an arm's recorded configurations reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asha_core.arguments import number, one_of
from asha_core.errors import SettingError
from asha_core.simulation.curves import Curves


def best_values(curves: Curves, arm: str) -> NDArray[np.float64]:
    """The best value of each configuration in any unit, (N,); the worst there is where it has none."""
    sign = 1.0 if curves.mode == "max" else -1.0
    value = sign * curves.value[curves.arms.index(one_of("arm", arm, curves.arms))]
    return np.asarray(sign * np.where(np.isfinite(value), value, -np.inf).max(axis=1), dtype=np.float64)


def target_of_share(curves: Curves, arm: str, share: float) -> float:
    """The hardest target that at least this share of an arm's configurations reach in some unit.

    Of N configurations the round(share N)-th best decides, and the best if that is none. Where values come in
    steps, more than this share may reach it.

    Raises:
        SettingError: there is no such arm, a share outside (0, 1], or fewer than so many have any value.
    """
    part = number("share", share, above=0, most=1)
    best = np.sort(best_values(curves, arm))
    ordered = best[::-1] if curves.mode == "max" else best
    found = float(ordered[max(round(part * len(ordered)), 1) - 1])
    if not np.isfinite(found):
        raise SettingError(f"share is {share:g}: so many configurations of {arm} never have a finite value")
    return found
