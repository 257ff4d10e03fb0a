"""How fast a search trains, and so how long it will take: from units that ran, not from what came before.

A worker's first unit pays for what is done once: imports, compiling, filling caches. So a worker counts from
the end of its first unit on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_LONG_UNIT = 60.0  # seconds; beside a first unit of at least this, what is done once is little


@dataclass(slots=True)
class Pace:
    """One worker's.

    Attributes:
        units: that it has reported since its first one, whatever came between them.
        first, last: when it reported its first unit, and its last.
    """

    units: int = 0
    first: float = math.nan
    last: float = math.nan
    _long: float = 0.0  # seconds of its first unit, if that was a long one

    def on_unit(self, now: float, seconds: float) -> None:
        """A unit was reported that took so many seconds."""
        if math.isnan(self.first):
            self.first, self._long = now, seconds if seconds >= _LONG_UNIT else 0.0
        else:
            self.units += 1
        self.last = now

    @property
    def unit_seconds(self) -> float:
        """What a unit takes, with all that lies between two of them; NaN: not known yet."""
        if self.units:
            return (self.last - self.first) / self.units
        return self._long or math.nan


def seconds_left(paces: Sequence[Pace], units: float, now: float) -> float:
    """How long it takes to train so many units; infinite if nothing can be said yet.

    Args:
        paces: of the workers that have work or wait for some.
        units: still to come; those that are being trained now count whole.
    """
    known = [pace for pace in paces if pace.unit_seconds > 0]
    if not known:
        return math.inf
    begun = sum(min((now - pace.last) / pace.unit_seconds, 1.0) for pace in known)
    mean_rate = sum(1 / pace.unit_seconds for pace in known) / len(known)
    return max(units - begun, 0.0) / (mean_rate * len(paces))  # workers that start will be as fast
