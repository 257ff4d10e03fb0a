"""The processes that a search has started: found, and ended, whoever has adopted them meanwhile.

A worker's children may leave its process group and its session (a data loader that calls ``setsid``, a
program that makes itself a daemon), and once their parent is dead nothing leads to them. But a process hands
its environment down to all that it starts, so each worker carries a mark there, and ``/proc`` shows it.
Without ``/proc`` nothing is found, and a worker's end is its process group's.

Trackers are ended last, and not by us if they do it themselves: processes of ``multiprocessing``, joblib and
torch that wait for the end of all who use them, and then remove what those have left in shared memory.

This file is also a program, the reaper of ``trials.worker.reaper``, which runs without the package: it may
import nothing but the standard library.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import NamedTuple

HAVE_PROC = os.path.isdir("/proc/self")  # noqa: PTH112 - pathlib would double the reaper's start
_TRACKERS = (b"resource_tracker import main", b"torch_shm_manager")  # in their command lines
_GRACE = 4.0  # seconds that they have to themselves: torch's takes two
_MARK = "ASHA_SEARCH_"  # the token is in the name, so that a search inside a search carries both
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, in <linux/prctl.h>
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Stat(NamedTuple):
    """A process as ``/proc/<pid>/stat`` tells it.

    Attributes:
        cpu: seconds, of all its threads.
        waited_for: seconds, of its children that have ended, and of theirs.
    """

    state: str
    parent: int
    session: int
    cpu: float
    waited_for: float = 0.0


def stat(pid: int) -> Stat | None:
    """None if there is no such process, or no ``/proc``."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    user, system, of_children, system_of_children = (int(ticks) / _TICKS for ticks in fields[11:15])
    cpu, waited_for = user + system, of_children + system_of_children
    return Stat(fields[0].decode(), int(fields[1]), int(fields[3]), cpu, waited_for)


def mark(token: str, worker: str) -> Mapping[str, str]:
    """What goes into the environment of a worker of the search ``token``."""
    return {_MARK + token: worker}


def is_marked() -> bool:
    """Whether this process belongs to a search."""
    return any(name.startswith(_MARK) for name in os.environ)


def marked(token: str, worker: str | None = None) -> set[int]:
    """The living processes that carry a search's mark, or one of its workers'; never this one."""
    needle = f"\0{_MARK}{token}=" + ("" if worker is None else f"{worker}\0")
    return {pid for pid in _alive() if needle.encode() in b"\0" + _read(pid, "environ")}


def end_marked(token: str, but: Collection[int] = (), patience: float = 5.0) -> set[int]:
    """Kill every process that carries the search's mark, except this one and ``but``.

    Returns the processes that were ended, as soon as none is left, or ``patience`` seconds have gone by.
    """
    return _end(lambda: marked(token).difference(but), patience)


def end_family(pid: int, token: str | None = None, worker: str = "", patience: float = 5.0) -> set[int]:
    """Kill a worker, its process group, its session, its descendants, and whoever carries its mark.

    Returns the processes that were ended, as soon as none is left, or ``patience`` seconds have gone by.
    A worker that has been waited for is left out: its number may be another's by now.
    """
    kill_group(pid)

    def find() -> set[int]:
        return _family({pid}) | (set() if token is None else marked(token, worker))

    return _end(find, patience)


def kill_group(pid: int) -> None:
    """Kill a worker's process group in one go, which is all that can be done without ``/proc``.

    Unless there is a tracker in it: then one by one is better.
    """
    if not any(_tracks(each) for each in _family({pid})):
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)


def end_with_search(token: str) -> None:
    """Kill whoever carries the search's mark, and this process, a worker, with its family.

    But for its trackers: they end by themselves once it is gone.
    """
    own = {os.getpid()}
    _end(lambda: {pid for pid in _family(own) | marked(token) if not _tracks(pid)}, 5.0)
    if not HAVE_PROC:
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def end_search(pids: Collection[int], token: str, patience: float = 5.0) -> set[int]:
    """Likewise for all the workers of a search at once."""
    return _end(lambda: _family(pids) | marked(token), patience)


def _end(find: Callable[[], set[int]], patience: float) -> set[int]:
    ended: set[int] = set()
    began = time.monotonic()
    clean = 0
    while clean < 2:  # not once: a process that executes a program has no environment for a moment
        found = find()
        waits = time.monotonic() < began + _GRACE
        for pid in found:
            with suppress(OSError):  # a tracker that is stopped cannot end
                os.kill(pid, signal.SIGCONT if waits and _tracks(pid) else signal.SIGKILL)
        ended |= found
        clean = 0 if found else clean + 1
        if time.monotonic() > began + patience:  # a disk or a driver may hold one up
            break
        time.sleep(0.005)
    return ended


def family_cpu(pid: int, everyone: Mapping[int, Stat]) -> float:
    """Seconds of CPU time that a worker has used with all that it has started, what has ended included.

    Args:
        everyone: as ``everyone`` gives it; the worker is there.
    """
    family = {pid} | _family({pid}, everyone)
    return sum(everyone[each].cpu + everyone[each].waited_for for each in family)


def _family(pids: Collection[int], alive: Mapping[int, Stat] | None = None) -> set[int]:
    """The sessions of workers, and what descends from them as long as they are alive to descend from."""
    alive = _alive() if alive is None else alive
    family = {each for each, it in alive.items() if it.session in pids}
    # one may have no session of its own yet
    family |= {pid for pid in pids if pid in alive and _started_here(alive[pid].parent, alive)}
    size = -1
    while size != len(family):
        size = len(family)
        family |= {each for each, it in alive.items() if it.parent in family}
    return family - {os.getpid()}


def is_own_child(pid: int) -> bool:
    """Whether it is alive, and this process has started it."""
    found = stat(pid)
    return found is not None and found.state not in "ZX" and found.parent == os.getpid()


def die_with_parent() -> None:
    """Ask the system to kill this process when the thread that started it ends, where it can be asked."""
    if sys.platform == "linux":
        with suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _started_here(parent: int, alive: Mapping[int, Stat]) -> bool:
    """Whether it is this process, or its fork server."""
    return parent == os.getpid() or (parent in alive and alive[parent].parent == os.getpid())


def _alive() -> dict[int, Stat]:
    """The living processes of this user, without this one."""
    return {pid: it for pid, it in everyone().items() if it.state not in "ZX"}


def everyone() -> dict[int, Stat]:
    """The processes of this user, without this one; also those that have ended, and were not waited for."""
    found = {}
    with suppress(OSError):
        for entry in os.scandir("/proc"):
            if not entry.name.isdecimal() or int(entry.name) == os.getpid():
                continue
            with suppress(OSError):
                if entry.stat().st_uid != os.getuid():
                    continue
            it = stat(int(entry.name))
            if it is not None:
                found[int(entry.name)] = it
    return found


def _tracks(pid: int) -> bool:
    """Whether it is a tracker."""
    command = _read(pid, "cmdline")
    return any(words in command for words in _TRACKERS)


def _read(pid: int, what: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{what}", "rb") as file:
            return file.read()
    except OSError:  # it is gone, or shows it to nobody
        return b""


def _reap_after(token: str, engine: int) -> None:
    """Wait for the engine's end; after one that was not in order, end what it has left behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the engine's to handle
    # its end closes the pipe, unless a forked child of its own holds a copy: so look at the parent, too
    while os.getppid() == engine:
        if select.select([0], [], [], 1.0)[0]:
            if os.read(0, 1):
                return
            break
    end_marked(token, patience=60.0)
    time.sleep(0.5)  # a worker that was being started did not carry the mark yet
    end_marked(token, patience=60.0)


if __name__ == "__main__":
    _reap_after(sys.argv[1], int(sys.argv[2]))
