"""Who runs where: slots, their jobs, and the devices that one job has for itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

from asha_core.messages import Event, Job, Lost, Report, closes
from asha_core.runtime.observers import SlotView
from asha_core.runtime.pace import Pace


class Slots:
    """The slots of a search. Owned by the loop; observers see the ``SlotView`` of each.

    A job that wants its device alone gets its slot at once, so that no other job gets there, and waits
    there until those on the device are done.

    Args:
        devices: each slot's.
        always_ready: a worker that was lost is replaced in no time.
    """

    def __init__(self, devices: Sequence[str], *, always_ready: bool = False) -> None:
        self.views = [SlotView(index, device, ready=always_ready) for index, device in enumerate(devices)]
        self._always_ready = always_ready
        self.waiting: set[int] = set()  # slots whose job is not submitted yet
        self._slot_of: dict[int, int] = {}  # trial -> slot
        self._alone: dict[str, int] = {}  # device -> slot of the job that has it for itself

    @property
    def busy(self) -> bool:
        """Whether any slot has a job."""
        return bool(self._slot_of)

    def slot_of(self, trial: int) -> int | None:
        """Where a trial runs or waits to; None if nowhere."""
        return self._slot_of.get(trial)

    def job(self, slot: int) -> Job:
        """The job in an occupied slot."""
        job = self.views[slot].job
        assert job is not None
        return job

    def jobs(self) -> list[Job]:
        """All jobs that have a slot."""
        return [self.job(slot) for slot in self._slot_of.values()]

    def takes_jobs(self, slot: int) -> bool:
        """Whether a free slot may be given a job: no other has its device for itself."""
        return self.views[slot].device not in self._alone

    def assign(self, job: Job, slot: int) -> None:
        """Give a job its slot."""
        view = self.views[slot]
        view.job, view.resource = job, job.start
        self._slot_of[job.trial] = slot
        if job.alone:
            self._alone[view.device] = slot
        self.waiting.add(slot)

    def may_run(self, slot: int) -> bool:
        """Whether the job that waits in ``slot`` need not wait any longer."""
        device, job = self.views[slot].device, self.job(slot)
        if not job.alone:
            return True
        return all(view.job is None for view in self.views if view.device == device and view.index != slot)

    def on_event(self, slot: int, event: Event, now: float) -> bool:
        """Take in an event of the trial in ``slot``; True if it closed its job."""
        view = self.views[slot]
        if type(event) is Report:
            view.resource, view.value, view.unit_seconds = event.resource, event.value, event.seconds
            view.pace.on_unit(now, event.seconds)
            job = view.job  # as ``closes`` has it
            if job is None or event.resource < job.until or event.attempt != job.attempt:
                return False
        elif isinstance(event, Lost) and event.counts:
            view.ready, view.unit_seconds = self._always_ready, math.nan  # its worker is being replaced
            view.pace = Pace()
        if view.job is None or not closes(event, view.job):
            return False
        del self._slot_of[event.trial]
        view.job = None
        self.waiting.discard(slot)
        if self._alone.get(view.device) == slot:
            del self._alone[view.device]
        return True
