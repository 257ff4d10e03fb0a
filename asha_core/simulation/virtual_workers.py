"""Workers that take no real time: what becomes of each job, and at which virtual moment."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from heapq import heappop, heappush, heapreplace

from asha_core.errors import JournalError, SettingError
from asha_core.messages import Event, Failed, Finished, Job, Lost, Refined, Rejected, Report
from asha_core.schedulers.base import Scheduler
from asha_core.simulation.curve import Curve, CurveSource, Finder
from asha_core.simulation.faults import LOST, Faults

_NOT_BEGUN = -1  # where a job is before the warm start has ended
_LOST = -2  # where one is whose worker will be lost before its next event


class _Running:
    """One slot's job."""

    __slots__ = ("curve", "end", "job", "lost", "place")

    def __init__(self, job: Job, curve: Curve, place: int, end: int, lost: float) -> None:
        self.job = job
        self.lost = lost  # when its worker is
        self.curve = curve
        self.place = place  # of the unit that it trains, in the curve's arrays
        self.end = end  # how many of the curve's units there are up to the job's last


class VirtualWorkers:
    """Slots that run jobs in virtual time, by recorded curves.

    Everything that happens at one moment is told before a free slot is given another job; what happens at one
    moment is told in the order in which it began.

    Args:
        count: slots.
        find: the curve of a job's trial.
        faults: what goes wrong on purpose; None: nothing.
    """

    def __init__(self, count: int, find: Finder, faults: Faults | None = None) -> None:
        self._find = find
        self._faults = faults
        self._slots: list[_Running | None] = [None] * count
        self._heap: list[tuple[float, int, int]] = []  # (when its next event is due, order, slot)
        self._order = 0
        self.free = list(range(count))  # in order
        self.unknown = 0  # trials whose curves were not recorded as far as they were to train

    def submit(self, job: Job, slot: int, now: float) -> None:
        """A free slot begins a job at ``now``."""
        self.free.remove(slot)
        curve, lost = self._find(job), math.inf
        if self._faults is not None:
            curve, lost = self._faults.applied(job, curve), now + self._faults.lost_after(job)
        units = curve.units
        place = bisect_right(units, job.start)
        running = _Running(job, curve, place, bisect_right(units, job.until), lost)
        self._slots[slot] = running
        due = now
        if job.refine and (curve.refined is not None or curve.ended == "rejected"):
            running.place = _NOT_BEGUN
            due += curve.warm_seconds
        elif place < running.end:
            due += curve.seconds[place]
        if due > lost:
            running.place, due = _LOST, lost
        self._push(due, slot)

    def take_up(self, job: Job, slot: int, began: float, told: int) -> list[Event]:
        """A free slot has run a job since ``began``, and the first ``told`` of its events were told.

        Returns:
            Those that are due at the moment of the last of them, and were not told.
        """
        alone = VirtualWorkers(1, self._find, self._faults)
        alone.submit(job, 0, began)
        events: list[Event] = []
        while len(events) < told and not alone.free:
            events += alone.pop(most=1)[1]
        if len(events) < told:
            raise JournalError(
                f"the journal has {told} events of trial {job.trial}'s job, and its curve has {len(events)}: "
                "the curves are not those that the search was begun with"
            )
        self.unknown += alone.unknown
        running = alone._slots[0]
        if running is not None:
            self.free.remove(slot)
            self._slots[slot] = running
            self._push(alone._heap[0][0], slot)
        return events[told:]

    def _push(self, when: float, slot: int) -> None:
        self._order += 1
        heappush(self._heap, (when, self._order, slot))

    def next_time(self) -> float | None:
        """When the next event is due; None: nothing runs."""
        return self._heap[0][0] if self._heap else None

    def pop(self, now: float = 0.0, most: float = math.inf) -> tuple[float, list[Event]]:
        """The events of the next moment at which there are any.

        Args:
            now: until when nobody has looked: what was due before is told now, too.
            most: events after which to leave the others of that moment to the next call.
        Returns:
            That moment, or ``now`` if it is over; and its events in order.
        """
        heap, slots = self._heap, self._slots
        moment = max(now, heap[0][0])
        events: list[Event] = []
        while heap:
            when, _, slot = heap[0]
            if when > moment or len(events) >= most:
                break
            running = slots[slot]
            assert running is not None
            place, curve = running.place, running.curve
            if not 0 <= place < running.end:
                self._odd(running, when, slot, events)
                continue
            job = running.job
            resource = curve.units[place]
            metrics = curve.metrics
            events.append(
                Report(
                    job.trial,
                    job.attempt,
                    resource,
                    curve.values[place],
                    curve.seconds[place],
                    {name: values[place] for name, values in metrics.items()},
                )
                if metrics
                else Report(job.trial, job.attempt, resource, curve.values[place], curve.seconds[place])
            )
            running.place = place = place + 1
            if resource == job.until:
                if curve.ended == "finished" and place == len(curve.units):
                    events.insert(-1, Finished(job.trial, job.attempt, resource))
                self._close(slot)
            elif place < running.end:
                self._order += 1
                due = when + curve.seconds[place]
                if due > running.lost:
                    running.place, due = _LOST, running.lost
                heapreplace(heap, (due, self._order, slot))
            else:
                self._odd(running, when, slot, events)
        return moment, events

    def _odd(self, running: _Running, when: float, slot: int, events: list[Event]) -> None:
        """What is no unit: the end of a warm start, or the end of the curve."""
        job, curve = running.job, running.curve
        if running.place == _LOST:
            events.append(Lost(job.trial, job.attempt, LOST))
            self._close(slot)
            return
        if running.place == _NOT_BEGUN:
            if curve.ended == "rejected":
                events.append(Rejected(job.trial, curve.why, curve.warm_seconds))
                self._close(slot)
                return
            assert curve.refined is not None
            told = {"recorded": True, "mini_batches": curve.warm_batches}
            events.append(Refined(job.trial, curve.refined, curve.warm_seconds, told))
            running.place = 0
            self._order += 1
            due = when + (curve.seconds[0] if running.end else 0.0)
            if due > running.lost:
                running.place, due = _LOST, running.lost
            heapreplace(self._heap, (due, self._order, slot))
            return
        if curve.ended == "failed" or not curve.units:
            events.append(Failed(job.trial, job.attempt, curve.why or "it failed when it was recorded"))
        else:
            self.unknown += curve.ended != "finished"
            events.append(Finished(job.trial, job.attempt, curve.units[-1]))
        self._close(slot)

    def _close(self, slot: int) -> None:
        """The job at the top of the heap is over."""
        heappop(self._heap)
        self._slots[slot] = None
        insort(self.free, slot)

    def job(self, slot: int) -> Job | None:
        """What runs in a slot."""
        running = self._slots[slot]
        return None if running is None else running.job

    def kill(self, slot: int) -> None:
        """End a slot's job at once, without an event."""
        self._heap = [entry for entry in self._heap if entry[2] != slot]
        self._heap.sort()
        if self._slots[slot] is not None:
            self._slots[slot] = None
            insort(self.free, slot)


def check_fits(scheduler: Scheduler, curves: CurveSource) -> None:
    """Raise ``SettingError`` if the scheduler's search cannot be one over these curves."""
    if scheduler.space != curves.space:
        raise SettingError(
            "the scheduler has another space than the curves: make it with that of the curves, "
            f"ASHA(curves.space, ...), which has {', '.join(curves.space.names)}"
        )
    if scheduler.mode != curves.mode:
        raise SettingError(
            f"the scheduler has mode {scheduler.mode!r}, and the curves are of {curves.metric}, "
            f"mode {curves.mode!r}: give mode={curves.mode!r}"
        )
    missing = [level for level in scheduler.levels if level not in curves.units]
    if missing:
        raise SettingError(
            f"trials are compared at {curves.unit} {', '.join(map(str, scheduler.levels))}, and the curves "
            f"have no value at {', '.join(map(str, missing))}; they have {_listed(curves.units)}: choose "
            "min_resource, max_resource and reduction_factor so that all are there"
        )


def _listed(units: tuple[int, ...]) -> str:
    first, last = units[0], units[-1]
    if units == tuple(range(first, last + 1)):
        return f"{first} to {last}"
    return ", ".join(map(str, units))
