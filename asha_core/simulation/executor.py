"""Jobs in virtual time, behind the engine's own interface: ``--executor simulate``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from asha_core.messages import Failed, Job, Lost
from asha_core.runtime.clock import VirtualClock
from asha_core.runtime.executor import ExecutorEvent
from asha_core.schedulers.base import Scheduler
from asha_core.simulation.curve import Finder
from asha_core.simulation.faults import Faults
from asha_core.simulation.virtual_workers import VirtualWorkers


class SimulatedExecutor:
    """Slots whose jobs report what curves have, when these say; ``wait`` moves the clock, and takes no time.

    Args:
        count: slots.
        find: the curve of a job's trial.
        clock: the search's.
        faults: what goes wrong on purpose; None: nothing.
    """

    def __init__(self, count: int, find: Finder, clock: VirtualClock, faults: Faults | None = None) -> None:
        self.devices: Sequence[str] = [f"simulated:{slot}" for slot in range(count)]
        self.find = find
        self._workers = VirtualWorkers(count, find, faults)
        self._clock = clock
        self._pending: list[ExecutorEvent] = []  # due now, whatever else is
        self._settling: set[int] = set()  # slots whose closing event is one of these
        self._stopped = False

    def free(self) -> Sequence[int]:
        """Slots that can take a job now."""
        if self._stopped:
            return ()
        if self._settling:
            return [slot for slot in self._workers.free if slot not in self._settling]
        return tuple(self._workers.free)

    def submit(self, job: Job, slot: int) -> None:
        """Begin a job now."""
        if self._stopped or slot in self._settling or self._workers.job(slot) is not None:
            raise ValueError(f"slot {slot} is not free")
        self._workers.submit(job, slot, self._clock.now())

    def wait(self, timeout: float) -> list[ExecutorEvent]:
        """All that happens at the next moment at which something does, if that comes within ``timeout``."""
        if self._pending:
            events, self._pending = self._pending, []
            self._settling.clear()
            return events
        now, due = self._clock.now(), self._workers.next_time()
        if due is None or due > now + timeout:
            if timeout < math.inf:
                self._clock.sleep(timeout)
            return []
        moment, told = self._workers.pop(now)
        self._clock.move_to(moment)
        return list(told)

    def kill(self, slot: int, event: Failed | Lost) -> None:
        """End a slot's job now; its worker is there again at once."""
        job = self._workers.job(slot)
        if job is not None and job.trial == event.trial:
            self._workers.kill(slot)
            self._close_job(slot, event)

    def stop(self) -> None:
        """End what runs: nothing is lost, since units that were not reported took no real time."""
        self._stopped = True
        for slot in range(len(self.devices)):
            job = self._workers.job(slot)
            if job is not None:
                self._workers.kill(slot)
                self._close_job(slot, Lost(job.trial, job.attempt, "the search was stopped", "stopped"))

    def _close_job(self, slot: int, event: Failed | Lost) -> None:
        self._settling.add(slot)
        self._pending.append(event)

    def close(self) -> None:
        """Nothing is held."""

    def knows(self, job: Job) -> None:
        """A job of an earlier session: its trial's curve is counted where it is the nearest one's."""
        self.find(job)

    def take_up(self, job: Job, slot: int, began: float, told: int) -> None:
        """Go on with a job where it was."""
        self._pending += self._workers.take_up(job, slot, began, told)
        if self._workers.job(slot) is None:
            self._settling.add(slot)

    def unknown(self, scheduler: Scheduler) -> int:
        """How many trials went further than their curves were recorded."""
        ended = [trial for trial in scheduler.trials if trial.finished]
        jobs = [Job(trial.id, trial.configuration, 0, 1, 0, trial.seed) for trial in ended]
        return sum(self.find(job).ended == "unknown" for job in jobs)
