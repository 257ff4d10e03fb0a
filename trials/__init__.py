"""Trials: the tasks that are tuned, and the workers that train them."""

from __future__ import annotations

from trials.checkpoints.rebuild import load_model
from trials.spec import TaskSpec
from trials.task import FunctionTask, Task, TorchTask
from trials.test_data import Final, measure_on_test_data
from trials.trial import Trial

__all__ = [
    "Final",
    "FunctionTask",
    "Task",
    "TaskSpec",
    "TorchTask",
    "Trial",
    "load_model",
    "measure_on_test_data",
]
