"""How long a trial may train, and how long it may be silent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from asha_core.messages import Event, Failed, Job, Lost, Refined, Report
from asha_core.runtime.observers import SlotView
from asha_core.runtime.units import format_duration


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds; None: no such limit."""

    trial: float | None = None  # training of one trial in all its jobs; beyond it the trial fails
    progress: float | None = None  # time without a report of a unit; beyond it the worker is replaced


class TrialTimeouts:
    """Watches the running jobs' time. Fed by the loop, which ends what is overdue.

    A job's time begins when its worker is ready, not when it is handed out.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._trained: defaultdict[int, float] = defaultdict(float)  # by trial, reported
        self._began: dict[int, tuple[float, float]] = {}  # by slot: when the job began, and trained before
        self._sign: dict[int, float] = {}  # by slot: the last sign of progress

    def on_start(self, slot: int, job: Job, now: float) -> None:
        """A ready worker has a job."""
        self._began[slot] = now, self._trained[job.trial]
        self._sign[slot] = now

    def on_event(self, slot: int | None, event: Event, now: float) -> None:
        """An event of the trial that runs in ``slot``; None: of an earlier session, or late."""
        if isinstance(event, Report | Refined):
            self._trained[event.trial] += event.seconds
            if slot is not None:
                self._sign[slot] = now

    def on_end(self, slot: int) -> None:
        """The slot's job is over, or is being ended."""
        self._began.pop(slot, None)
        self._sign.pop(slot, None)

    def overdue(self, slots: Sequence[SlotView], now: float) -> list[tuple[int, Failed | Lost]]:
        """Slots whose job is to be ended, and the event that closes it."""
        if self._limits.trial is None and self._limits.progress is None:
            return []
        late: list[tuple[int, Failed | Lost]] = []
        for slot, (began, before) in self._began.items():
            job = slots[slot].job
            if job is not None:
                event = self._closing_event(job, before + now - began, now - self._sign[slot])
                if event is not None:
                    late.append((slot, event))
        return late

    def _closing_event(self, job: Job, trained: float, silent: float) -> Failed | Lost | None:
        trial, progress = self._limits.trial, self._limits.progress
        if trial is not None and trained > trial:
            text = f"it trained for {format_duration(trained)}, and trial-timeout is {format_duration(trial)}"
            return Failed(job.trial, job.attempt, text, "timeout")
        if progress is not None and silent > progress:
            text = (
                f"no unit was reported for {format_duration(silent)}, and no-progress-timeout is "
                f"{format_duration(progress)}"
            )
            return Lost(job.trial, job.attempt, text, "hung")
        return None
