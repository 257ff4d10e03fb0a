"""Ctrl-C and SIGTERM: the first asks a search to stop, the second stops it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """Whether the search was asked to stop.

    Attributes:
        requested: it was. polite: somebody looks at ``requested`` now and then, so that the first signal need
            not interrupt what is going on.
    """

    def __init__(self) -> None:
        self.requested = False
        self.polite = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        first, self.requested = not self.requested, True
        if first and self.polite:
            return
        for each in INTERRUPTS:  # the way out takes seconds: workers are killed, results are written
            signal.signal(each, signal.SIG_IGN)
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
