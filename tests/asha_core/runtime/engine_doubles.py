"""An executor in virtual time, and the clock that it moves: what the engine's tests drive it with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asha_core.messages import Event, Failed, Job, Lost, Rejected, Report
from asha_core.runtime.executor import ExecutorEvent, WorkerReady
from asha_core.schedulers.asha import ASHA
from asha_core.space import Choice, Float, Int, SearchSpace
from asha_core.streams import uniforms

SPACE = SearchSpace({"lr": Float(1e-3, 1.0, log=True), "layers": Int(1, 9), "act": Choice(["réLU", "tänh"])})


class ManualClock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def advance_to(self, time: float) -> None:
        self.time = max(self.time, time)


def asha(**settings) -> ASHA:
    """A small search that is done after 12 trials."""
    return ASHA(SPACE, **{"max_resource": 9, "max_trials": 12, **settings})


def value_of(job: Job, resource: int) -> float:
    """A value that depends on trial and resource alone."""
    return uniforms(99, "value", 1000 * job.trial + resource, 1)[0]


def train(job: Job, resource: int, seconds: float = 0.5) -> list[Event]:
    """What a healthy worker says after a unit."""
    return [Report(job.trial, job.attempt, resource, value_of(job, resource), seconds)]


@dataclass
class Occupied:
    job: Job
    resource: int
    due: float


class FakeExecutor:
    """Runs jobs in virtual time; ``work(job, resource)`` says what comes out of each unit.

    Each unit takes ``unit_seconds``, or its own random time.

    A job ends with the report at ``job.until`` or with the first Failed, Lost or Rejected.
    """

    def __init__(
        self,
        clock: ManualClock,
        slots: int = 2,
        work: Callable[[Job, int], Sequence[Event]] = train,
        *,
        before: Callable[[Job], Sequence[Event]] = lambda job: (),
        unit_seconds: float | None = None,
    ) -> None:
        self.devices = [f"fake:{slot}" for slot in range(slots)]
        self.submitted: list[Job] = []
        self.closed = 0
        self._clock = clock
        self._work = work
        self._before = before
        self._unit_seconds = unit_seconds
        self._occupied: list[Occupied | None] = [None] * slots
        self._settling: set[int] = set()  # slots whose closing event is not out yet: they are not free
        self._now: list[ExecutorEvent] = [
            WorkerReady(slot, 4000 + slot, device, 0.25) for slot, device in enumerate(self.devices)
        ]

    def free(self) -> list[int]:
        return [
            slot
            for slot, occupant in enumerate(self._occupied)
            if occupant is None and slot not in self._settling
        ]

    def submit(self, job: Job, slot: int) -> None:
        assert slot in self.free(), f"slot {slot} is not free"
        assert not self.closed
        self.submitted.append(job)
        self._occupied[slot] = Occupied(job, job.start, self._clock.time)
        self._emit(slot, self._before(job))
        self._schedule(slot)

    def wait(self, timeout: float) -> list[ExecutorEvent]:
        assert not self.closed
        assert timeout >= 0
        if not self._now:
            limit = self._clock.time + timeout
            due = min((occupant.due for occupant in self._occupied if occupant), default=math.inf)
            self._clock.advance_to(min(due, limit))
            for slot, occupant in enumerate(self._occupied):
                if occupant is not None and occupant.due <= self._clock.time:
                    occupant.resource += 1
                    self._emit(slot, self._work(occupant.job, occupant.resource))
                    self._schedule(slot)
        events, self._now = self._now, []
        self._settling.clear()
        return events

    def kill(self, slot: int, event: Failed | Lost) -> None:
        if self._occupied[slot] is not None:
            self._emit(slot, [event])

    def stop(self) -> None:
        for slot, occupant in enumerate(self._occupied):
            if occupant is not None:
                self._emit(slot, [Lost(occupant.job.trial, occupant.job.attempt, "stopped", "stopped")])

    def close(self) -> None:
        self.closed += 1

    def _schedule(self, slot: int) -> None:
        occupant = self._occupied[slot]
        if occupant is not None:
            duration = self._unit_seconds
            if duration is None:
                duration = 0.1 + uniforms(3, "duration", 1000 * occupant.job.trial + occupant.resource, 1)[0]
            occupant.due = self._clock.time + duration

    def _emit(self, slot: int, events: Sequence[Event]) -> None:
        for event in events:
            occupant = self._occupied[slot]
            assert occupant is not None, "an event after the closing event"
            self._now.append(event)
            ended = isinstance(event, Report) and event.resource >= occupant.job.until
            if ended or isinstance(event, Failed | Lost | Rejected):
                self._occupied[slot] = None
                self._settling.add(slot)


def eventful(job: Job, resource: int) -> list[Event]:
    """What comes out of workers that fail, vanish and diverge now and then."""
    luck = uniforms(5, "luck", 10_000 * job.attempt + 1000 * job.trial + resource, 1)[0]
    if luck < 0.08:
        return [Failed(job.trial, job.attempt, "ValueError: ∇ läuft davon")]
    if luck < 0.12 and job.start == 0:
        return [Failed(job.trial, job.attempt, "negative layers", kind="invalid")]
    if luck < 0.3:
        return [Lost(job.trial, job.attempt, "killed by signal 9")]
    odd = {3: math.nan, 4: math.inf, 5: -math.inf}.get(int(luck * 40) % 12)
    value = value_of(job, resource) if odd is None else odd
    return [Report(job.trial, job.attempt, resource, value, 0.5, {"loss": 1 - value, "epoch": resource})]
