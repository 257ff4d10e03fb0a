"""Jobs in the engine's own process, one at a time: for debuggers, profilers and ``breakpoint()``."""

from __future__ import annotations

import os
from collections.abc import Sequence

from asha_core.messages import Event, Job
from asha_core.runtime.executor import ExecutorEvent, WorkerReady
from trials.worker import JobRunner, WorkerSettings


class InlineExecutor:
    """One slot; ``wait`` runs the submitted job to its end, so its events come all at once.

    Output stays on the terminal. A task that raises becomes ``Failed``, as in a worker process.
    """

    def __init__(self, settings: WorkerSettings, device: str = "cpu") -> None:
        self._runner = JobRunner(settings, device, inline=True)
        self._device = device
        self._job: Job | None = None
        self._announced = False

    @property
    def devices(self) -> Sequence[str]:
        """The one slot's device."""
        return (self._device,)

    def free(self) -> Sequence[int]:
        """Slot 0, unless a job waits there."""
        return (0,) if self._job is None else ()

    def submit(self, job: Job, slot: int) -> None:
        """Keep the job for ``wait``."""
        if slot not in self.free():
            raise ValueError(f"slot {slot} is not free")
        self._job = job

    def wait(self, timeout: float) -> list[ExecutorEvent]:
        """Run the job that was submitted, however long it takes."""
        events: list[ExecutorEvent] = []
        if not self._announced:
            self._announced = True
            events.append(WorkerReady(0, os.getpid(), self._device, 0.0))
        if self._job is not None:
            job, self._job = self._job, None
            happened: list[Event] = []
            self._runner.run(job, happened.append)
            events += happened
        return events

    def close(self) -> None:
        """Forget a job that did not run."""
        self._job = None
