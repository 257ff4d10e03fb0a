"""An axis of values that a few bad ones do not flatten."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

_SPREAD = 30  # of positive values: from here on the axis is logarithmic
_MARGIN = 0.04


class ValueAxis:
    """Limits of an axis of a metric: of most values, and of all good ones.

    A diverged trial has a loss of 1e12 where others have 0.1. What is worse than the worst tenth by three
    times the spread of the middle eighty per cent lies outside.

    Args:
        values: of any shape; what is not finite is left out.
        mode: "max" if larger values are better, or "min".
    Attributes:
        log: whether the axis is logarithmic.
        limits: None if there are no two different values.
        outside: how many values lie outside of them.
    """

    def __init__(self, values: ArrayLike, mode: str) -> None:
        found = np.asarray(values, dtype=np.float64)
        finite = found[np.isfinite(found)]
        self.log, self.outside = False, 0
        self.limits: tuple[float, float] | None = None
        if not len(finite):
            return
        low, high = float(finite.min()), float(finite.max())
        self.log = mode == "min" and low > 0 and high / low > _SPREAD
        inner = np.log10(finite) if self.log else finite
        first, last = np.quantile(inner, [0.1, 0.9])
        width = 3 * float(last - first)
        if width > 0 and mode == "max":
            low = max(low, float(first) - width)
        elif width > 0:
            edge = float(last) + width
            high = min(high, 10**edge if self.log else edge)
        if low < high:
            self.limits = low, high
            self.outside = int(((finite < low) | (finite > high)).sum())

    def set_on(self, axes: Axes) -> None:
        """The y axis with these limits and a margin."""
        if self.log:
            axes.set_yscale("log")
        if self.limits is None:
            return
        low, high = self.limits
        if self.log:
            margin = (high / low) ** _MARGIN
            axes.set_ylim(low / margin, high * margin)
        else:
            axes.set_ylim(low - _MARGIN * (high - low), high + _MARGIN * (high - low))
