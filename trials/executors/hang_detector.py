"""Tells a worker that is busy from one that will never answer again."""

from __future__ import annotations

import time
from collections.abc import Callable

from trials.executors.worker_process import Silence, Worker
from trials.worker import processes

_LOOK = 1.0  # seconds between looks
_SUSPICIOUS = 2.5  # seconds of silence after which a look is worth reading /proc
_BUSY = 0.05  # of a core: less is no work. A thread that waits for Python's lock asks for it every 5 ms
_STATES = {
    "T": "stopped",
    "t": "held by a debugger",
    "D": "waiting for a disk or a driver",
    "S": "waiting",
    "R": "running",
    "Z": "half dead",
}


class HangDetector:
    """Watches for workers that have gone silent.

    A worker sends a heartbeat every second. If none comes, it may be in a long computation in C that holds
    Python's lock, and then it uses CPU time. If it does not even do that for ``timeout`` seconds, it is hung.

    Time is counted only while this process looks: if it was stopped itself, or a laptop slept, then no
    worker is to blame for the silence.

    Args:
        timeout: seconds of silence; None: for ever.
        clock: monotonic.
        stat: of a process, as ``processes.stat``.
    """

    def __init__(
        self,
        timeout: float | None,
        clock: Callable[[], float] = time.monotonic,
        stat: Callable[[int], processes.Stat | None] = processes.stat,
    ) -> None:
        self._timeout = timeout
        self._clock = clock
        self._stat = stat
        self._looked = clock()
        self._awake = 0.0
        self.interval = _LOOK if timeout is None else min(_LOOK, timeout / 4)

    def on_message(self, worker: Worker) -> None:
        """The worker has sent something."""
        worker.silence = Silence(self._awake)

    def due(self) -> bool:
        """Whether it is time to look at all the workers again."""
        now = self._clock()
        gap = now - self._looked
        if self._timeout is None or gap < self.interval:
            return False
        self._looked = now
        self._awake += min(gap, 2 * self.interval)
        return True

    def is_suspect(self, worker: Worker) -> bool:
        """Whether the worker has been silent for long enough to look at it."""
        if self._timeout is None or worker.silence is None:
            return False
        return self._awake - worker.silence.since > min(_SUSPICIOUS, self._timeout / 2)

    def why_hung(self, worker: Worker) -> str | None:
        """Why a suspect is hung; None as long as it may be alive."""
        seen, silence = self._stat(worker.pid), worker.silence
        # without one it is dead, which its owner notices; or there is no /proc
        if seen is None or silence is None or self._timeout is None:
            return None
        if silence.looked is None:
            silence.looked, silence.cpu = self._awake, seen.cpu
        elif seen.cpu - silence.cpu > _BUSY * (self._awake - silence.looked):
            worker.silence = silence = Silence(self._awake, self._awake, seen.cpu)
        if self._awake - silence.since < self._timeout:
            return None
        state = f"state {seen.state}: {_STATES.get(seen.state, 'unknown')}"
        return f"gave no sign of life for {self._timeout:g} s ({state})"
