"""What the engine asks of whatever runs jobs: processes, this very process, a cluster, a simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from asha_core.messages import Event, Failed, Job, Lost


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A slot's worker is up. ``seconds`` is what it took from the start of its process (imports, mostly)."""

    slot: int
    pid: int
    device: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people want to hear of, and that changes no decision: a damaged checkpoint, say.

    once: the same text from other workers and of other trials says nothing new.
    """

    text: str
    slot: int | None = None
    trial: int | None = None
    once: bool = False


@dataclass(frozen=True, slots=True)
class Retired:
    """A slot is given up: no worker can be started there. The search goes on with the others."""

    slot: int
    reason: str


ExecutorEvent = Event | WorkerReady | Notice | Retired


class Executor(Protocol):
    """Runs jobs in slots, one at a time in each, and tells what happened.

    The contract, tested over every implementation:

    * ``free()`` lists the slots that can take a job now; ``submit`` to another is an error. A slot that was
      ``Retired`` is never free again.
    * For each submitted job, exactly one closing event comes back (the report at ``job.until``,
      ``Failed``, ``Rejected`` or ``Lost``), unless the executor is closed first.
    * The events of one job come in order. When its closing event is out, its slot is free, and its
      checkpoint is on disk.
    * After ``kill(slot, event)`` the job's closing event is ``event``, unless it had closed by itself before.
    * After ``stop()`` jobs close as soon as they can without losing what they trained: with the report at
      ``job.until``, or as ``Lost(kind="stopped")``.
    * ``close()`` may be called twice, and leaves no process behind.
    """

    @property
    def devices(self) -> Sequence[str]:
        """What each slot runs on, such as "cuda:0": slots of one name share a device."""
        ...

    def free(self) -> Sequence[int]:
        """Slots that can take a job now."""
        ...

    def submit(self, job: Job, slot: int) -> None:
        """Hand a job to a free slot."""
        ...

    def wait(self, timeout: float) -> list[ExecutorEvent]:
        """Events that have come; blocks up to ``timeout`` seconds for the first."""
        ...

    def kill(self, slot: int, event: Failed | Lost) -> None:
        """End a slot's worker at once, with all that it started; ``event`` closes its job."""
        ...

    def stop(self) -> None:
        """Ask what runs to stop at the next place from which it can go on later."""
        ...

    def close(self) -> None:
        """End every worker."""
        ...


@runtime_checkable
class VirtualExecutor(Executor, Protocol):
    """Runs jobs in virtual time: its ``wait`` takes no real time, and moves the search's clock on.

    Its workers are always there, and tell no ``WorkerReady``. In a search that is resumed, jobs that ran are
    not begun anew: they are taken up where they were.
    """

    def knows(self, job: Job) -> None:
        """A job that an earlier session handed out."""
        ...

    def take_up(self, job: Job, slot: int, began: float, told: int) -> None:
        """A job runs in a slot since ``began``, and so many of its events were told; after ``knows``.

        Called in the order in which the jobs' last events were told.
        """
        ...
