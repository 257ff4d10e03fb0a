"""Time enters through a Clock, so that tests and simulators can bring their own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the search began."""

    def now(self) -> float:
        """Seconds since the search began; never decreases."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        ...


class WallClock:
    """Real time, monotonic.

    Args:
        spent: what it shows when it is made: seconds that earlier sessions of the search spent.
    """

    def __init__(self, spent: float = 0.0) -> None:
        self._start = time.monotonic() - spent

    def now(self) -> float:
        """Seconds that the search has taken, all sessions together."""
        return time.monotonic() - self._start

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while."""
        time.sleep(seconds)


class VirtualClock:
    """Time that passes only where somebody moves it on: a simulated search's.

    Args:
        spent: what it shows when it is made: seconds that earlier sessions of the search spent.
    """

    def __init__(self, spent: float = 0.0) -> None:
        self._now = spent

    def now(self) -> float:
        """Seconds that the search has taken, all sessions together."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Move on by so many seconds, which takes no time."""
        self._now += seconds

    def move_to(self, time: float) -> None:
        """Move on to ``time``; a time that has passed changes nothing."""
        self._now = max(self._now, time)
