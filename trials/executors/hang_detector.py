"""Tells a worker that is busy from one that will never answer again."""

from __future__ import annotations

import time
from collections.abc import Callable

from trials.executors.worker_process import Worker
from trials.worker import processes

_LOOK = 1.0  # seconds between looks
_SUSPICIOUS = 2.5  # seconds of silence after which a look is worth reading /proc
_STATES = {
    "T": "stopped",
    "t": "held by a debugger",
    "D": "waiting for a disk or a driver",
    "S": "waiting",
    "R": "running",
    "Z": "half dead",
}


class Vigil:
    """Watches for workers that have gone silent.

    A worker sends a beat every second. If none comes, it may be in a long computation in C that holds
    Python's lock, and then it uses CPU time. If it does not even do that for ``timeout`` seconds, it is hung.

    Time is counted only while this process looks: if it was stopped itself, or a laptop slept, then no
    worker is to blame for the silence.

    Args:
        timeout: seconds of silence; None: for ever. clock: monotonic.
    """

    def __init__(self, timeout: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout = timeout
        self._clock = clock
        self._looked = clock()
        self._awake = 0.0
        self.interval = _LOOK if timeout is None else min(_LOOK, timeout / 4)

    def heard(self, worker: Worker) -> None:
        """The worker has sent something."""
        worker.heard, worker.cpu = self._awake, None

    def due(self) -> bool:
        """Whether it is time to look at all the workers again."""
        now = self._clock()
        gap = now - self._looked
        if self._timeout is None or gap < self.interval:
            return False
        self._looked = now
        self._awake += min(gap, 2 * self.interval)
        return True

    def suspects(self, worker: Worker) -> bool:
        """Whether the worker has been silent for long enough to look at it."""
        return self._timeout is not None and self._awake - worker.heard > min(_SUSPICIOUS, self._timeout / 2)

    def verdict(self, worker: Worker) -> str | None:
        """Why a suspect is hung; None as long as it may be alive."""
        seen = processes.stat(worker.pid)
        if seen is None or self._timeout is None:  # dead, which its owner notices; or there is no /proc
            return None
        if worker.cpu is not None and seen.cpu > worker.cpu:
            worker.heard = self._awake
        worker.cpu = seen.cpu
        if self._awake - worker.heard < self._timeout:
            return None
        state = f"state {seen.state}: {_STATES.get(seen.state, 'unknown')}"
        return f"gave no sign of life for {self._timeout:g} s ({state})"
