"""The engine's side of one worker process: its pipes, its marks, and its end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

from asha_core.messages import Job
from asha_core.own_packages import Reference
from asha_core.space import as_kept
from trials.devices import Slot
from trials.executors.fork_server import UNKNOWN, started
from trials.executors.surroundings import environment, no_interrupts
from trials.worker import processes
from trials.worker.entrance import Entrance
from trials.worker.job_runner import WorkerSettings
from trials.worker.journalled_count import JournalledCount
from trials.worker.main import SetupFailed, WorkerIdentity, main
from trials.worker.memory import has_risen, oom_kills
from trials.worker.parcel import Parcel

_TICK = 0.005
_LAST_WORDS = 1.0  # seconds between a closed pipe and the end of its process
_UNKILLABLE = 5.0  # seconds after which a process that waits for a driver is left to its fate


@dataclass(slots=True)
class Silence:
    """How long a worker has given no sign of life, in seconds of the engine's own watching.

    Attributes:
        since: when the last one came.
        looked: when its CPU time was read first since then; None: not yet.
        cpu: the CPU time that it had used by then.
    """

    since: float
    looked: float | None = None
    cpu: float = 0.0


class Worker:
    """One worker process.

    Args:
        settings: what every worker is told.
        place: where it runs.
        identity: what it is told itself.
        name: its mark among the workers of the search.
    Raises:
        WorkerError: the task cannot be sent to another process.
        OSError: no process can be started.

    Attributes:
        ready: it has said that it can take jobs.
        leaving: it has said that it leaves.
        setup_failed: it has said that the task cannot be set up, and why.
        began: when it was started.
        was_killed: it has ended by a signal that others send, which says nothing of the next one.
        memory: bytes that it held at its last sign of life.
        silence: since when there was none; ``HangDetector``'s to read and write.
        family: whom ``end`` has ended.
        received: how many of its reports have come.
        handed: how many of them the engine has been given.
    """

    def __init__(self, settings: WorkerSettings, place: Slot, identity: WorkerIdentity, name: str) -> None:
        self._token, self._name, self._forked = identity.token, name, identity.server
        self.ready = self.leaving = self.was_killed = False
        self.setup_failed: SetupFailed | None = None
        self.memory = self.received = self.handed = 0
        self.family: set[int] = set()
        self.silence: Silence | None = None
        self.began = time.monotonic()
        self._oom_kills = oom_kills()
        context = multiprocessing.get_context("spawn")
        # multiprocessing asks for it, and a debugger's main module has none
        vars(sys.modules["__main__"]).setdefault("__spec__", None)
        resource_tracker.ensure_running()  # first, or it would carry a worker's mark, and end with it
        jobs_far, self.jobs = context.Pipe(duplex=False)
        self.events, events_far = context.Pipe(duplex=False)
        self._journalled = JournalledCount()
        parcel = Parcel(settings)
        mark = processes.mark(identity.token, name)
        try:
            with no_interrupts(), environment({**place.environment, **mark}), _as_no_daemon():
                self._process = started(
                    identity.server,
                    target=Reference(main.__module__, main.__name__),
                    args=(
                        Entrance(mark, place.environment),
                        parcel,
                        identity,
                        jobs_far,
                        events_far,
                        _Handle(self._journalled),
                    ),
                    name=f"asha-worker-{identity.slot}",
                    daemon=False,  # a daemon may not have children, and data loaders have
                )
        except BaseException:
            self._close_pipes()
            raise
        finally:
            parcel.close()
            self._journalled.close_file()
            jobs_far.close()
            events_far.close()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.sentinel = self._process.sentinel

    @property
    def dead(self) -> bool:
        """Whether the process has ended."""
        return self._process.exitcode is not None

    def submit(self, job: Job) -> None:
        """Send a job."""
        with suppress(OSError):  # it died a moment ago: the pool will find out
            self.jobs.send(job._replace(configuration=as_kept(job.configuration)))

    def confirm_journalled(self) -> None:
        """What the engine has been given is in the journal."""
        self._journalled.set(self.handed)

    def ask_to_leave(self) -> None:
        """Ask it to leave when its job is done."""
        with suppress(OSError):
            self.jobs.send(None)

    def ask_to_stop(self) -> None:
        """Ask it to stop its job."""
        if not self.dead:
            os.kill(self.pid, signal.SIGTERM)

    def join(self, timeout: float) -> None:
        """Wait for its end.

        By looking again and again: multiprocessing waits for a pipe that a process closes when it ends, and
        then for the process without a limit. One that closes the pipe and lives on would hold up everything.
        """
        deadline = time.monotonic() + timeout
        while not self.dead and time.monotonic() < deadline:
            time.sleep(_TICK)

    def kill(self) -> None:
        """End the process and its group, at once; also what a dead one left of its group."""
        if not self.dead:
            self._process.kill()  # it may not have a group of its own yet
        processes.kill_group(self.pid)

    def end(self) -> None:
        """Kill it with everything that it has started. May be repeated."""
        self.family |= {self.pid} | processes.end_family(self.pid, self._token, self._name)
        self.kill()
        self.join(_UNKILLABLE)

    def how_it_ended(self) -> str:
        """How it ended by itself: "exited with status 3", "was killed by SIGSEGV"."""
        self.join(_LAST_WORDS)
        code = self._process.exitcode
        if code is None:
            return "closed its pipe"
        self.was_killed = -code in (signal.SIGKILL, signal.SIGTERM)
        if self._forked and code == UNKNOWN and not processes.is_own_child(self._forked):
            return "lost the process that it was forked from"
        if code >= 0:
            return f"exited with status {code}"
        if code != -signal.SIGKILL:
            return f"was killed by {_signal_name(-code)}"
        if has_risen(self._oom_kills, oom_kills()):
            held = f" (it held {self.memory / 2**30:.1f} GiB at its last sign of life)" if self.memory else ""
            return (
                f"was killed by SIGKILL, by the kernel's out-of-memory killer{held}: use fewer workers, or "
                "smaller batches"
            )
        return (
            "was killed by SIGKILL (nobody here sent it: an out-of-memory kill by a container, or a kill -9)"
        )

    def release(self) -> None:
        """Give back what the engine holds for it."""
        self._close_pipes()
        with suppress(ValueError):  # it could not be killed
            self._process.close()

    def _close_pipes(self) -> None:
        self.jobs.close()
        self.events.close()
        self._journalled.close()


class _Handle:
    """The count on its way to a worker: made into a handle when the worker is started, and not before."""

    def __init__(self, journalled: JournalledCount) -> None:
        self._journalled = journalled

    def __reduce__(self) -> tuple[Callable[[Any], JournalledCount], tuple[Any]]:
        return JournalledCount.of, (self._journalled.handle(),)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


@contextmanager
def _as_no_daemon() -> Iterator[None]:
    """For a process that starts inside, though this one is a daemon, such as a worker of a pool.

    Python lets no daemon have children, because nobody would see to their end. A reaper sees to ours.
    """
    this = multiprocessing.current_process()
    if not this.daemon:
        yield
        return
    this.daemon = False
    try:
        yield
    finally:
        this.daemon = True
