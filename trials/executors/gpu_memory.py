"""Whether a GPU has let go of the memory of a worker that is dead.

The driver frees it when the process has really ended, which may take seconds; a worker that is started
before that finds less memory than there is. ``nvidia-smi`` is asked without waiting for its answer.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Collection

_QUERY = ("--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits")
_ANSWER_SECONDS = 10.0


class MemoryRelease:
    """Watches for the release of the GPU memory of ``pids``, with a look every ``interval`` seconds.

    Attributes:
        since: when it began, by ``time.monotonic``.
        held: memory by process, in MiB, as the last answer has it.
        announced: whether people have been told; its owner's to set.
    """

    def __init__(self, pids: Collection[int], interval: float = 1.0) -> None:
        self._pids = frozenset(pids)
        self._interval = interval
        self._program = shutil.which("nvidia-smi")
        self._query: subprocess.Popen[str] | None = None
        self._asked = 0.0
        self.since = time.monotonic()
        self.held: dict[int, str] = {}
        self.announced = False

    def done(self) -> bool:
        """Whether none of the processes holds memory, or nobody can tell. Never blocks."""
        if self._program is None or not self._pids:
            return True
        now = time.monotonic()
        if self._query is None:
            if now - self._asked < self._interval and self.held:
                return False
            return not self._ask(now)
        if self._query.poll() is None:
            if now - self._asked < _ANSWER_SECONDS:
                return False
            self.cancel()
            return True
        answer, status = self._query.communicate()[0], self._query.returncode
        self._query = None
        self.held = _parse(answer, self._pids) if status == 0 else {}
        return not self.held

    def _ask(self, now: float) -> bool:
        assert self._program is not None
        self._asked = now
        try:
            self._query = subprocess.Popen(
                [self._program, *_QUERY],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
            )
        except OSError:
            return False
        return True

    def cancel(self) -> None:
        """End a query that is under way."""
        if self._query is not None:
            self._query.kill()
            self._query.communicate()
            self._query = None

    def __str__(self) -> str:
        return ", ".join(f"{memory} MiB of process {pid}" for pid, memory in sorted(self.held.items()))


def _parse(answer: str, pids: Collection[int]) -> dict[int, str]:
    held = {}
    for line in answer.splitlines():
        pid, _, memory = line.partition(",")
        if pid.strip().isdecimal() and int(pid) in pids:
            held[int(pid)] = memory.strip()
    return held
