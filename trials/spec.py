"""How a task is named and built: "package.module:ClassName" and options, here or in a worker."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asha_core.errors import AshaError, SettingError, TaskError, nearest
from asha_core.import_paths import load
from trials.task import Task, check_task


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """How to build a task, here or in a worker: an import path and options.

    Attributes:
        target: "package.module:ClassName", or "path/file.py:ClassName".
        options: keyword arguments of the class, JSON-able.
        frozen: dimensions of its search space that are held at one value.
    """

    target: str
    options: Mapping[str, Any] = field(default_factory=dict)
    frozen: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Task:
        """Import and construct.

        Raises:
            TaskError: the module or class is not there, or is no Task.
            SettingError: it does not take these options.
            ConfigurationError: a dimension cannot be frozen so.
        """
        kind = self.load()
        if isinstance(kind, Task):
            if self.options:
                raise SettingError(
                    f"task {self.target} is an object, made with its options already: it takes no more of "
                    f"them, such as {next(iter(self.options))}"
                )
            task = kind
        elif isinstance(kind, type) and issubclass(kind, Task):
            check_options(kind, self.options, self.target)
            try:
                task = kind(**self.options)
            except AshaError:
                raise
            except Exception as error:
                raise TaskError(
                    f"task {self.target} cannot be built: {type(error).__name__}: {error}"
                ) from error
        else:
            raise TaskError(
                f"task {self.target} is {kind!r}: it must be a subclass of trials.Task or "
                "trials.TorchTask (for a plain function use asha_core.tune)"
            )
        check_task(task, f"task {self.target}")
        if self.frozen:
            task = copy.copy(task)  # it may be a module's own
            task.space = task.space.freeze(**self.frozen)
        return task

    def load(self) -> Any:
        """Import the class, without building it.

        Raises:
            TaskError: it is not there.
        """
        return load(self.target, "task", "MyTask", TaskError)


def option_names(kind: type[Task]) -> list[str]:
    """The keyword arguments that a task class takes."""
    if kind.__init__ is object.__init__:
        return []
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def takes_option(kind: type[Task], name: str) -> bool:
    """Whether a task class takes this keyword argument, by name or as one of ``**options``."""
    if name in option_names(kind):
        return True
    if kind.__init__ is object.__init__:
        return False
    parameters = inspect.signature(kind.__init__).parameters.values()
    return any(p.kind is p.VAR_KEYWORD for p in parameters)


def check_options(kind: type[Task], options: Mapping[str, Any], target: str) -> None:
    """Raise ``SettingError`` for an option that the task class does not take."""
    for name in options:
        if not takes_option(kind, name):
            raise SettingError(f"task {target} takes no option {name!r}{nearest(name, option_names(kind))}")
