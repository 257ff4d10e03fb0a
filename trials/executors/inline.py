"""Jobs in the engine's own process, one at a time: for debuggers, profilers and ``breakpoint()``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from asha_core.messages import Event, Failed, Job, Lost
from asha_core.runtime.executor import ExecutorEvent, WorkerReady
from trials.own_threads import threads_within_limits
from trials.worker.job_runner import JobRunner, WorkerSettings
from trials.worker.process_state import ProcessState


class InlineExecutor:
    """One slot; ``wait`` runs the submitted job to its end.

    Output stays on the terminal. A task that raises becomes ``Failed``, as in a worker process.

    Args:
        interrupted: whether the search was asked to stop by a signal, which a task may have heard and
            answered in its own way: then ``wait`` raises ``KeyboardInterrupt`` when the job has closed.

    Attributes:
        listener: called with each event as it comes, so that it is journalled while the job goes on; None:
            ``wait`` returns them all at once.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        device: str = "cpu",
        *,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._stopped = False
        self._interrupted = interrupted
        self.listener: Callable[[ExecutorEvent], None] | None = None
        self._before = ProcessState()
        try:
            self._runner = JobRunner(
                settings, device, slot=0, inline=True, stopping=lambda: self._stopped or interrupted()
            )
        except BaseException:
            self._before.restore()
            raise
        self._before.keep_changes()  # by the set-up: they are for all jobs, and not for the caller
        self._device = device
        self._job: Job | None = None
        self._pending: list[ExecutorEvent] = [WorkerReady(0, os.getpid(), device, 0.0)]
        self._settling = False

    @property
    def devices(self) -> Sequence[str]:
        """The one slot's device."""
        return (self._device,)

    def free(self) -> Sequence[int]:
        """Slot 0, unless a job waits there."""
        return () if self._job is not None or self._settling else (0,)

    def submit(self, job: Job, slot: int) -> None:
        """Keep the job for ``wait``."""
        if self._stopped or slot not in self.free():
            raise ValueError(f"slot {slot} is not free")
        self._job = job

    def wait(self, timeout: float) -> list[ExecutorEvent]:
        """Run the job that was submitted, however long it takes."""
        events, self._pending = self._pending, []
        self._settling = False
        if self._job is not None:
            job, self._job = self._job, None
            with threads_within_limits():
                self._runner.run(job, self.listener or events.append)
            if self._interrupted():
                self._pending = events
                raise KeyboardInterrupt
        return events

    def kill(self, slot: int, event: Failed | Lost) -> None:
        """Close the job that waits for its turn with ``event``.

        One that runs is out of reach: it runs in this process, and in this very thread. ``wait`` returns when
        it has closed by itself.
        """
        if self._job is not None and self._job.trial == event.trial:
            self._close_job(event)

    def stop(self) -> None:
        """A job that runs stops after its unit; one that waits for its turn is closed."""
        self._stopped = True
        job = self._job
        if job is not None:
            self._close_job(Lost(job.trial, job.attempt, "the search was stopped", "stopped"))

    def _close_job(self, event: Event) -> None:
        self._job = None
        self._settling = True
        self._pending.append(event)

    def close(self) -> None:
        """Forget a job that did not run, and give the process back as it was."""
        self._job = None
        self._before.restore()
