"""Time enters through a Clock, so that tests and simulators can bring their own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the search began."""

    def now(self) -> float:
        """Seconds since the search began; never decreases."""
        ...


class WallClock:
    """Real time, monotonic, from its own creation."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def now(self) -> float:
        """Seconds since this clock was made."""
        return time.monotonic() - self._start
