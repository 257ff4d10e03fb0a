"""What the engine, the schedulers and the workers say to each other: small immutable records.

Commands go down (``Job``), events come up (``Report``, ``Finished``, ``Refined``, ``Rejected``,
``Failed``, ``Lost``), and a scheduler answers each event with a ``Verdict``. ``Job`` and ``Report``, of
which there are very many, are named tuples, which are several times cheaper to make and to pickle than
dataclasses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from asha_core.space import Configuration

EARLIER = 64  # of what earlier warm starts learned a job has no more than this
_NONE: Mapping[str, float] = {}  # shared by every report without metrics or costs; nobody writes to it


class Verdict(Enum):
    """What becomes of a trial after an event."""

    CONTINUE = "continue"  # it goes on
    # its job is done; it keeps its checkpoint and may be asked for again with a later ``until``
    PAUSE = "pause"
    STOP = "stop"  # it never runs again


class Job(NamedTuple):
    """Train one trial from ``start`` to ``until`` completed units of resource.

    Attributes:
        trial: the trial's number, counted from 0 in the order of sampling.
        configuration: what to train with.
        start: units completed and reported before; 0 for a fresh trial. Checkpoints of later units
            are not to be used: their reports never arrived.
        until: the unit after which the job ends.
        attempt: 0, and one more each time the job was lost or ran out of memory.
        seed: the trial's own seed, a function of (run seed, trial).
        refine: a warm start may change the configuration before the job's first unit: of a fresh trial, or,
            for warm starts that act there, of one that is promoted.
        alone: no other job may run on its device meanwhile; it ran out of memory before.
        earlier: for a warm start that learns: what earlier ones of this search have put under "learned" in
            their diagnostics, the last ``EARLIER`` of them, oldest first; empty where ``refine`` is false.
    """

    trial: int
    configuration: Configuration
    start: int
    until: int
    attempt: int
    seed: int
    refine: bool = False
    alone: bool = False
    earlier: tuple[Any, ...] = ()


class Report(NamedTuple):
    """The metric after ``resource`` completed units (1-based).

    Attributes:
        value: the metric that is optimised; NaN and infinities rank last.
        seconds: time the worker spent on this unit, training and evaluation.
        metrics: anything else worth keeping, as numbers.
        costs: of this unit, by name: seconds of its phases, floating point operations, bytes of memory.
        unread: names of the configuration that nothing has read in the trial's first units; None: not told.
    """

    trial: int
    attempt: int
    resource: int
    value: float
    seconds: float
    metrics: Mapping[str, float] = _NONE
    costs: Mapping[str, float] = _NONE
    unread: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The trial ends early by itself, after ``resource`` units: more of them would not change its value.

    Its last value counts at every rung above that it gets to, and it is never asked for again. If
    ``resource`` is the job's ``until``, the report of that unit follows, and closes the job.
    """

    trial: int
    attempt: int
    resource: int


@dataclass(frozen=True, slots=True)
class Refined:
    """What the warm start made of a configuration, and what it cost.

    ``resource`` is how many units the trial had completed by then: 0, or more of one that was promoted.
    """

    trial: int
    configuration: Configuration
    seconds: float
    # JSON-able: the gradient by dimension, the step, losses, notes; "learned": for later warm starts
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    # beside seconds, by name: floating point operations, bytes of memory
    costs: Mapping[str, float] = field(default_factory=dict)
    resource: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """The warm start screened the configuration out: it never enters a rung."""

    trial: int
    reason: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failed:
    """The task raised, or took too long.

    Its ``kind`` is

    - "error";
    - "setup" if it was an ``AshaError``, a mistake that other trials may share;
    - "invalid" if it was a ``ConfigurationError``: this configuration cannot be trained, and counts nowhere;
    - "oom" if memory ran out: it is tried once more, alone on its device;
    - "timeout" if it trained longer than a trial may.
    """

    trial: int
    attempt: int
    error: str
    kind: str = "error"


@dataclass(frozen=True, slots=True)
class Lost:
    """A job ended without a result, and is asked for again.

    Its ``kind`` is "died" or "hung", of its worker: the trial may be the reason, so it is tried again a
    bounded number of times. Or it is nobody's fault, and tried again without a bound:

    - "stopped" with the search;
    - "engine" if the engine died;
    - "disk" if it was full;
    - "not-begun" if no worker could be started for it.
    """

    trial: int
    attempt: int
    reason: str
    kind: str = "died"

    @property
    def counts(self) -> bool:
        """Whether it uses up one of the trial's retries."""
        return self.kind in ("died", "hung")


@dataclass(frozen=True, slots=True)
class Retried:
    """A trial that had failed for good is tried again, for what it failed of has been mended.

    It goes on from the last unit that it reported. What was decided while it counted as the worst stays so.
    """

    trial: int


Event = Report | Finished | Refined | Rejected | Failed | Lost | Retried


def closes(event: Event, job: Job) -> bool:
    """Whether ``event``, of the job's trial, is the last one of ``job``."""
    if isinstance(event, Report):
        return event.resource >= job.until and event.attempt == job.attempt
    if isinstance(event, Finished):
        return event.resource < job.until and event.attempt == job.attempt
    if isinstance(event, Failed | Lost):
        return event.attempt == job.attempt
    return isinstance(event, Rejected)
