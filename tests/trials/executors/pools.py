"""Executors for tests, and what they say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from asha_core.messages import Event, Failed, Job, Lost, Report
from asha_core.runtime.executor import Executor, Notice, WorkerReady
from asha_core.runtime.storage.run_directory import RunDirectory
from tests.trials import jobs
from trials.devices import Slot
from trials.executors.inline import InlineExecutor
from trials.executors.pool import ProcessPool
from trials.task import Task
from trials.worker.job_runner import WorkerSettings

Make = Callable[..., Any]


def maker(kind: str, tmp_path: Path) -> Iterator[Make]:
    """Makes executors of a kind, and closes them in the end."""
    made: list[Executor] = []

    def build(
        task: Any,
        slots: int = 1,
        environment: dict[str, str] | list[dict[str, str]] | None = None,
        device: str = "cpu",
        **options: Any,
    ) -> Executor:
        directory = RunDirectory(tmp_path / "run")
        if not made:
            directory.create()
        task = task if isinstance(task, Task) else jobs.function_task(task)
        settings = WorkerSettings(task, str(directory.path), max_resource=9)
        each = environment if isinstance(environment, list) else [environment or {}] * slots
        executor: Executor = (
            InlineExecutor(settings)
            if kind == "inline"
            else ProcessPool(settings, [Slot(f"slot {i}", device, e) for i, e in enumerate(each)], **options)
        )
        made.append(executor)
        return executor

    yield build
    for executor in made:
        executor.close()


def finish(executor: Executor, job: Job, slot: int = 0) -> list[Event]:
    """Submit a job and collect its events, the closing one last."""
    executor.submit(job, slot)
    events: list[Event] = []
    patience = time.monotonic() + 60
    while time.monotonic() < patience:
        for event in executor.wait(1.0):
            if isinstance(event, WorkerReady | Notice):
                continue
            assert isinstance(event, Event)
            events.append(event)
            if isinstance(event, Failed | Lost) or (
                isinstance(event, Report) and event.resource >= job.until
            ):
                return events
    raise AssertionError(f"no closing event, only {events}")


def collect(executor: Executor, *kinds: type, seconds: float = 30.0) -> list[Any]:
    """Events up to the end of the batch with the first of each of the kinds, in any order."""
    events: list[Any] = []
    patience = time.monotonic() + seconds
    while time.monotonic() < patience:
        events += executor.wait(0.2)
        if all(any(isinstance(event, kind) for event in events) for kind in kinds):
            return events
    raise AssertionError(f"no {kinds} in {events}")


def pids(pool: Any) -> list[int]:
    """The processes of a pool's workers."""
    return [slot.worker.pid for slot in pool._slots if slot.worker is not None]


def gone(there: Callable[[], Any], seconds: float = 10.0) -> bool:
    """Whether what is there goes away in time."""
    patience = time.monotonic() + seconds
    while there():
        if time.monotonic() > patience:
            return False
        time.sleep(0.05)
    return True
