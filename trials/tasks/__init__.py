"""Tasks that come with the package, one problem a file, by the names that ``--task`` takes."""

from __future__ import annotations

from asha_core.errors import TaskError
from asha_core.plugins import Plugins

TASKS = {
    "digits": "trials.tasks.digits:Digits",
    "cifar10": "trials.tasks.cifar:Cifar10",
    "cifar100": "trials.tasks.cifar:Cifar100",
    "fashion-mnist": "trials.tasks.fashion_mnist:FashionMnist",
    "imagenet": "trials.tasks.imagenet:ImageNet",
    "tabular": "trials.tasks.tabular:Tabular",
    "atari": "trials.tasks.atari:Atari",
    "language": "trials.tasks.language:Language",
    "dummy": "trials.tasks.dummy:Dummy",
}


TASK = Plugins("task", "asha_core.tasks", "MyTask", TASKS, TaskError)


def task_target(name: str) -> str:
    """Where a task is: the package's own by name, one that another package registers, or a path as it is.

    Raises:
        TaskError: neither.
    """
    return TASK.target(name)
