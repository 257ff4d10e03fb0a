"""Do many things that take long, such as reading runs or drawing figures, on all cores."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from asha_core.runtime.machine import cores

_MOST = 8
_CHILD = "import sys; sys.path[:] = {path!r}; from analysis.study.parallel import serve; serve()"
T = TypeVar("T")
Task = Callable[[], T]


def do_all(tasks: Sequence[Task[T]], processes: int | None = None, enough: int = 6) -> list[T]:
    """Call each, in any order; returns what they return, in theirs.

    Args:
        tasks: each a partial of a function of ours, since some are sent to other processes, as are their
            results. What one of these cannot do is done here again, so that its error is seen here.
        processes: how many, this one included; by default as many as there are cores, if there is enough.
        enough: tasks for which another process, which first loads what it needs, is worth its while.
    """
    if processes is None:
        processes = min(cores(), _MOST, max(len(tasks) // enough, 1))
    if not sys.executable:  # Python inside of another program
        processes = 1
    shares = [range(first, len(tasks), processes) for first in range(processes)]
    helpers = [(share, _Helper([tasks[i] for i in share])) for share in shares[1:] if share]
    found: dict[int, T] = {}
    try:
        found.update((i, tasks[i]()) for i in shares[0])
        for share, helper in helpers:
            found.update(zip(share, helper.results(), strict=False))  # fewer if it died
    finally:
        for _, helper in helpers:
            helper.close()
    return [found[i] if i in found else task() for i, task in enumerate(tasks)]


class _Helper(Generic[T]):
    """A process that does a share.

    A fresh interpreter rather than a fork, which a caller's threads could harm, and rather than
    multiprocessing's spawn, which would run the caller's script again.
    """

    def __init__(self, tasks: Sequence[Task[T]]) -> None:
        self._found: list[T] = []
        code = _CHILD.format(path=[str(Path(__file__).resolve().parents[2]), *sys.path])
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what fails there is done and complained of here
            process_group=0,  # Ctrl-C is for the one that asked, which then ends it
        )
        # a thread, since both pipes may be full
        self._thread = threading.Thread(target=self._listen, args=(tasks,), daemon=True)
        self._thread.start()

    def _listen(self, tasks: Sequence[Task[T]]) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with suppress(OSError, EOFError, pickle.UnpicklingError):  # it died
            with stdin:
                pickle.dump(list(tasks), stdin, protocol=pickle.HIGHEST_PROTOCOL)
            for _ in tasks:
                self._found.append(pickle.load(stdout))

    def results(self) -> list[T]:
        """What its tasks have returned, when it has done all; fewer if it died."""
        self._thread.join()
        return self._found

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()


def serve() -> None:
    """Do what standard input says; for ``_Helper``."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may stand among the results
    try:
        tasks: list[Task[Any]] = pickle.load(sys.stdin.buffer)
        for task in tasks:
            pickle.dump(task(), output, protocol=pickle.HIGHEST_PROTOCOL)
            output.flush()
    except (BrokenPipeError, EOFError):
        os._exit(1)  # the one that asked is gone
