"""What the engine asks of whatever runs jobs: processes, this very process, a cluster, a simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from asha_core.messages import Event, Job


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A slot's worker is up. ``seconds`` is what its start took (importing torch, mostly)."""

    slot: int
    pid: int
    device: str
    seconds: float


ExecutorEvent = Event | WorkerReady


class Executor(Protocol):
    """Runs jobs in slots, one at a time in each, and tells what happened.

    The contract, tested over every implementation:

    * ``free()`` lists the slots that can take a job now; ``submit`` to another is an error.
    * For each submitted job, exactly one closing event comes back (the report at ``job.until``,
      ``Failed``, ``Rejected`` or ``Lost``), unless the executor is closed first.
    * The events of one job come in order. When its closing event is out, its slot is free, and its
      checkpoint is on disk.
    * ``close()`` may be called twice, and leaves no process behind.
    """

    @property
    def devices(self) -> Sequence[str]:
        """The device of each slot: "cuda:0", "cpu"."""
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

    def close(self) -> None:
        """End every worker."""
        ...
