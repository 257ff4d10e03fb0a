"""What becomes of a trial whose job ended without its last report: tried again, failed, or never counted.

The scheduler decides by these rules, and whoever reads its journal later comes to the same answer by them.
"""

from __future__ import annotations

from typing import NamedTuple

from asha_core.messages import Failed, Lost, Rejected
from asha_core.schedulers.state import Status


class Ending(NamedTuple):
    """What a trial is after a job that went wrong."""

    status: Status  # WAITING: it is tried again; FAILED: it is not; REJECTED: nor does it count anywhere
    faults: int  # how often its worker died or hung, up to now
    alone: bool  # it ran out of memory once: from now on no other job runs on its device


def is_rejection(event: object, reached: int) -> bool:
    """Whether ``event`` screens a trial out; once it has ``reached`` a unit, it is too late for that."""
    invalid = isinstance(event, Failed) and event.kind == "invalid"
    return reached == 0 and (invalid or isinstance(event, Rejected))


def job_ended(
    event: Failed | Lost | Rejected, *, reached: int, faults: int, alone: bool, max_retries: int
) -> Ending:
    """Apply the rules to the event that ended a job.

    Args:
        reached: units that the trial has reported.
        faults, alone: as before the event.
        max_retries: how often a trial whose worker died or hung is tried again.

    >>> job_ended(Lost(0, 0, "gone"), reached=1, faults=2, alone=False, max_retries=2).status.name
    'FAILED'
    """
    if is_rejection(event, reached):
        status = Status.REJECTED
    elif isinstance(event, Lost):
        faults += event.counts
        status = Status.FAILED if faults > max_retries else Status.WAITING
    elif isinstance(event, Failed) and event.kind == "oom" and not alone:
        status, alone = Status.WAITING, True
    else:
        status = Status.FAILED
    return Ending(status, faults, alone)
