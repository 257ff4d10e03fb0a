"""How many of a worker's reports are in the journal: a number in memory that engine and worker share.

A worker that trains short units may be many reports ahead of an engine that is busy, stopped, or killed.
If it then replaced the last checkpoint that the journal knows of, the trial would have to begin again. So it
waits, before it replaces one, for what it has reported to be journalled; with units of milliseconds and more
there is nothing to wait for.
"""

from __future__ import annotations

import mmap
import os
import time
from multiprocessing.reduction import DupFd
from typing import Any

from trials.worker.nameless import nameless_file

_SIZE = 8
_FIRST_WAIT, _LONGEST_WAIT = 0.0002, 0.01


class JournalledCount:
    """The number. The engine makes it and sets it; the worker, which got its ``handle``, reads."""

    def __init__(self, file: int | None = None) -> None:
        made = nameless_file("asha-journalled-count", _SIZE) if file is None else file
        self._memory = mmap.mmap(made, _SIZE)
        self._count = memoryview(self._memory).cast("q")
        self._file = made if file is None else -1
        if file is not None:
            os.close(file)

    def handle(self) -> Any:
        """For the arguments of a process that is being started; ``of`` makes the count of it there."""
        return DupFd(self._file)

    @classmethod
    def of(cls, handle: Any) -> JournalledCount:
        """The count that the engine shares with this process."""
        return cls(handle.detach())

    def close_file(self) -> None:
        """The worker has it: the engine needs the file no more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def set(self, count: int) -> None:
        """So many reports are journalled."""
        self._count[0] = count

    def wait_for(self, count: int) -> None:
        """Return when so many are. A worker whose engine is dead is ended meanwhile."""
        pause = _FIRST_WAIT
        while self._count[0] < count:
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_WAIT)

    def close(self) -> None:
        """Give it back."""
        self.close_file()
        self._count.release()
        self._memory.close()
