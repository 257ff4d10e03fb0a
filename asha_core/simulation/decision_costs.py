"""What a scheduler's own decisions cost in virtual time: nothing, so many seconds, or what they take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from asha_core.arguments import number
from asha_core.messages import Event, Job, Verdict
from asha_core.runtime.clock import VirtualClock
from asha_core.schedulers.base import Scheduler

T = TypeVar("T")
Decisions = float | Literal["measured"]


class TimedDecisions:
    """A scheduler's decisions, timed: a number of seconds for each job, or what they really took."""

    def __init__(self, scheduler: Scheduler, seconds: Decisions) -> None:
        self._scheduler = scheduler
        self._fixed = None if seconds == "measured" else number("decision_seconds", seconds, least=0.0)
        self._taken = 0.0

    def taken(self) -> float:
        """Seconds since it was last asked."""
        taken, self._taken = self._taken, 0.0
        return taken

    def ask(self) -> Job | None:
        """As the scheduler's."""
        if self._fixed is None:
            return self._measured(self._scheduler.ask)
        job = self._scheduler.ask()
        self._taken += 0.0 if job is None else self._fixed
        return job

    def tell(self, event: Event) -> Verdict:
        """As the scheduler's; it takes nothing where each job takes a number of seconds."""
        if self._fixed is None:
            return self._measured(lambda: self._scheduler.tell(event))
        return self._scheduler.tell(event)

    def _measured(self, call: Callable[[], T]) -> T:
        began = time.perf_counter()
        answer = call()
        self._taken += time.perf_counter() - began
        return answer


class SlowDecisions:
    """A scheduler in whose decisions virtual time passes; in all else the scheduler itself."""

    def __init__(self, scheduler: Scheduler, seconds: Decisions, clock: VirtualClock) -> None:
        self._scheduler = scheduler
        self._timed = TimedDecisions(scheduler, seconds)
        self._clock = clock

    def ask(self) -> Job | None:
        """As the scheduler's."""
        job = self._timed.ask()
        self._clock.sleep(self._timed.taken())
        return job

    def tell(self, event: Event) -> Verdict:
        """As the scheduler's."""
        verdict = self._timed.tell(event)
        self._clock.sleep(self._timed.taken())
        return verdict

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheduler, name)
