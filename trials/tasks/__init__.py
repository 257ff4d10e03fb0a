"""Tasks that come with the package, one problem a file, by the names that ``--task`` takes."""

from __future__ import annotations

from asha_core.errors import TaskError, nearest

TASKS = {
    "digits": "trials.tasks.digits:Digits",
    "cifar10": "trials.tasks.cifar:Cifar10",
    "cifar100": "trials.tasks.cifar:Cifar100",
    "fashion-mnist": "trials.tasks.fashion_mnist:FashionMnist",
    "imagenet": "trials.tasks.imagenet:ImageNet",
    "dummy": "trials.tasks.dummy:Dummy",
}


def task_target(name: str) -> str:
    """The import path of a task: a name of the package's own, or "package.module:ClassName" as it is.

    Raises:
        TaskError: neither.
    """
    if name in TASKS:
        return TASKS[name]
    if ":" in name:
        return name
    raise TaskError(f"unknown task {name!r}{nearest(name, TASKS)}; or mypackage.mymodule:MyTask")
