"""What a scheduler tells a model of a trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one trial.

    Attributes:
        x: what was proposed, as numbers from 0 to 1.
        losses: after each unit up to the last, lower is better; NaN and infinities are as bad as can be.
        seconds: what the first ``timed`` units took; 0: nobody knows.
        timed: how many were trained: fewer than ``losses`` where it failed.
        extra: the units, ahead of the last, whose scores are points of their own.
    """

    x: Sequence[float]
    losses: Sequence[float]
    seconds: float = 0.0
    timed: int = 0
    extra: Sequence[int] = ()

    @property
    def points(self) -> int:
        """How many points of the model it makes."""
        return 1 + len(self.extra)
