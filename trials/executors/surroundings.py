"""What a process that is started inherits: the environment, and which signals are held back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from asha_core.runtime.interrupts import INTERRUPTS


@contextmanager
def no_interrupts() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM: a worker is started and known, or neither.

    The new process inherits the mask, so that Ctrl-C does not reach it while it imports; ``main`` lifts it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def in_main_thread() -> bool:
    """Whether what is started here may end with its parent: to the system that is the thread."""
    return threading.current_thread() is threading.main_thread()


_ENVIRONMENT_LOCK = threading.Lock()


@contextmanager
def environment(changes: Mapping[str, str]) -> Iterator[None]:
    """``os.environ`` with ``changes``, for a process that starts inside."""
    with _ENVIRONMENT_LOCK:
        before = {name: os.environ.get(name) for name in changes}
        os.environ.update(changes)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
