"""From options to the parts of a search: task, searcher, scheduler and warm start; nothing is started."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asha_core.errors import ConfigurationError, SettingError
from asha_core.import_paths import is_path, label
from asha_core.launch.option_table import OPTIONS
from asha_core.launch.registries import SCHEDULER
from asha_core.launch.replaceable import (
    ExecutorFactory,
    check_observers,
    executor_factory,
    make_scheduler,
    make_searcher,
)
from asha_core.launch.simulated_options import is_simulated
from asha_core.launch.start_points import read_start_points
from asha_core.launch.types import ChosenWarmStart, choose_warm_start, recorded_warm_start
from asha_core.schedulers.base import Scheduler
from asha_core.searchers.base import Searcher
from asha_core.searchers.listed import Listed
from trials.spec import TaskSpec, takes_option
from trials.task import Task
from trials.tasks import task_target
from warmstart.registry import VARIATIONS, is_variation, strategy_names, variation_names

if TYPE_CHECKING:
    from asha_core.launch.simulated import Simulation

DEFAULT_TRIALS = 100
_RUNGS = ("min_resource", "max_resource", "reduction_factor")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a search consists of, made and checked."""

    spec: TaskSpec  # how workers build the task
    task: Task  # in this process
    scheduler: Scheduler
    warm_start: ChosenWarmStart
    executor: ExecutorFactory | None = None  # None: this package's own
    simulation: Simulation | None = None  # None: jobs are run


def resolve(options: Mapping[str, Any]) -> Parts:
    """The parts of the search that the options ask for; nothing is started.

    Raises:
        AshaError: one of them cannot be had.
    """
    scheduler_name, variation = split_variation(options["variation"], options["scheduler"])
    if is_simulated(options):
        return _simulated(options, scheduler_name, variation)
    if not is_variation(variation):
        raise SettingError(_unknown_variation(options["variation"]))
    warm_start = choose_warm_start(variation, options["warm_start_option"])
    # before the task's module is loaded, which may go to another folder
    file = options["start_points"]
    start = None if file is None else read_start_points(Path(file))
    spec = task_spec(options)
    task = spec.build()

    check_observers(options["observer"], options["observer_option"])
    name, own = options["executor"], options["executor_option"]
    if name is None and own:
        raise SettingError("--executor-option is given, and there is no executor: give --executor")
    executor = None if name is None else executor_factory(name, own)
    scheduler = _scheduler(options, scheduler_name, task, start)
    return Parts(spec, task, scheduler, warm_start, executor)


def _simulated(options: Mapping[str, Any], scheduler_name: str, arm: str) -> Parts:
    """The parts of a search over recorded curves."""
    from asha_core.launch.simulated import read_simulation

    simulation = read_simulation(
        options["curves"],
        arm,
        options["seed"],
        workers=options["workers"],
        faults=options["executor_option"],
        curves_options=options["curves_option"],
        decision_seconds=options["decision_seconds"],
    )
    check_observers(options["observer"], options["observer_option"])
    file, task = options["start_points"], simulation.task
    start = None if file is None else read_start_points(Path(file))
    scheduler = _scheduler(options, scheduler_name, task, start, simulation)
    spec = TaskSpec(task.describe()["target"], task.describe()["options"])
    return Parts(spec, task, scheduler, recorded_warm_start(arm), None, simulation)


def _scheduler(
    options: Mapping[str, Any],
    name: str,
    task: Task,
    start: Sequence[dict[str, Any]] | None,
    simulation: Simulation | None = None,
) -> Scheduler:
    named = options["searcher"] or getattr(SCHEDULER.load(name), "usual_searcher", "random")
    searcher = _searcher(options, named, task, start, simulation)
    asked = {key: options[key] for key in (*_RUNGS, "max_trials") if options[key] is not None}
    usual = {key: getattr(task, key) for key in ("mode", *_RUNGS)} | {"max_trials": None}
    if start is not None or named != "random":
        asked["searcher"] = searcher
    scheduler = make_scheduler(
        name,
        task.space,
        asked,
        {**usual, "searcher": searcher, **{key: options[key] for key in ("seed", "max_retries")}},
        options["scheduler_option"],
    )
    if simulation is not None:
        simulation.fit(scheduler)
    ends = any(map(options.get, ("max_trials", "budget", "gpu_hours"))) or named == "grid"
    if not ends and scheduler.trial_limit is None:
        give_limit(scheduler, None if simulation is None else simulation.size)
    return scheduler


def give_limit(scheduler: Scheduler, trials: int | None = None) -> None:
    """Let a search end of which nobody has said when.

    Args:
        trials: after how many; None: as many as it takes.
    """
    scheduler.max_trials = scheduler.enough_trials(DEFAULT_TRIALS) if trials is None else trials


def own_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest says of scheduler and searcher beside what they say themselves."""
    return {key: options[key] for key in ("scheduler_option", "searcher_option") if options[key]}


def _unknown_variation(name: str) -> str:
    known = list(dict.fromkeys([*variation_names(), *strategy_names()]))
    both = [f"{scheduler}-{variation}" for scheduler in SCHEDULER.names for variation in known]
    close = difflib.get_close_matches(name, [*known, *both], n=1, cutoff=0.5)
    question = f'; did you mean "{close[0]}"?' if close else ";"
    return (
        f"unknown variation {name!r}{question} known: {', '.join(known)}, alone or after a scheduler "
        f"({', '.join(SCHEDULER.names)}); or mypackage.mymodule:MyWarmStart, or path/file.py:MyWarmStart"
    )


def _searcher(
    options: Mapping[str, Any],
    name: str,
    task: Task,
    start: Sequence[dict[str, Any]] | None,
    simulation: Simulation | None,
) -> Searcher:
    searcher = make_searcher(name, task.space, options["seed"], options["searcher_option"])
    if simulation is not None and name == "random":
        searcher = simulation.searcher(options["seed"])
    if start is None:
        return searcher
    try:
        return Listed(start, searcher)
    except ConfigurationError as error:
        raise SettingError(f"--start-points {options['start_points']}: {error}") from None


def split_variation(variation: str, scheduler: str | None) -> tuple[str, str]:
    """(scheduler, warm start) from ``--variation`` and ``--scheduler``.

    >>> split_variation("pasha-ohgw-1step", None)
    ('pasha', 'ohgw-1step')
    """
    if scheduler is not None:
        SCHEDULER.check(scheduler)
    if variation in VARIATIONS or is_path(variation):  # random-warm is no variation of the scheduler random
        return scheduler or "asha", variation
    longest = sorted(SCHEDULER.names, key=len, reverse=True)
    name = next((each for each in longest if variation == each or variation.startswith(f"{each}-")), None)
    rest = "" if name is None else variation[len(name) + 1 :] or "baseline"
    # a scheduler before a name that is known, else a name that only looks so: random-matched+trust
    if name is None or (not is_variation(rest) and is_variation(variation)):
        return scheduler or "asha", variation
    if scheduler not in (None, name):
        raise SettingError(
            f"--variation {variation} names the scheduler {name}, and --scheduler says {scheduler}"
        )
    return name, rest


def scheduler_label(options: Mapping[str, Any]) -> str:
    """The scheduler that the options name, for people."""
    return label(split_variation(options["variation"], options["scheduler"])[0])


def task_spec(options: Mapping[str, Any]) -> TaskSpec:
    """The task that the options name, not built yet."""
    spec = TaskSpec(task_target(options["task"]), dict(options["task_option"]), dict(options["freeze"]))
    given = {o.key: options[o.key] for o in OPTIONS if o.of_task and options[o.key] is not None}
    if not given:
        return spec
    here = Path.cwd()  # as it is before the task's module is loaded
    kind = spec.load()
    for key, value in given.items():
        name = f"--{key.replace('_', '-')}"
        if not (isinstance(kind, type) and takes_option(kind, key)):
            what = "data directory" if key == "data_dir" else f"option {key!r}"
            raise SettingError(f"{name} {value}: task {options['task']} takes no {what}")
        if key in spec.options:
            raise SettingError(
                f"{name} {value} and --task-option {key}={spec.options[key]}: give one of them"
            )
    if "data_dir" in given:
        given["data_dir"] = str(here / given["data_dir"])
    return replace(spec, options={**spec.options, **given})
