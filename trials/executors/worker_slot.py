"""One slot of the pool and its workers, one after another; when it is given up."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

from asha_core.errors import AshaError, WorkerError
from asha_core.messages import Event, Job, Lost
from asha_core.runtime.executor import Notice
from trials.devices import Slot
from trials.executors import gpu_memory
from trials.executors.fork_server import Server
from trials.executors.surroundings import in_main_thread
from trials.executors.worker_process import Worker
from trials.worker.job_runner import WorkerSettings
from trials.worker.main import WorkerIdentity
from trials.worker.output import worker_log

_START_TRIES = 3  # failed starts in a row that retire a slot


@dataclass(frozen=True, slots=True)
class StartLimits:
    """When a slot gets its next worker, in seconds.

    Attributes:
        pause: before the next start, after the first failed one; doubled with each.
        memory_interval: between looks at the GPU memory that a dead worker still holds.
        memory_notice: of waiting for it: then people hear of it.
        memory_limit: then the slot is given up.
    """

    pause: float = 0.5
    memory_interval: float = 1.0
    memory_notice: float = 5.0
    memory_limit: float = 60.0


USUAL_LIMITS = StartLimits()


class WorkerSlot:
    """One slot.

    Args:
        settings: what every worker is told.
        token: of the search.
        limits: when it gets its next worker.

    Attributes:
        index: its number.
        place: the device, and the environment that pins a worker to it.
        worker: the one that is there now.
        job: what it runs, or what waits for the next one.
        settling: the event that closed its last job has not been handed out yet.
        reason: why it was given up; None while it is in use.
        announced: that it was given up has been told.
        start_error: why no worker could be started there; whether to try again is not known before another
            slot has shown that one can be.
    """

    def __init__(
        self, index: int, place: Slot, settings: WorkerSettings, token: str, limits: StartLimits
    ) -> None:
        self.index = index
        self.place = place
        self._settings = settings
        self._token = token
        self._limits = limits
        self.worker: Worker | None = None
        self.job: Job | None = None
        self.settling = False
        self.reason: str | None = None
        self.announced = False
        self.start_error: AshaError | None = None
        self._failed_starts = 0
        self._started = 0
        self._start_at = 0.0
        self._release: gpu_memory.MemoryRelease | None = None

    @property
    def free(self) -> bool:
        """Whether it takes a job; one without a worker keeps it for the next."""
        return self.job is None and not self.settling and self.reason is None

    @property
    def given_up(self) -> bool:
        """Whether nothing can be expected of it, unless another worker shows that there is hope."""
        return self.reason is not None or self.start_error is not None

    @property
    def waits(self) -> bool:
        """Whether a worker is to be started here, now or later."""
        return self.worker is None and self._start_at < math.inf

    def start(self, dies_with_parent: bool, server: Server | None = None) -> bool:
        """Start a worker; False if the system refuses, or what was sent before cannot be sent again.

        Raises:
            WorkerError: the task cannot be sent to another process.
        """
        self._started += 1
        self._start_at = math.inf
        identity = WorkerIdentity(
            self.index,
            self.place.device,
            self._token,
            dies_with_parent and (server is not None or in_main_thread()),
            None if server is None else server.pid,
        )
        try:
            self.worker = Worker(self._settings, self.place, identity, f"{self.index}.{self._started}")
        except OSError as error:
            self.failed(f"worker {self.index} cannot be started: {error}")
            return False
        except WorkerError as error:
            if self._started == 1:
                raise
            self.failed(str(error))  # such as a script that is gone: workers that run go on without it
            return False
        if self.job is not None:
            self.worker.submit(self.job)
        return True

    def submit(self, job: Job) -> None:
        """Take a job, for this worker or the next."""
        self.job = job
        if self.worker is not None:
            self.worker.submit(job)

    def close_job(self, event: Event) -> Event:
        """The job ends with ``event``; the slot is free as soon as that has been handed out."""
        self.job = None
        self.settling = True
        return event

    def lose_job(self, reason: str, kind: str = "died") -> Event:
        """The job ends without a result."""
        assert self.job is not None
        return self.close_job(Lost(self.job.trial, self.job.attempt, reason, kind))

    def end(self) -> None:
        """End the worker with its family; a GPU's memory must be free again before the next one starts."""
        assert self.worker is not None
        self.worker.end()
        family = self.worker.family
        self.worker.release()
        self.worker = None
        self._start_at = 0.0
        if self.place.device.startswith("cuda"):
            self._release = gpu_memory.MemoryRelease(family, self._limits.memory_interval)

    def stay_empty(self) -> None:
        """No worker is started here again."""
        self._start_at = math.inf
        if self._release is not None:
            self._release.cancel()
            self._release = None

    def park(self, error: AshaError) -> None:
        """No worker can be started here; ``failed`` if one could be elsewhere."""
        self.start_error = error
        self._start_at = math.inf

    def succeeded(self) -> None:
        """A worker is ready."""
        self._failed_starts = 0

    def failed(self, reason: str) -> None:
        """A worker could not be started: pause before the next, or give up."""
        self._failed_starts += 1
        self.start_error = None
        if self._failed_starts >= _START_TRIES:
            self.retire(reason)
        else:
            self._start_at = time.monotonic() + self._limits.pause * 2 ** (self._failed_starts - 1)

    def retire(self, reason: str) -> None:
        """Give the slot up."""
        self.reason = reason
        self.stay_empty()

    def may_start(self) -> tuple[bool, Notice | None]:
        """Whether a worker can be started now, and what people should hear of that."""
        if not self.waits or time.monotonic() < self._start_at:
            return False, None
        if self._release is None or self._release.done():
            self._release = None
            return True, None
        waited = time.monotonic() - self._release.since
        held = f"the memory of ended processes of worker {self.index}: {self._release}"
        if waited > self._limits.memory_limit:
            self.retire(f"{self.place.label} did not release {held}")
        elif waited > self._limits.memory_notice and self._release.held and not self._release.announced:
            self._release.announced = True
            return False, Notice(f"{self.place.label}: waiting for {held}", self.index)
        return False, None

    def why_no_start(self, ending: str) -> str:
        """What to tell of a worker that ended before it was ready."""
        lines = self._said()
        last = f": {lines[-1]}" if lines else ", and said nothing"
        return self.with_log(f"worker {self.index} {ending} while starting{last}")

    def with_log(self, why: str) -> str:
        """The words, and where more is said, if it is."""
        return f"{why} (more in {self._log})" if len(self._said()) > 1 else why

    @property
    def _log(self) -> Path:
        return worker_log(Path(self._settings.results), self.index)

    def _said(self) -> list[str]:
        """The lines of its workers' log that are not empty."""
        if not self._log.exists():
            return []
        text = self._log.read_text(encoding="utf-8", errors="replace")
        return [line.strip() for line in text.splitlines() if line.strip()]
