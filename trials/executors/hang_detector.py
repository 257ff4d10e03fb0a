"""Tells a worker that is busy from one that will never answer again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

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
    Python's lock, or hold it while a compiler runs: then it uses CPU time, or what it has started does. If
    neither does so for ``timeout`` seconds, it is hung. A worker that starts sends nothing before its imports
    are done, and these may wait for longer, such as for another process that compiles.

    Time is counted only while this process looks: if it was stopped itself, or a laptop slept, then no
    worker is to blame for the silence.

    Args:
        timeout: seconds of silence; None: for ever.
        start_timeout: likewise of a worker that is not ready yet.
        clock: monotonic.
        everyone: the processes there are, as ``processes.everyone``.
    """

    def __init__(
        self,
        timeout: float | None,
        start_timeout: float | None,
        clock: Callable[[], float] = time.monotonic,
        everyone: Callable[[], Mapping[int, processes.Stat]] = processes.everyone,
    ) -> None:
        self._timeout = timeout
        self._start_timeout = start_timeout
        self._clock = clock
        self._everyone = everyone
        self._seen: Mapping[int, processes.Stat] | None = None  # by this look
        self._looked = clock()
        self._awake = 0.0
        self.interval = min([_LOOK, *(each / 4 for each in (timeout, start_timeout) if each is not None)])

    def on_message(self, worker: Worker) -> None:
        """The worker has sent something."""
        worker.silence = Silence(self._awake)

    def due(self) -> bool:
        """Whether it is time to look at all the workers again."""
        now = self._clock()
        gap = now - self._looked
        if gap < self.interval:
            return False
        self._looked = now
        self._awake += min(gap, 2 * self.interval)
        self._seen = None
        return True

    def is_suspect(self, worker: Worker) -> bool:
        """Whether the worker has been silent for long enough to look at it."""
        timeout, silence = self._timeout_of(worker), worker.silence
        if timeout is None or silence is None:
            return False
        return self._awake - silence.since > min(_SUSPICIOUS, timeout / 2)

    def why_hung(self, worker: Worker) -> str | None:
        """Why a suspect is hung; None as long as it may be alive."""
        timeout, silence = self._timeout_of(worker), worker.silence
        if self._seen is None:
            self._seen = self._everyone()
        seen = self._seen.get(worker.pid)
        # without one it is dead, which its owner notices; or there is no /proc
        if seen is None or silence is None or timeout is None:
            return None
        cpu = processes.family_cpu(worker.pid, self._seen)
        if silence.looked is None:
            silence.looked, silence.cpu = self._awake, cpu
        silence.cpu = min(silence.cpu, cpu)  # a child has left the family, and taken its time with it
        if cpu - silence.cpu > _BUSY * (self._awake - silence.looked):
            worker.silence = silence = Silence(self._awake, self._awake, cpu)
        if self._awake - silence.since < timeout:
            return None
        state = f"state {seen.state}: {_STATES.get(seen.state, 'unknown')}"
        if worker.ready:
            return f"gave no sign of life for {timeout:g} s ({state}), and heartbeat-timeout is {timeout:g} s"
        return (
            f"gave no sign of life for {timeout:g} s while starting ({state}), and start-timeout is "
            f"{timeout:g} s: if its imports wait for so long, say for a download, give it more"
        )

    def _timeout_of(self, worker: Worker) -> float | None:
        return self._timeout if worker.ready else self._start_timeout
