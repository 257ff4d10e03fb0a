"""One slot's workers, one after another."""

from __future__ import annotations

from typing import Any

import pytest

from asha_core.errors import WorkerError
from tests.trials import jobs
from trials.devices import Slot
from trials.executors import worker_slot
from trials.executors.worker_slot import StartLimits, WorkerSlot
from trials.worker.job_runner import WorkerSettings


def test_what_can_no_longer_be_sent_costs_the_slot_and_not_the_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as a script that is gone when a worker is replaced: the others go on. At first, it is told."""

    def refuse(*arguments: Any) -> Any:
        raise WorkerError("the script is not there")

    def slot() -> WorkerSlot:
        settings = WorkerSettings(jobs.function_task(jobs.reports), "run", max_resource=1)
        return WorkerSlot(0, Slot("cpu", "cpu"), settings, "token", StartLimits(pause=0.0))

    monkeypatch.setattr(worker_slot, "Worker", refuse)
    with pytest.raises(WorkerError, match="not there"):
        slot().start(dies_with_parent=True)

    begun = slot()
    monkeypatch.setattr(worker_slot, "Worker", lambda *arguments: object())
    assert begun.start(dies_with_parent=True)
    monkeypatch.setattr(worker_slot, "Worker", refuse)
    while not begun.given_up:
        assert not begun.start(dies_with_parent=True)
    assert begun.reason == "the script is not there"
