"""When a search first had a value as good as its target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from asha_core.launch.result import Reached
from asha_core.messages import Report
from asha_core.runtime.executor import ExecutorEvent
from asha_core.runtime.observers import Leaderboard, Observer, SearchView


class TargetWatch(Observer):
    """Notes what it took to reach the target.

    Args:
        leaderboard: is called before this one.
        held: of each session, the second at which it began and how many devices it held.
    """

    replays: ClassVar[bool] = True

    def __init__(self, target: float, leaderboard: Leaderboard, held: Sequence[tuple[float, int]]) -> None:
        self._target = target
        self._leaderboard = leaderboard
        self._held = held
        self.reached: Reached | None = None

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        """See whether this report is the first that is good enough."""
        if self.reached is not None or not isinstance(event, Report):
            return
        value = self._leaderboard.standings[event.trial].value  # NaN if the trial has none yet
        good = value >= self._target if self._leaderboard.mode == "max" else value <= self._target
        if good:
            hours = self._device_seconds(view.now) / 3600
            self.reached = Reached(view.now, hours, self._leaderboard.reports)

    def _device_seconds(self, t: float) -> float:
        ends = [*(start for start, _ in self._held[1:]), t]
        return sum(
            devices * max(min(end, t) - start, 0.0)
            for (start, devices), end in zip(self._held, ends, strict=True)
        )
