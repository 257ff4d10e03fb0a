"""The arms of a study, with their tasks and schedulers made: what a mistake in the file is found by."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asha_core.errors import AshaError, SettingError
from asha_core.launch.option_parsing import parse_arguments
from asha_core.launch.resolve import resolve
from asha_core.runtime.storage.paths import user_path
from asha_core.runtime.units import counted
from asha_core.study.curves_in_file import loaded
from asha_core.study.planned_runs import PlannedRun, Study
from asha_core.study.simulated_search import simulated_scheduler, workers_of

if TYPE_CHECKING:
    from asha_core.schedulers.base import Scheduler
    from trials.task import Task


@dataclass(frozen=True, slots=True)
class Arm:
    """Runs that differ by their seeds alone."""

    title: str  # what their names begin with
    runs: tuple[PlannedRun, ...]
    task: Task | None  # None: its runs are simulated
    scheduler: Scheduler

    def describe(self, run: PlannedRun) -> str:
        """Data set, model, scheduler, variation, seed and budget of one of its runs."""
        options = run.options
        if run.table:
            return self._describe_simulated(run)
        model = getattr(self.task, "network", options.get("model"))
        parts = [f"data set {run.task}", *([f"model {model}"] if isinstance(model, str) else [])]
        parts += [
            f"{key.replace('_', ' ')} {options[key]}" for key in ("subset", "label_noise") if key in options
        ]
        parts += [f"{key}={value}" for key, value in options.get("task_option", {}).items() if key != "model"]
        return ", ".join([*parts, *self._search(run)])

    def _describe_simulated(self, run: PlannedRun) -> str:
        workers = counted(workers_of(run.options), "worker")
        return ", ".join([f"curves {run.task}", f"{workers} in virtual time", *self._search(run)])

    def _search(self, run: PlannedRun) -> list[str]:
        """Scheduler, variation, seed and budget."""
        options = run.options
        parts = [f"scheduler {self.scheduler.name}", f"variation {run.arm}", f"seed {run.seed}"]
        limits = [str(options["budget"])] if "budget" in options else []
        limits += [f"{options['gpu_hours']:g} GPU-hours"] if "gpu_hours" in options else []
        trials = self.scheduler.max_trials
        limits += [f"{trials} configurations"] if trials is not None else []
        return [*parts, f"budget {' or '.join(limits)}"]


def arms_of(runs: Sequence[PlannedRun]) -> list[Arm]:
    """Every arm of these runs.

    Raises:
        AshaError: an option that a task, scheduler or warm start does not take; the message names the arm.
    """
    by_title: dict[str, list[PlannedRun]] = {}
    for run in runs:
        by_title.setdefault(run.id.rpartition("/")[0], []).append(run)
    return [_arm(title, alike) for title, alike in by_title.items()]


def _arm(title: str, runs: Sequence[PlannedRun]) -> Arm:
    try:
        if runs[0].table:
            options = runs[0].options
            return Arm(
                title, tuple(runs), None, simulated_scheduler(options, loaded(options["curves"]).curves)
            )
        with contextlib.chdir(Path.cwd()):  # a task's module may go to another folder
            parts = resolve({**parse_arguments([]), **runs[0].options})
    except AshaError as error:
        raise type(error)(f"{title}: {error}") from None
    return Arm(title, tuple(runs), parts.task, parts.scheduler)


def with_data(study: Study, data_dir: str | None) -> Study:
    """The study with the data read from ``data_dir``, by every task that reads any.

    Raises:
        SettingError: no task of the study does.
    """
    from trials.spec import TaskSpec, takes_option
    from trials.tasks import task_target

    if data_dir is None:
        return study
    where = str(user_path(data_dir, "--data-dir").absolute())
    reads = {}
    for task in {run.task for run in study.runs if not run.table}:
        with contextlib.chdir(Path.cwd()):
            kind = TaskSpec(task_target(task)).load()
        reads[task] = isinstance(kind, type) and takes_option(kind, "data_dir")
    if not any(reads.values()):
        raise SettingError(
            f"--data-dir {data_dir}: no task of this study reads data ({', '.join(sorted(reads))})"
        )
    runs = [
        replace(run, options={**run.options, "data_dir": where})
        if reads.get(run.task) and not run.table
        else run
        for run in study.runs
    ]
    return replace(study, runs=tuple(runs))
