"""Slots that are given up: what people are told of each, and the error when none is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from asha_core.errors import AshaError, WorkerError
from asha_core.messages import Lost
from asha_core.runtime.executor import ExecutorEvent, Retired
from trials.executors.worker_slot import WorkerSlot


def events_of(slots: Sequence[WorkerSlot]) -> Iterator[ExecutorEvent]:
    """Of each slot given up since the last call: that it was, and that a job which waits there is lost."""
    for slot in slots:
        if slot.reason is None or slot.announced:
            continue
        slot.announced = True
        yield Retired(slot.index, slot.reason)
        if slot.job is not None:
            yield slot.lose_job(slot.reason, "not-begun")


def is_part_of_one(event: ExecutorEvent) -> bool:
    """Whether ``events_of`` gave it."""
    return isinstance(event, Retired) or (isinstance(event, Lost) and event.kind == "not-begun")


def why_none_is_left(slots: Sequence[WorkerSlot], ever_ready: bool) -> AshaError | None:
    """Why the search cannot go on; None while there is a slot that may still get a worker.

    Args:
        ever_ready: there was a worker that could be started.
    """
    if not all(slot.given_up for slot in slots):
        return None
    for slot in slots:
        if slot.start_error is not None and not ever_ready:
            return slot.start_error
    return WorkerError(next(slot.reason for slot in slots if slot.reason is not None))
