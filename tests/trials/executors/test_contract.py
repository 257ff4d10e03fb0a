"""The public contract over our own executors."""

from __future__ import annotations

import pytest

from asha_core.testing import ExecutorContract
from trials.devices import Slot
from trials.executors.inline import InlineExecutor
from trials.executors.pool import ProcessPool
from trials.worker.job_runner import WorkerSettings


class TestInline(ExecutorContract):
    runs_in_wait = True

    def executor(self, settings: WorkerSettings, slots: list[Slot]) -> InlineExecutor:
        return InlineExecutor(settings)


@pytest.mark.processes
class TestPool(ExecutorContract):
    def executor(self, settings: WorkerSettings, slots: list[Slot]) -> ProcessPool:
        return ProcessPool(settings, slots)
