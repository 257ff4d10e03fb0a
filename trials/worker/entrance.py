"""The first step of a worker, before any of the user's code is loaded there: its mark and its surroundings.

A worker is a Python of its own, or it is forked from a server that has loaded the large modules (see
``trials.executors.fork_server``). The system shows the environment that a process was started with, not what
it has become since; a forked one has its server's. So the server keeps room in its own for a mark, and a
worker writes its own mark there, over the bytes that ``/proc`` shows.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
from collections.abc import Mapping
from multiprocessing import reduction, util
from typing import Any

_ROOM = "ASHA_ROOM_FOR_A_MARK"
_BYTES = 256
_LAST = -1_000_000  # of what is done at a process's end


class Entrance:
    """A worker's surroundings, which it takes on first of all.

    Args:
        mark: the worker's, as ``trials.worker.processes.mark`` gives it.
        place: what is in its environment because of its place.
    """

    def __init__(self, mark: Mapping[str, str], place: Mapping[str, str]) -> None:
        self._mark = dict(mark)
        self._environment = dict(place)
        self._streams: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """On its way: with the engine's environment, and where the engine prints now."""
        return {
            "_mark": self._mark,
            "_environment": {**os.environ, **self._environment, **self._mark},
            "_streams": {number: reduction.DupFd(number) for number in (1, 2) if _is_open(number)},
        }

    def enter(self) -> None:
        """Take them on, in a worker. One that is a Python of its own has them but for its mark."""
        if _ROOM in os.environ:
            _write(self._mark)
            util.Finalize(None, _end_python, exitpriority=_LAST)
        for name in set(os.environ).difference(self._environment):
            del os.environ[name]
        os.environ.update(self._environment)
        for number, stream in self._streams.items():
            descriptor = stream.detach()
            if descriptor != number:  # that of a Python of its own is there from the start
                os.dup2(descriptor, number)
                os.close(descriptor)
        # or all that are forked from one process would draw the same
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()
        if "torch" in sys.modules:  # on the CPU: those of GPUs begin alike in every Python
            sys.modules["torch"].default_generator.seed()


def room_for_a_mark() -> dict[str, str]:
    """What a fork server has in its environment, for its workers to write over."""
    return {_ROOM: "-" * _BYTES}


def can_be_marked() -> bool:
    """Whether a process that is forked from this one can show a mark of its own."""
    return _address() is not None


def _end_python() -> None:
    """What a forked process leaves out at its end before Python 3.14: what was registered for it."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _write(mark: Mapping[str, str]) -> None:
    text = b"\0".join(f"{name}={value}".encode() for name, value in mark.items())
    length = len(_ROOM) + 1 + _BYTES
    address = _address()
    if address is None or len(text) > length:
        raise OSError("a forked worker cannot be marked")
    ctypes.memmove(address, text.ljust(length, b"\0"), length)


def _address() -> int | None:
    """Where the room lies; None: there is none, or the system does not show it."""
    try:
        entries = ctypes.POINTER(ctypes.c_void_p).in_dll(ctypes.CDLL(None), "environ")
    except (OSError, ValueError):
        return None
    name = f"{_ROOM}=".encode()
    for index in range(100_000):
        address: int | None = entries[index]
        if not address:
            return None
        if ctypes.string_at(address, len(name)) == name:
            return address
    return None
