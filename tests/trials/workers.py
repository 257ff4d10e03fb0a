"""Jobs of one worker, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from asha_core import Job, RandomSearch
from asha_core.runtime.storage.run_directory import RunDirectory
from trials.task import Task
from trials.tasks.digits import Digits
from trials.worker.job_runner import JobRunner, WorkerSettings


def events_of(
    task: Task,
    folder: Path,
    jobs: list[Job],
    warm_start: str = "none",
    settings: dict[str, Any] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> list[Any]:
    """Jobs of one worker, one after the other."""
    directory = RunDirectory(folder)
    directory.make_rooms()
    worker = WorkerSettings(task, str(folder), 27, warm_start, dict(settings or {}))
    runner = JobRunner(worker, "cpu", stopping=stopping)
    sent: list[Any] = []
    for each in jobs:
        runner.run(each, sent.append)
    return sent


def digits_job(number: int = 10, start: int = 0, until: int = 2, refine: bool = False) -> Job:
    return Job(number, RandomSearch(Digits.space, 0).propose(number), start, until, 0, 123, refine)
