"""The public contract over tasks of our own, as small as they can be."""

from __future__ import annotations

from asha_core.testing import TaskContract
from tests.trials import jobs
from trials.task import Task
from trials.tasks.dummy import Dummy


class TestDummy(TaskContract):
    def task(self) -> Task:
        return Dummy()


class TestFunction(TaskContract):
    def task(self) -> Task:
        return jobs.function_task(jobs.work)
