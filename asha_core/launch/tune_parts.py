"""What ``tune`` is given to search with: a task and a scheduler, made already or by name, and checked."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asha_core.arguments import instance, shown, text
from asha_core.errors import SettingError, TaskError
from asha_core.launch.registries import SCHEDULER
from asha_core.launch.replaceable import (
    ExecutorFactory,
    check_scheduler,
    executor_factory,
    make_observers,
    make_scheduler,
    make_searcher,
)
from asha_core.launch.resolve import give_limit
from asha_core.runtime.observers import Observer
from asha_core.schedulers.base import Scheduler
from asha_core.searchers.base import Searcher
from asha_core.space import SearchSpace
from trials.spec import TaskSpec
from trials.task import FunctionTask, Task, check_task, space_of
from trials.tasks import task_target

_OF_EVERY_SCHEDULER = (
    *("mode", "min_resource", "max_resource", "reduction_factor"),
    *("seed", "max_trials", "max_retries"),
)


def variation_name(variation: object) -> str:
    """The name of a warm start; objects and classes are told how they are named."""
    if not isinstance(variation, str) and hasattr(variation, "refine"):
        kind = variation if isinstance(variation, type) else type(variation)
        place = "file.py" if kind.__module__ == "__main__" else kind.__module__
        raise SettingError(
            f"variation is {shown(variation)}: a warm start is named, since every worker makes its own: give "
            f'"{place}:{kind.__qualname__}", and its settings as warm_start_options={{...}}'
        )
    return text("variation", variation)


@dataclass(frozen=True, slots=True)
class TuneParts:
    """What is searched, and how; checked, and nothing started."""

    task: Task
    scheduler: Scheduler
    own_settings: Mapping[str, Any] = field(default_factory=dict)  # of what is made here
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for beside the scheduler, if that is to be made here."""

    space: SearchSpace | Mapping[str, Any] | None
    searcher: Searcher | str | type[Searcher] | None
    scheduler_options: Mapping[str, Any] | None
    searcher_options: Mapping[str, Any] | None


def tune_parts(train: Any, scheduler: Any, wanted: Wanted, metric: str, *, ends: bool) -> TuneParts:
    """The task and the scheduler of a search.

    Args:
        train: a function, a task, or a task's name.
        scheduler: one that is made, its name, or its class.
        metric: of a function.
        ends: whether there is a budget.
    Raises:
        AshaError: one of them cannot be used, or they do not fit together; says what to write.
    """
    named = isinstance(scheduler, str) or (isinstance(scheduler, type) and issubclass(scheduler, Scheduler))
    if named:
        return _made_here(train, scheduler, wanted, metric, ends=ends)
    what = 'a scheduler, such as ASHA(space, max_trials=100), or the name of one, such as "asha"'
    instance("scheduler", scheduler, Scheduler, what)
    for name in ("space", "searcher", "scheduler_options", "searcher_options"):
        value = getattr(wanted, name)
        if _options(name, value) if name.endswith("options") else value is not None:
            raise SettingError(
                f"{name} is given beside a scheduler that is made already: give it to that one, or give the "
                f'scheduler by name, such as "{scheduler.name}"'
            )
    check_scheduler(scheduler, f"scheduler {type(scheduler).__name__}")
    task = _task(train, scheduler.space, metric, scheduler.mode)
    if task.mode != scheduler.mode:
        raise SettingError(f"the task has mode {task.mode!r} and the scheduler {scheduler.mode!r}")
    if scheduler.trial_limit is None and not ends:
        raise SettingError("the search would never end: give the scheduler max_trials, or give a budget")
    return TuneParts(task, scheduler)


def _made_here(train: Any, kind: Any, wanted: Wanted, metric: str, *, ends: bool) -> TuneParts:
    if isinstance(kind, str):
        SCHEDULER.check(text("scheduler", kind))
    options = _options("scheduler_options", wanted.scheduler_options)
    given = {key: options[key] for key in _OF_EVERY_SCHEDULER if options.get(key) is not None}
    own = {key: value for key, value in options.items() if key not in _OF_EVERY_SCHEDULER}
    space = None if wanted.space is None else space_of(wanted.space)
    if space is None and not isinstance(train, Task | str | type) and callable(train):
        example = "ASHA" if isinstance(kind, str) else kind.__name__
        raise SettingError(
            f"scheduler is {shown(kind)}, and a function says not what is searched: give space={{...}}, too, "
            f"or a scheduler that is made: {example}(space, max_trials=100)"
        )
    task = _task(train, space, metric, given.get("mode", "max"))
    if given.get("mode", task.mode) != task.mode:
        raise SettingError(f"the task has mode {task.mode!r} and scheduler_options {given['mode']!r}")
    searcher, of_searcher = _searcher(wanted, task.space, given.get("seed", 0))
    usual = {key: getattr(task, key) for key in ("mode", "min_resource", "max_resource", "reduction_factor")}
    if searcher is not None:
        given["searcher"] = searcher
    made = make_scheduler(kind, task.space, given, {**usual, "seed": 0}, own)
    notes = []
    if made.trial_limit is None and not ends:
        give_limit(made)
        notes.append(
            f"no limit given: stopping after {made.trial_limit} trials (give a budget, or "
            'scheduler_options={"max_trials": ...})'
        )
    return TuneParts(task, made, of_searcher | ({"scheduler_option": own} if own else {}), notes)


def _searcher(wanted: Wanted, space: SearchSpace, seed: int) -> tuple[Searcher | None, dict[str, Any]]:
    """The searcher, None for the scheduler's own; and its own settings, for the manifest."""
    own = _options("searcher_options", wanted.searcher_options)
    kind = wanted.searcher
    if kind is None or isinstance(kind, Searcher):
        if own:
            raise SettingError("searcher_options go with a searcher that is named: give searcher, too")
        return kind, {}
    if not isinstance(kind, str) and not (isinstance(kind, type) and issubclass(kind, Searcher)):
        raise SettingError(
            f"searcher is {shown(kind)}: it must be a searcher, such as RandomSearch(space, seed), or the "
            'name of one, such as "sobol"'
        )
    return make_searcher(kind, space, seed, own), {"searcher_option": own} if own else {}


def _task(train: Any, space: SearchSpace | None, metric: str, mode: str) -> Task:
    if isinstance(train, str):
        train = _named_task(train)
    if not isinstance(train, Task):
        searched: Any = space  # None only if it is no function, which is told first
        return FunctionTask(train, searched, metric=metric, mode=mode)
    check_task(train, f"the task {type(train).__name__}")
    if space is None or train.space == space:
        return train
    task = copy.copy(train)  # such as a frozen one: warm starts move in what is searched
    task.space = space
    return task


def _named_task(name: str) -> Task:
    text("train", name)
    try:
        return TaskSpec(task_target(name)).build()
    except TaskError as error:
        raise SettingError(f"train is {name!r}: {error}") from error


def _options(name: str, options: Any) -> dict[str, Any]:
    if options is None:
        return {}
    return dict(instance(name, options, Mapping, "a mapping from settings to values"))


def observers_of(observers: Any) -> list[Observer]:
    """The observers that ``tune`` was given: objects, or names.

    Raises:
        SettingError: it is no list; one of the names cannot be had.
    """
    kind = "a list of observers, such as [MyObserver()]"
    if isinstance(observers, str | bytes):
        raise SettingError(f"observers is {shown(observers)}: it must be {kind}")
    found: list[Observer] = []
    for observer in instance("observers", observers, Sequence, kind):
        found += make_observers([observer], {}) if isinstance(observer, str) else [observer]
    return found


def executor_of(executor: Any, options: Any) -> ExecutorFactory | None:
    """What makes the executor that ``tune`` was given; None: this package's own.

    Raises:
        SettingError: it is an executor that is made already, or cannot be had.
    """
    own = _options("executor_options", options)
    if executor is None:
        if own:
            raise SettingError("executor_options go with an executor: give that, too")
        return None
    return executor_factory(text("executor", executor) if isinstance(executor, str) else executor, own)
