"""Executors for tests, and what they say."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from asha_core.messages import Event, Job, Lost, closes
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


class SharedPool:
    """One pool of one worker for many tests, each with a function of its own; the worker is soon ready again.

    Attributes:
        directory: of its results; emptied for each test.
        flag: a path that functions find in ASHA_TEST_FLAG; nothing is there when a test begins.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.directory = RunDirectory(folder / "run")
        self.directory.create()
        self.flag = folder / "flag"
        self._name = folder / "function"
        environment = {"ASHA_TEST_FLAG": str(self.flag), "ASHA_TEST_FUNCTION": str(self._name)}
        self._pool = ProcessPool(
            self._settings(jobs.whichever), [Slot("slot 0", "cpu", environment)], **options
        )

    def _settings(self, function: Callable[..., None]) -> WorkerSettings:
        return WorkerSettings(jobs.function_task(function), str(self.directory.path), max_resource=9)

    def inline(self, function: Callable[..., None]) -> InlineExecutor:
        """Another executor, in this process, over the same results."""
        return InlineExecutor(self._settings(function))

    def running(self, function: Callable[..., None]) -> ProcessPool:
        """The pool, with nothing to do; its worker is ready."""
        pool = self._pool
        [slot] = pool._slots
        if slot.job is not None:
            pool.kill(0, Lost(slot.job.trial, slot.job.attempt, "the test is over", "hung"))
        if slot.worker is None or not slot.worker.ready or slot.worker.dead:
            collect(pool, WorkerReady)
        while pool.wait(0.0):
            pass
        shutil.rmtree(self.directory.trials)
        shutil.rmtree(self.directory.checkpoints)
        self.directory.make_rooms()
        self.flag.unlink(missing_ok=True)
        self._name.write_text(function.__name__)
        return pool

    def close(self) -> None:
        """End it."""
        self._pool.close()


def shared_pool(folder: Path, **options: Any) -> Iterator[SharedPool]:
    """For a fixture of a module's."""
    shared = SharedPool(folder, **options)
    yield shared
    shared.close()


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
            if closes(event, job):
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
