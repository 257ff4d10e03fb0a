"""Runs pytest on copies of the core, each in a fork of a process that has loaded pytest and no core.

    python forks.py folder:case,case folder:case ...

prints a line for each folder: the folder, and the status of pytest there, or "endless". Two run at a time.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

AT_A_TIME = 2
SECONDS = 60  # a case that takes longer does not end


def begin(folder: str, cases: str) -> int:
    """Fork a process that runs these cases in a folder; its number."""
    assert not any(name.partition(".")[0] in ("asha_core", "tests") for name in sys.modules)
    child = os.fork()
    if child:
        return child
    status = 3
    try:
        signal.alarm(SECONDS)
        os.chdir(folder)
        sys.path.insert(0, folder)
        said = os.open("said.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(said, 1)
        os.dup2(said, 2)
        options = ["-x", "-q", "--tb=line", "--assert=plain", "-c", "pytest.ini", "--rootdir", folder]
        for plugin in ("cacheprovider", "hypothesispytest", "xdist", "timeout"):
            options += ["-p", f"no:{plugin}"]
        status = int(pytest.main([*options, *cases.split(",")]))
        sys.stdout.flush()
    finally:
        os._exit(status)


def finished(waiting: list[str]) -> Iterator[tuple[str, str]]:
    """Each folder and how it went."""
    running: dict[int, str] = {}
    while waiting or running:
        while waiting and len(running) < AT_A_TIME:
            folder, _, cases = waiting.pop().partition(":")
            running[begin(folder, cases)] = folder
        child, how = os.wait()
        yield running.pop(child), "endless" if os.WIFSIGNALED(how) else str(os.waitstatus_to_exitcode(how))


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file
    for name, status in finished(sys.argv[1:]):
        print(name, status, flush=True)
