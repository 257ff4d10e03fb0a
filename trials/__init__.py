"""Trials: the tasks that are tuned, and the workers that train them."""

from __future__ import annotations

from asha_core.own_packages import claim

claim("trials", "warmstart")

from trials.devices import Slot
from trials.final_test import Final, measure_on_test_data
from trials.loading import load_model
from trials.spec import TaskSpec
from trials.task import FunctionTask, Task, TestScore
from trials.torch_task.torch_task import TorchTask
from trials.trial import Trial
from trials.worker.job_runner import JobRunner, WorkerSettings

__all__ = [
    "Final",
    "FunctionTask",
    "JobRunner",
    "Slot",
    "Task",
    "TaskSpec",
    "TestScore",
    "TorchTask",
    "Trial",
    "WorkerSettings",
    "load_model",
    "measure_on_test_data",
]
