"""How much a search may spend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Measure = Literal["seconds", "gpu_hours", "units"]
MEASURES: tuple[Measure, ...] = get_args(Measure)  # of what a search spends


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits on time. None: no such limit."""

    seconds: float | None = None  # of wall-clock, from the start of the search
    gpu_seconds: float | None = None  # of devices *held*, as a cloud bills them: devices times wall-clock
    devices: int = 1  # how many the search holds (on a CPU: worker processes)
    spent: float = 0.0  # seconds that earlier sessions of the same search took
    gpu_spent: float = 0.0  # device seconds that they held

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
