"""How much a search may spend."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass

from asha_core.errors import SettingError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def parse_duration(text: str | float, option: str = "budget") -> float:
    """Seconds from ``"3h"``, ``"90m"``, ``"1h30m"``, ``"600s"`` or a plain number of seconds.

    Raises:
        SettingError: not a duration, or not above zero.

    >>> parse_duration("1h30m")
    5400.0
    """
    seconds = math.nan
    compact = str(text).strip().lower().replace(" ", "")
    if _PART.sub("", compact) == "" and compact:
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(compact))
    else:
        with suppress(ValueError):
            seconds = float(compact)
    if not (math.isfinite(seconds) and seconds > 0):
        raise SettingError(f"{option} is {text!r}: give a time above zero such as 3h, 90m, 1h30m or 600s")
    return seconds


def format_duration(seconds: float) -> str:
    """A duration for people: ``"42s"``, ``"3m 05s"``, ``"2h 07m"``.

    >>> format_duration(3725)
    '1h 02m'
    """
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def counted(number: int, noun: str) -> str:
    """A number of things: ``"1 epoch"``, ``"2 epochs"``."""
    return f"{number} {noun}{'s' * (number != 1)}"


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits on time. None: no such limit.

    seconds: wall-clock, from the start of the search.
    gpu_seconds: device time *held*, as a cloud bills it: devices times wall-clock.
    devices: how many devices the search holds (on a CPU: worker processes).
    spent, gpu_spent: seconds and device seconds of earlier sessions of the same search.
    """

    seconds: float | None = None
    gpu_seconds: float | None = None
    devices: int = 1
    spent: float = 0.0
    gpu_spent: float = 0.0

    @property
    def deadline(self) -> float | None:
        """Seconds of wall-clock after which the search stops; None: never."""
        limits = [] if self.seconds is None else [self.seconds]
        if self.gpu_seconds is not None:
            limits.append(self.spent + (self.gpu_seconds - self.gpu_spent) / self.devices)
        return min(limits, default=None)

    def gpu_seconds_at(self, now: float) -> float:
        """Device seconds held by the time ``now``, all sessions together."""
        return self.gpu_spent + (now - self.spent) * self.devices
