"""Do many things that take seconds each, such as drawing figures, on all cores."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

_ENOUGH = 6  # for which another process, which first loads what it needs, is worth its while
_MOST = 8
_CHILD = "import sys; sys.path[:] = {path!r}; from analysis.together import serve; serve()"
Task = Callable[[], object]


def do_all(tasks: Mapping[str, Task], processes: int | None = None) -> None:
    """Call each, in any order.

    Args:
        tasks: by a name without line breaks; each a partial of a function of ours, since some are sent to
            other processes. What one of these cannot do is done here again, so its error is seen here.
        processes: how many, this one included; by default as many as there are cores, if there is enough.
    """
    if processes is None:
        processes = min(cores(), _MOST, max(len(tasks) // _ENOUGH, 1))
    names = list(tasks)
    helpers = [_Helper({n: tasks[n] for n in names[first::processes]}) for first in range(1, processes)]
    try:
        for name in names[0::processes]:
            tasks[name]()
        done = {name for helper in helpers for name in helper.done()}
    finally:
        for helper in helpers:
            helper.close()
    for first in range(1, processes):
        for name in names[first::processes]:
            if name not in done:
                tasks[name]()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Helper:
    """A process that does a share: a fresh interpreter, as for reading runs."""

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        code = _CHILD.format(path=[str(Path(__file__).resolve().parent.parent), *sys.path])
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what fails there is done and complained of here
        )
        assert self._process.stdin is not None
        try:
            with self._process.stdin as stdin:
                pickle.dump(dict(tasks), stdin, protocol=pickle.HIGHEST_PROTOCOL)
        except OSError:
            return  # it died

    def done(self) -> list[str]:
        """The names of those that it did, when it has done all that it can."""
        assert self._process.stdout is not None
        return self._process.stdout.read().decode().split("\n")

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def serve() -> None:
    """Do what standard input says, and print the names; for ``_Helper``."""
    tasks: dict[str, Task] = pickle.load(sys.stdin.buffer)
    names = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing else may stand among the names
    for name, task in tasks.items():
        task()
        print(name, file=names, flush=True)
