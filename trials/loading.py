"""From a checkpoint back to a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asha_core.errors import AshaError, ResultsError, TaskError
from asha_core.runtime.storage.paths import user_path
from asha_core.user_files import names_a_file
from trials.checkpoints.files import load_checkpoint
from trials.spec import TaskSpec, check_options
from trials.task import Task, check_task
from trials.torch_task.torch_task import TorchTask

_READ = "Result.load(directory).load_state(), or trials.checkpoints.files.load_checkpoint(path)['state']"
_OURS = "trials.tasks."  # tasks that came with this package: whoever could change them needs no checkpoint


def load_model(path: str | Path, task: type[Task] | Task | str | None = None) -> tuple[Any, dict[str, Any]]:
    """Rebuild a trained model from a checkpoint such as ``checkpoints/best.pt``.

    Args:
        path: a checkpoint, or a results directory, whose ``checkpoints/best.pt`` is taken.
        task: what was tuned: its class, which is built with the arguments that are kept in the checkpoint; or
            an object of it; or "package.module:Name". Not needed for a task that comes with this package.
    Returns:
        What the task's ``trained_model`` makes of the state, and the checkpoint without it (resource,
        configuration, task). Of a ``TorchTask`` the network in eval mode on the CPU, with the weights that
        its value was measured with (their moving average, if the trial has one).
    Raises:
        ResultsError: no such checkpoint, a damaged one, one of a task without ``trained_model``, or one
            of a task that was not given.

    Nothing in a results directory is executed: what a checkpoint names is not imported, unless it is a task
    of this package.
    """
    return rebuilt(path, task, {})[1:]


def rebuilt(
    path: str | Path, task: type[Task] | Task | str | None, changes: Mapping[str, Any]
) -> tuple[Task, Any, dict[str, Any]]:
    """As ``load_model``, with the task.

    Args:
        changes: of the task's arguments that are kept in the checkpoint; not for a task that is given as an
            object.
    """
    path = user_path(path)
    content = load_checkpoint(path / "checkpoints" / "best.pt" if path.is_dir() else path)
    state, values = content.pop("state", None), content.get("configuration")
    target, options = _origin(content, path)
    if task is None:
        task = _its_own(target, path)
    kind = TaskSpec(task).load() if isinstance(task, str) else task
    if not _gives_models(kind):
        raise ResultsError(
            f"{path} was written by {target}, and {_name(kind)} is no TorchTask and has no trained_model: "
            f"read what was saved with {_READ}"
        )
    if not isinstance(values, dict) or (issubclass(_class_of(kind), TorchTask) and not _of_torch(state)):
        raise ResultsError(
            f"{path} was written by {target}, and not by TorchTask.run: read what it saved with {_READ}"
        )
    if isinstance(kind, type):
        if options is None:
            raise ResultsError(
                f"{path} does not say with which arguments {target} was made: give the task itself, as in "
                f"load_model(path, task={kind.__name__}(...))"
            )
        kind = _build(kind, {**options, **changes})
    check_task(kind, f"task {_name(kind)}")
    try:
        model = kind.trained_model(kind.space.restored(values), state)
    except ResultsError as error:
        raise ResultsError(
            f"the model of {_name(kind)} is not the one of {path}, which was written by {target}: {error}"
        ) from None
    return kind, model, content


def _class_of(task: Any) -> type:
    return task if isinstance(task, type) else type(task)


def _gives_models(task: Any) -> bool:
    """Whether it is a task, or a class of tasks, that makes a model of what a trial saved."""
    kind = _class_of(task)
    return issubclass(kind, Task) and kind.trained_model is not Task.trained_model


def _of_torch(state: Any) -> bool:
    return isinstance(state, dict) and "model" in state


def _origin(content: dict[str, Any], path: Path) -> tuple[str, dict[str, Any] | None]:
    """The task that a checkpoint says it is of: its import path, and its arguments if they are known."""
    origin = content.get("task")
    if not isinstance(origin, dict) or not isinstance(origin.get("target"), str):
        raise ResultsError(f"{path} does not say which task it is of")
    options = origin.get("options")
    return origin["target"], options if isinstance(options, dict) else None


def _its_own(target: str, path: Path) -> str:
    """The target, if importing it runs nobody else's code."""
    if target.startswith(_OURS):
        return target
    module, _, name = target.rpartition(":")
    last = name.rpartition(".")[2]
    command = f"; asha-test takes --task {target}"
    give = f"write `from {module} import {name}` and load_model(path, task={name}){command}"
    if names_a_file(module):
        give = f"write load_model(path, task={target!r}){command}"
    elif module == "__main__" or last != name:  # of a notebook or a prompt, or made by a function
        give = f"where {last} is defined, write load_model(path, task={last})"
    raise ResultsError(
        f"{path} was written by the task {target}, and a checkpoint does not decide what is imported: {give}"
        "; what a plain function saved is in trials.checkpoints.files.load_checkpoint(path)['state']"
    )


def _build(kind: type[Task], options: dict[str, Any]) -> Task:
    check_options(kind, options, _name(kind))
    try:
        return kind(**options)
    except AshaError:
        raise
    except Exception as error:
        raise TaskError(f"task {_name(kind)} cannot be built: {type(error).__name__}: {error}") from error


def _name(task: Any) -> str:
    kind = task if isinstance(task, type) or callable(task) else type(task)
    return f"{kind.__module__}:{kind.__qualname__}" if hasattr(kind, "__qualname__") else repr(task)
