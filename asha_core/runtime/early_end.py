"""A search that ends before its trials and its budget do: its best is good enough, or gets no better."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from asha_core.arguments import plain, shown
from asha_core.errors import SettingError
from asha_core.messages import Finished, Job, Report
from asha_core.runtime.executor import ExecutorEvent
from asha_core.runtime.observers import Leaderboard, Observer, SearchView
from asha_core.runtime.units import counted, format_duration, parse_duration
from asha_core.schedulers.state import improves

_DIGITS = 18  # beyond all searches


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a search goes on without a better best. One of the two is set."""

    results: int | None = None  # each time that a trial completes a rung is one
    seconds: float | None = None  # of the search's wall-clock

    @classmethod
    def read(cls, value: Any, name: str = "patience") -> Patience:
        """From 50, which are results, or "30m", which is a time.

        Raises:
            SettingError: neither.
        """
        if isinstance(value, Patience):
            return value
        given = plain(value)
        if isinstance(given, str):
            given = int(given) if given.isdecimal() and len(given) < _DIGITS else given.strip()
        if isinstance(given, int) and not isinstance(given, bool) and 1 <= given < 10**_DIGITS:
            return cls(results=given)
        if isinstance(given, str) and given[-1:].isalpha():  # a number alone could be of seconds
            with suppress(SettingError):
                return cls(seconds=parse_duration(given, name))
        raise SettingError(
            f"{name} is {shown(value)}: give a number of results such as 50 (each time a trial completes a "
            "rung is one), or a time such as 30m or 2h"
        )

    def __str__(self) -> str:
        return counted(self.results, "result") if self.results else format_duration(self.seconds or 0.0)


class EarlyEnd(Observer):
    """Knows whether the search may end. A search that is resumed knows it from its journal, exactly.

    Args:
        leaderboard: is called before this one.
        stop_at: a value that is good enough; None: none is.
        patience: None: without end.
    """

    replays: ClassVar[bool] = True

    def __init__(
        self, leaderboard: Leaderboard, stop_at: float | None = None, patience: Patience | None = None
    ) -> None:
        self._leaderboard = leaderboard
        self._stop_at = stop_at
        self._patience = patience or Patience()
        self._endless = stop_at is None and patience in (None, Patience())
        self._best = math.nan
        self._since = 0.0  # when the best was found
        self._results = 0  # since then
        self._until: dict[int, int] = {}  # trial -> where its job ends

    def on_job(self, view: SearchView, job: Job, slot: int) -> None:
        """Remember where it ends."""
        if not self._endless:
            self._until[job.trial] = job.until

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        """Count what came since the best."""
        if self._endless or not isinstance(event, (Report, Finished)):
            return
        until = self._until.get(event.trial, math.inf)
        result = event.resource >= until if type(event) is Report else until < math.inf
        if result:
            del self._until[event.trial]  # what comes again is none
        standing = self._leaderboard.standings.get(event.trial)
        if standing is not None and improves(standing.value, self._best, self._leaderboard.mode):
            self._best, self._since, self._results = standing.value, view.now, 0
        else:
            self._results += result

    def reason(self, now: float) -> str | None:
        """Why the search may end now, as ``Outcome.reason`` has it; None: it may not."""
        if math.isnan(self._best) or self._endless:
            return None
        if self._stop_at is not None and (
            self._best == self._stop_at or improves(self._best, self._stop_at, self._leaderboard.mode)
        ):
            return "stop_at"
        results = self._patience.results
        if results is not None and self._results >= results:
            return "patience"
        return "patience" if now >= self.due() else None

    def due(self) -> float:
        """When patience ends if nothing is heard until then; infinite: never."""
        seconds = self._patience.seconds
        return math.inf if seconds is None or math.isnan(self._best) else self._since + seconds
