"""How long a trial may train, and how long it may be silent."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace

from asha_core.messages import Event, Failed, Job, Lost, Refined, Report
from asha_core.runtime.observers import SlotView
from asha_core.runtime.units import format_duration


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds; None: no such limit."""

    trial: float | None = None  # training of one trial in all its jobs; beyond it the trial fails
    progress: float | None = None  # time without a report of a unit; beyond it the worker is replaced


@dataclass(slots=True)
class _Watched:
    """The job in a slot."""

    began: float
    before: float  # what its trial had trained until then
    sign: float  # the last sign of progress


class TrialTimeouts:
    """Watches the running jobs' time. Fed by the loop, which ends what is overdue.

    A job's time begins when its worker is ready, not when it is handed out. Each call takes O(log slots).
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._none = limits.trial is None and limits.progress is None
        self._trained: defaultdict[int, float] = defaultdict(float)  # by trial, reported
        self._watched: dict[int, _Watched] = {}  # by slot
        # when the job of a slot may be overdue; a sign of progress that came since makes it later
        self._queue: list[tuple[float, int, int]] = []  # with the slot, and the number of the job
        self._numbers: dict[int, int] = {}  # by slot: of the job that is there now
        self._begun = 0

    def on_start(self, slot: int, job: Job, now: float) -> None:
        """A ready worker has a job."""
        if self._none:
            return
        watched = self._watched[slot] = _Watched(now, self._trained[job.trial], now)
        self._begun += 1
        self._numbers[slot] = self._begun
        heappush(self._queue, (min(self._ends(watched)), slot, self._begun))

    def on_event(self, slot: int | None, event: Event, now: float) -> None:
        """An event of the trial that runs in ``slot``; None: of an earlier session, or late."""
        if self._none or not isinstance(event, (Report, Refined)):
            return
        self._trained[event.trial] += round(event.seconds, 6)  # as the journal has it
        if slot is not None and slot in self._watched:
            self._watched[slot].sign = now

    def on_end(self, slot: int) -> None:
        """The slot's job is over, or is being ended."""
        if not self._none:
            self._watched.pop(slot, None)
            self._numbers.pop(slot, None)

    def next_due(self) -> float:
        """When somebody will be overdue, if nothing is heard until then; infinite: nobody."""
        queue = self._queue
        while queue:
            due, slot, number = queue[0]
            if self._numbers.get(slot) != number:
                heappop(queue)
                continue
            ends = min(self._ends(self._watched[slot]))
            if ends <= due:
                return due
            heapreplace(queue, (ends, slot, number))
        return math.inf

    def overdue(self, slots: Sequence[SlotView], now: float) -> list[tuple[int, Failed | Lost]]:
        """Slots whose job is to be ended, and the event that closes it."""
        late: list[tuple[int, Failed | Lost]] = []
        found = []
        while self.next_due() <= now:
            entry = heappop(self._queue)
            found.append(entry)
            job = slots[entry[1]].job
            if job is not None:
                late.append((entry[1], self._closing_event(job, self._watched[entry[1]], now)))
        for entry in found:
            heappush(self._queue, entry)
        return late

    def _ends(self, watched: _Watched) -> tuple[float, float]:
        """When it will have trained for too long, and when it will have been silent for too long."""
        trial, progress = self._limits.trial, self._limits.progress
        return (
            math.inf if trial is None else watched.began + (trial - watched.before),
            math.inf if progress is None else watched.sign + progress,
        )

    def _closing_event(self, job: Job, watched: _Watched, now: float) -> Failed | Lost:
        if self._ends(watched)[0] <= now:
            trained, limit = watched.before + now - watched.began, self._limits.trial or 0.0
            text = f"it trained for {format_duration(trained)}, and trial-timeout is {format_duration(limit)}"
            return Failed(job.trial, job.attempt, text, "timeout")
        silent, limit = now - watched.sign, self._limits.progress or 0.0
        text = (
            f"no unit was reported for {format_duration(silent)}, and no-progress-timeout is "
            f"{format_duration(limit)}"
        )
        return Lost(job.trial, job.attempt, text, "hung")
