"""Ctrl-C and SIGTERM: the first asks a search to stop, the second stops it at once."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import current_process
from types import FrameType

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
_WAY_OUT = 10.0  # seconds after an interrupt in which further ones are not heard


class Arrivals:
    """Whether a signal came to this process, whoever handled it.

    A task, or a library in it, may put its own handler in place of ours. Python writes the number of each
    signal that has a handler into a pipe, which is read here.

    Args:
        numbers: the signals.

    Attributes:
        pipe: readable when some signal came; for a wait that a handler alone does not end.
    """

    def __init__(self, numbers: Sequence[int] = INTERRUPTS) -> None:
        self._numbers = numbers
        self.pipe, self._write_end = os.pipe()
        for end in (self.pipe, self._write_end):
            os.set_blocking(end, False)
        self._came = False
        self._before: int | None = None

    def listen(self) -> None:
        """Begin. Only in the main thread."""
        self._before = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        _listening.append(self)

    def close(self) -> None:
        """End; who listened before does so again."""
        if self._before is not None:
            signal.set_wakeup_fd(self._before)
            _listening.remove(self)
        os.close(self.pipe)
        os.close(self._write_end)

    def __call__(self) -> bool:
        """Whether one came, since ``listen``."""
        with suppress(BlockingIOError):  # nothing came
            while numbers := os.read(self.pipe, 4096):
                self._came |= any(number in self._numbers for number in numbers)
        return self._came


_listening: list[Arrivals] = []


def _stop_listening() -> None:
    """In a forked child: what comes to it did not come to its parent."""
    if _listening:
        signal.set_wakeup_fd(-1)


os.register_at_fork(after_in_child=_stop_listening)


class StopSignal:
    """Whether the search was asked to stop.

    Attributes:
        requested: it was.
        terminated: by SIGTERM.
        polite: somebody looks at ``requested`` now and then, so that the first signal need not interrupt what
            is going on.
    """

    def __init__(self) -> None:
        self.requested = self.terminated = False
        self.polite = False
        self.arrivals: Arrivals | None = None  # where a task runs in this process
        self._raised = -math.inf

    def asked(self) -> bool:
        """Whether it was, though a task's own handler may have heard it."""
        return self.requested or (self.arrivals is not None and self.arrivals())

    def ignore_signals(self) -> None:
        """The search is over: what is left to do takes seconds, and is not to be interrupted."""
        self._raised = time.monotonic()
        self.polite = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        first, self.requested = not self.requested, True
        self.terminated |= number == signal.SIGTERM
        # the way out takes seconds: workers are killed, results are written; but a task may have swallowed it
        if (first and self.polite) or time.monotonic() < self._raised + _WAY_OUT:
            return
        self._raised = time.monotonic()
        raise KeyboardInterrupt


@contextmanager
def stop_signals(*, then_exit: bool, tasks_here: bool = False) -> Iterator[StopSignal]:
    """Ctrl-C and SIGTERM go to a ``StopSignal`` inside; as before outside.

    Args:
        then_exit: the process ends after this; once interrupted, it is not disturbed again.
        tasks_here: tasks run in this process, and may have handlers of their own.
    """
    stop = StopSignal()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may set handlers
        return
    before = {number: signal.signal(number, stop) for number in INTERRUPTS}
    if tasks_here:  # SIGINT is left to a debugger's handler
        stop.arrivals = Arrivals((signal.SIGTERM,))
        stop.arrivals.listen()
    try:
        yield stop
    finally:
        if stop.arrivals is not None:
            stop.arrivals.close()
        for number, handler in before.items():
            if then_exit and stop.requested:
                signal.signal(number, signal.SIG_IGN)
            else:
                signal.signal(number, handler)
        if stop.terminated and not then_exit and current_process().daemon:
            # such as a pool's worker: who ends one means the process, and waits for its end
            signal.raise_signal(signal.SIGTERM)
