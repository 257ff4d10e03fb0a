"""Ctrl-C and SIGTERM: the first asks a search to stop, the second stops it at once."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
_WAY_OUT = 10.0  # seconds after an interrupt in which further ones are not heard


class StopSignal:
    """Whether the search was asked to stop.

    Attributes:
        requested: it was.
        polite: somebody looks at ``requested`` now and then, so that the first signal need not interrupt what
            is going on.
    """

    def __init__(self) -> None:
        self.requested = False
        self.polite = False
        self._raised = -math.inf

    def ignore_signals(self) -> None:
        """The search is over: what is left to do takes seconds, and is not to be interrupted."""
        self._raised = time.monotonic()
        self.polite = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        first, self.requested = not self.requested, True
        # the way out takes seconds: workers are killed, results are written; but a task may have swallowed it
        if (first and self.polite) or time.monotonic() < self._raised + _WAY_OUT:
            return
        self._raised = time.monotonic()
        raise KeyboardInterrupt


@contextmanager
def stop_signals(*, then_exit: bool) -> Iterator[StopSignal]:
    """Ctrl-C and SIGTERM go to a ``StopSignal`` inside; as before outside.

    Args:
        then_exit: the process ends after this; once interrupted, it is not disturbed again.
    """
    stop = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set handlers
        return
    before = {number: signal.signal(number, stop) for number in INTERRUPTS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            if then_exit and stop.requested:
                signal.signal(number, signal.SIG_IGN)
            else:
                signal.signal(number, handler)
