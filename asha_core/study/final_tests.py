"""The one look at the test data for every run of a study that is done: what ``asha-test`` does, for each."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from asha_core.errors import AshaError
from asha_core.runtime.observers import value_text
from asha_core.study.arms import Arm
from asha_core.study.directory import StudyDirectory
from asha_core.study.planned_runs import PlannedRun
from asha_core.study.progress_view import View


def to_measure(directory: StudyDirectory, arms: Sequence[Arm]) -> list[PlannedRun]:
    """Runs that are done, have a checkpoint, and were not measured yet; of tasks that have test data."""
    return [
        run
        for arm in arms
        if arm.task is not None and arm.task.has_test_data()
        for run in arm.runs
        if directory.state(run) == "done"
        and directory.run(run).best_checkpoint.exists()
        and not directory.run(run).test.exists()
    ]


def measure(directory: StudyDirectory, runs: Sequence[PlannedRun], view: View, device: str) -> None:
    """Measure each run's chosen configuration on test data, and keep it in the run's test.json.

    One that cannot be measured is said and left out: its search stands as it is.
    """
    from trials.final_test import measure_on_test_data
    from trials.tasks import task_target

    for number, run in enumerate(runs, 1):
        try:
            with contextlib.chdir(Path.cwd()):  # a task's module may go to another folder
                found = measure_on_test_data(
                    directory.run(run).path, task=task_target(run.task), device=device
                )
        except Exception as error:  # whatever a task does: the other runs are measured all the same
            why = str(error) if isinstance(error, AshaError) else f"{type(error).__name__}: {error}"
            view.show(f"{run.id} could not be measured on test data: {why}", loud=True)
            continue
        told = f"{found.metric} {value_text(found.value)} on test data"
        view.show(f"[{number}/{len(runs)}] {run.id}: {told}", loud=True)
        view.tick()
