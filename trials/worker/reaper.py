"""A small process that outlives the engine by a moment, to end what a killed engine leaves behind.

A worker can see to its own end: but not to that of its children if it is killed first, and to nothing at all
while it is stopped. The reaper is no worker's child, runs nothing but ``worker/processes.py``, and waits.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

from trials.worker import processes


class Reaper:
    """Ends the processes that carry a search's mark when this process ends, unless it was released before."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._process: subprocess.Popen[bytes] | None = None
        if processes.HAVE_PROC:
            self._start()

    def _start(self) -> None:
        # isolated and without site-packages: it is up in hundredths of a second, and small
        command = [sys.executable, "-I", "-S", processes.__file__, self._token, str(os.getpid())]
        with suppress(OSError):  # without a reaper the workers still watch the engine themselves
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=0,
            )

    @property
    def alive(self) -> bool:
        """Whether there is one."""
        return self._process is not None and self._process.poll() is None

    def renew(self) -> None:
        """If somebody has killed it, start another."""
        if self._process is not None and self._process.poll() is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._start()

    def release(self) -> None:
        """All is in order: it may go."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        with suppress(OSError):  # it is dead
            self._process.stdin.write(b".")
        self._process.stdin.close()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:  # stopped, say
            self._process.kill()
            self._process.wait()
        self._process = None
