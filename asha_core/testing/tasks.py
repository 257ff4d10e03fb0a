"""The contract of tasks: every unit reported, the same seed the same values, and no difference by a pause."""

from __future__ import annotations

import json
import pickle
from abc import abstractmethod
from pathlib import Path

import pytest

from asha_core.messages import Event, Job, Report, closes
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.schedulers.levels import check_levels
from asha_core.searchers.random_search import RandomSearch
from asha_core.streams import stream_seed
from trials.checkpoints.files import load_checkpoint
from trials.executors.inline import InlineExecutor
from trials.task import Task, check_task
from trials.worker.job_runner import WorkerSettings


class TaskContract:
    """Subclass it, and say how your task is made: one that trains in seconds, on little data.

    class TestMine(TaskContract):
        def task(self):
            return Mine(samples=100)

    Attributes:
        units: that a trial is trained for in these tests; at least 2.
        exact: whether a trial that was paused must go on to the very same values, as on a CPU.
    """

    units: int = 2
    exact: bool = True

    @abstractmethod
    def task(self) -> Task:
        """A new one."""
        raise NotImplementedError("say how your task is made: def task(self)")

    def _job(self, index: int, start: int, until: int) -> Job:
        configuration = RandomSearch(self.task().space, 0).propose(index)
        return Job(index, configuration, start, until, 0, stream_seed(0, "trial", index))

    def _train(self, folder: Path, *jobs: Job) -> list[float]:
        """Values by unit, each job in a worker of its own, in one results directory."""
        directory = RunDirectory(folder)
        directory.create()
        values: list[float] = []
        for job in jobs:
            task = self.task()
            task.prepare()
            settings = WorkerSettings(
                task, str(directory.path), max_resource=max(task.max_resource, job.until)
            )
            executor = InlineExecutor(settings)
            events: list[Event] = []
            try:
                executor.submit(job, 0)
                events = [event for event in executor.wait(0.0) if isinstance(event, Event)]
            finally:
                executor.close()
            assert closes(events[-1], job), events
            assert isinstance(events[-1], Report), f"the trial did not get through: {events[-1]}"
            reports = [event for event in events if isinstance(event, Report)]
            assert [report.resource for report in reports] == list(range(job.start + 1, job.until + 1))
            for report in reports:
                json.dumps([report.value, dict(report.metrics)])
                values.append(float(report.value))
        return values

    def test_it_says_what_it_tunes(self) -> None:
        """A search space, a metric, a mode, a unit, and levels that are some."""
        task = self.task()
        assert isinstance(task, Task)
        check_task(task, type(task).__name__)
        check_levels(task.min_resource, task.max_resource, task.reduction_factor)

    def test_it_can_be_made_again_from_what_it_tells_of_itself(self) -> None:
        """``describe()`` is JSON; its options are the constructor's arguments."""
        described = self.task().describe()
        assert json.loads(json.dumps(described)) == described == self.task().describe()

    def test_it_travels_to_a_worker(self) -> None:
        """Open files, locks and what is on a GPU are made in ``setup``, not in the constructor."""
        task = self.task()
        assert type(pickle.loads(pickle.dumps(task))) is type(task)

    def test_every_unit_is_reported_and_the_same_seed_gives_the_same_values(self, tmp_path: Path) -> None:
        """All randomness comes from ``trial.seed``."""
        job = self._job(0, 0, self.units)
        assert repr(self._train(tmp_path / "a", job)) == repr(self._train(tmp_path / "b", job))

    def test_a_trial_that_was_paused_goes_on_where_it_was(self, tmp_path: Path) -> None:
        """In another worker, from what it saved: ``trial.save``, then ``trial.report``; ``resume_from``."""
        whole = self._train(tmp_path / "whole", self._job(1, 0, self.units))
        jobs = [self._job(1, unit, unit + 1) for unit in range(self.units)]
        paused = self._train(tmp_path / "paused", *jobs)
        assert paused == pytest.approx(whole, rel=0 if self.exact else 1e-2, nan_ok=True)

    def test_other_configurations_train_too(self, tmp_path: Path) -> None:
        """Corners of the space, and dimensions that do not exist there."""
        space = self.task().space
        for index, corner in enumerate((0.0, 1.0)):
            configuration = space.from_unit([corner] * len(space))
            if space.allows(configuration):
                job = self._job(index, 0, 1)._replace(configuration=configuration)
                self._train(tmp_path / str(index), job)

    def test_what_was_trained_is_measured_on_test_data(self, tmp_path: Path) -> None:
        """With ``has_test_data``: from what a trial saved, as ``asha-test`` does it, the same each time."""
        task = self.task()
        if not task.has_test_data():
            pytest.skip("it has no test data")
        job = self._job(0, 0, 1)
        self._train(tmp_path, job)
        state = load_checkpoint(RunDirectory(tmp_path).trial_checkpoint(0))["state"]
        found = []
        for _ in range(2):
            model = task.trained_model(job.configuration, state)
            found.append(task.measure_test(model, job.configuration, "cpu"))
        assert repr(found[0]) == repr(found[1])
        assert found[0].count >= 1
        json.dumps([found[0].value, found[0].loss, found[0].confusion])

    def test_a_warm_start_has_a_loss_to_measure_or_none(self) -> None:
        """With ``has_losses``: the same draw, the same loss."""
        task = self.task()
        if not task.has_losses():
            pytest.skip("it has no losses")
        task.prepare()
        task.setup("cpu")
        configuration = RandomSearch(task.space, 0).propose(0)
        found = []
        for _ in range(2):
            losses = task.problem(7, "cpu").losses(configuration)
            train, heldout = losses.batches(0, "half")
            found.append(losses.after(configuration, [train], heldout))
        assert repr(found[0]) == repr(found[1])
