"""What is tuned: the Task protocol, and plain functions. PyTorch users: ``trials.TorchTask``."""

from __future__ import annotations

import inspect
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from asha_core.arguments import one_of, plain_values, shown, text
from asha_core.errors import SettingError, TaskError
from asha_core.searchers.base import space_and_seed
from asha_core.space import Configuration, SearchSpace
from asha_core.streams import stream_seed
from asha_core.user_files import file_of
from warmstart.base import BlackBox, Problem

if TYPE_CHECKING:
    from trials.trial import Trial

MODES = ("max", "min")


class Task(ABC):
    """A problem to tune: a search space, a metric, and how to train one trial.

    Class attributes that a task may set:
        space: the search space, or a dictionary that ``SearchSpace`` takes (required).
        metric: name of what ``trial.report`` reports.
        mode: "max" or "min".
        unit: name of one unit of resource.
        measured_on: what a reported value was measured on, for people, where that is not validation data.
        min_resource, max_resource, reduction_factor: defaults for the scheduler.
        preload: names of modules that take long to import, which are loaded once for all workers.

    One instance lives in each worker process; it may keep what is slow to load (the data).
    """

    space: SearchSpace
    metric: str = "accuracy"
    mode: str = "max"
    unit: str = "epoch"
    measured_on: str = ""
    min_resource: int = 1
    max_resource: int = 81
    reduction_factor: int = 3
    preload: Sequence[str] = ()
    _arguments: _Arguments

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        _make_space(cls)

    def __new__(cls, *positional: Any, **named: Any) -> Self:
        """Remember the arguments, so that ``describe`` can tell how to build the task again."""
        task = super().__new__(cls)
        given: dict[str, Any] = {}
        task._arguments = _Arguments(given)
        if cls.__init__ is not object.__init__:
            signature = inspect.signature(cls.__init__)
            bound = signature.bind_partial(task, *positional, **named).arguments
            for name, parameter in list(signature.parameters.items())[1:]:
                if parameter.kind is parameter.VAR_KEYWORD:
                    given |= bound.get(name, {})
                elif name in bound:
                    given[name] = bound[name]
        elif positional or named:  # Python leaves this to whichever of __new__ and __init__ is not its own
            raise TypeError(f"{cls.__name__}() takes no arguments")
        return task

    def prepare(self) -> None:  # noqa: B027 - a hook that may stay as it is
        """Called once before any worker starts: check for data, download it.

        Raises:
            TaskError: something is missing; the message says where to put it.
        """

    def setup(self, device: str) -> None:  # noqa: B027 - likewise
        """Called once in each worker before its first job: load what is slow to load."""

    @abstractmethod
    def run(self, trial: Trial) -> None:
        """Train from ``trial.resume_from()`` to ``trial.until``, reporting every unit."""

    def warm_start_loss(self, config: Configuration, seed: int) -> float:
        """The loss after a little training, lower is better: what a warm start measures where there is no
        network to differentiate (a tree model, an environment). Optional.

        Args:
            seed: of all randomness in it: the same seed, the same samples and the same noise.
        """
        raise NotImplementedError

    def problem(self, seed: int, device: str) -> Problem:
        """What a warm start may look at, for the trial with this seed."""
        if type(self).warm_start_loss is Task.warm_start_loss:
            return PlainProblem(self.space)

        def evaluate(config: Configuration, draw: int) -> float:
            return self.warm_start_loss(config, stream_seed(seed, "warm-start", draw))

        return BlackBox(self.space, evaluate)

    def promoted_problem(self, trial: Trial, state: Any) -> Problem:
        """What a warm start may look at where a trial is promoted. Optional; it has ``promoted = True``.

        Args:
            trial: with ``trial.done`` units completed; nothing can be reported.
            state: what it saved after those.
        """
        raise NotImplementedError

    def has_promoted_problem(self) -> bool:
        """Whether there is a ``promoted_problem``."""
        return type(self).promoted_problem is not Task.promoted_problem

    def has_losses(self) -> bool:
        """Whether ``problem`` has a loss to measure."""
        kind = type(self)
        return kind.problem is not Task.problem or kind.warm_start_loss is not Task.warm_start_loss

    def trained_model(self, config: Configuration, state: Any) -> Any:
        """What a trial has trained, ready to predict: what ``trials.load_model`` gives. Optional.

        Args:
            state: what was given to ``trial.save``, tensors on the CPU.
        Raises:
            ResultsError: this is no state of this task's.
        """
        raise NotImplementedError

    def measure_test(self, model: Any, config: Configuration, device: str) -> TestScore:
        """Measure a trained model on data that no trial sees, for ``asha-test``. Optional.

        Args:
            model: of ``trained_model``, which the task must have, too.
            config: the configuration that it was trained with.
            device: for torch.
        Raises:
            TaskError: there is no such data.
        """
        raise TaskError(
            f"task {type(self).__name__} has no test data: give it a method measure_test(model, config, "
            "device) that gives a trials.TestScore"
        )

    def has_test_data(self) -> bool:
        """Whether there is data that no trial sees, for ``asha-test``."""
        return type(self).measure_test is not Task.measure_test

    def plan_notes(self) -> Sequence[str]:
        """Lines for who searches, said when a search begins and by ``--plan``: what may not be expected."""
        return ()

    def checkpoint_bytes(self) -> int | None:
        """About how large one checkpoint of a trial is, for plans; None: not known."""
        return None

    def describe(self) -> dict[str, Any]:
        """How to build this task again: {"target": "module:Name", "options": {...}}.

        The options are the constructor's arguments, numpy's values as Python's own; None if JSON cannot
        give them back (an Enum, too), and then a checkpoint cannot be turned back into a model by itself.
        """
        kind = type(self)
        return {"target": f"{_module(kind)}:{kind.__qualname__}", "options": self._arguments.options}


@dataclass(frozen=True, slots=True)
class TestScore:
    """What a trained model does on test data.

    Attributes:
        value: the metric, as in a validation.
        count: of what it was measured on: samples, episodes.
        loss: the held-out loss; None: the task knows none.
        confusion: (classes, classes) counts, a row for each true class; None where there are no classes.
        what: one of these, for people.
    """

    __test__ = False  # it is no test of pytest's

    value: float
    count: int
    loss: float | None = None
    confusion: list[list[int]] | None = None
    what: str = "sample"


class _Arguments:
    """What a task was made with; to another process goes only what ``describe`` tells of it."""

    def __init__(self, given: dict[str, Any] | None) -> None:
        self._given = given

    @cached_property
    def options(self) -> dict[str, Any] | None:
        """As ``describe`` gives them."""
        if self._given is None:
            return None
        try:
            options: dict[str, Any] = plain_values(self._given)
            json.dumps(options)
        except (TypeError, ValueError, RecursionError):
            return None
        return options

    def __reduce__(self) -> tuple[type[_Arguments], tuple[dict[str, Any] | None]]:
        known = self.options is not None
        return _Arguments, (self._given if known else None,)  # the very values, which the task may hold, too


def _make_space(holder: Any) -> None:
    """Make a ``SearchSpace`` of what a task, or a class of tasks, has as a dictionary."""
    space: Any = vars(holder).get("space")
    if isinstance(space, Mapping) and space:
        holder.space = space_of(space)


def space_of(space: SearchSpace | Mapping[str, Any]) -> SearchSpace:
    """A search space, also of a plain dictionary.

    Raises:
        SettingError: it is neither.
        SpaceError: a dictionary that is none of dimensions.
    """
    return space_and_seed(space, 0)[0]


def check_task(task: Task, name: str) -> None:
    """Raise ``TaskError`` for a task whose attributes cannot be used; makes a space of its dictionary.

    Args:
        name: of the task, for errors.
    """
    _make_space(task)
    if not isinstance(getattr(task, "space", None), SearchSpace):
        raise TaskError(f"{name} has no search space: set `space = SearchSpace({{...}})`")
    if task.mode not in MODES:
        raise TaskError(f'{name} has mode {task.mode!r}: it must be "max" or "min"')
    for attribute in ("metric", "unit", "measured_on"):
        if not isinstance(getattr(task, attribute), str):
            raise TaskError(f"{name} has {attribute} {shown(getattr(task, attribute))}: it must be text")


def _module(thing: Any) -> str:
    """Where a class or function is defined; for a script, the name that others can import it under."""
    module: str = thing.__module__
    if module in ("__main__", "__mp_main__"):
        script = getattr(sys.modules.get(module), "__file__", None) or "<stdin>"
        return "__main__" if script.startswith("<") else Path(script).stem
    return file_of(module) or module


class PlainProblem:
    """The problem of a task without a network to differentiate: a search space alone."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space

    def losses(self, configuration: Configuration) -> Any:
        """There are none."""
        raise TaskError(
            "this warm start needs a loss to measure, and the task has none: subclass trials.TorchTask, give "
            "the task a warm_start_loss(config, seed), or use --variation baseline or random-warm"
        )


class FunctionTask(Task):
    """A plain function ``train(trial)`` as a task.

    Args:
        function: wherever it is defined; what cannot be imported by its name is sent to worker processes.
        space: its search space.
        metric: name of what it reports.
        mode: "max" or "min".
    """

    def __init__(
        self,
        function: Callable[[Trial], None],
        space: SearchSpace | Mapping[str, Any],
        *,
        metric: str = "value",
        mode: str = "max",
    ) -> None:
        _check_function(function)
        self.function = function
        self.space = space_of(space)
        self.metric = text("metric", metric)
        self.mode = one_of("mode", mode, MODES)
        self.unit = "unit"
        if "torch" in sys.modules:  # the function's module, or the script, has imported it
            self.preload = ("torch", "torch._dynamo")

    def run(self, trial: Trial) -> None:
        """Call the function."""
        self.function(trial)

    def describe(self) -> dict[str, Any]:
        """The function's module and name."""
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return {"target": f"{_module(self.function)}:{name}", "options": {}}


def _check_function(function: object) -> None:
    """Raise ``SettingError`` for what cannot be called as ``train(trial)``, before any trial fails of it."""
    if isinstance(function, type):
        name = function.__name__
        ours = issubclass(function, Task)
        base = "" if ours else ", of a subclass of trials.Task"
        raise SettingError(f"train is the class {name}: give an object of it, such as {name}(){base}")
    if not callable(function):
        kind = type(function)
        of_a_task = callable(getattr(kind, "run", None))
        hint = f": write class {kind.__name__}(trials.Task)" if of_a_task else ""
        raise SettingError(f"train is {shown(function)}: it must be a function train(trial), or a Task{hint}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # not written in Python
        return
    try:
        signature.bind(object())
    except TypeError as error:
        raise SettingError(
            f"train is {shown(function)}, which cannot be called as train(trial): {error}; it is given one "
            "argument, the trial, and trial.config has the hyper-parameters"
        ) from None
    body = inspect.unwrap(function)
    call = body if inspect.isroutine(body) else type(body).__call__
    if inspect.iscoroutinefunction(call) or inspect.isgeneratorfunction(call):
        how = "yield" if inspect.isgeneratorfunction(call) else "async"
        raise SettingError(
            f"train is {shown(function)}, which does nothing when it is called: it has {how}; write a plain "
            "function that reports by trial.report(value)"
        )
