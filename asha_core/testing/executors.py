"""The contract of executors: one closing event a job, in order, with its checkpoint on disk."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from asha_core.messages import Event, Failed, Finished, Job, Lost, Report, closes
from asha_core.runtime.executor import Executor, Notice, WorkerReady
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.testing.trainings import Behaves
from trials.devices import Slot
from trials.worker.job_runner import WorkerSettings

_PATIENCE = 60.0  # seconds for anything to happen; starting a worker is in it


class ExecutorContract:
    """Subclass it, and say how your executor is made.

    class TestMine(ExecutorContract):
        def executor(self, settings, slots):
            return Mine(settings, slots)

    Attributes:
        runs_in_wait: whether jobs run inside ``wait``, and so cannot be stopped from the same thread.
    """

    runs_in_wait: bool = False

    @abstractmethod
    def executor(self, settings: WorkerSettings, slots: list[Slot]) -> Executor:
        """A new one; workers are told ``settings``, and there is one for each of ``slots``."""
        raise NotImplementedError("say how your executor is made: def executor(self, settings, slots)")

    # -- an executor that many tests share, and those of one test ----------------------------------

    @pytest.fixture(scope="class")
    @classmethod
    def _shared(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
        executor = cls()._new(tmp_path_factory.mktemp("shared"))
        yield executor
        executor.close()

    @pytest.fixture
    def running(self, _shared: Executor) -> Executor:
        """One that is free, with trials of other tests in its results directory."""
        return _shared

    @pytest.fixture
    def fresh(self, tmp_path: Path) -> Iterator[Executor]:
        """One of the test's own."""
        executor = self._new(tmp_path)
        yield executor
        executor.close()

    def _new(self, folder: Path) -> Executor:
        directory = RunDirectory(folder / "run")
        directory.create()
        settings = WorkerSettings(Behaves(), str(directory.path), max_resource=9)
        return self.executor(settings, [Slot("slot 0", "cpu")])

    _trials = count()

    def _job(self, what: str, until: int = 3, **others: Any) -> Job:
        """A job of a trial that no other test has."""
        configuration = Behaves.space.configuration({"what": what, "x": 0.25})
        return Job(next(self._trials), configuration, 0, until, 0, 0)._replace(**others)

    def _finish(self, executor: Executor, job: Job) -> list[Event]:
        """Submit a job and collect its events, the closing one last."""
        executor.submit(job, 0)
        return self._closed(executor, job)

    def _closed(self, executor: Executor, job: Job) -> list[Event]:
        events: list[Event] = []
        patience = time.monotonic() + _PATIENCE
        while time.monotonic() < patience:
            for event in executor.wait(1.0):
                if isinstance(event, WorkerReady | Notice):
                    continue
                assert isinstance(event, Event)
                assert not any(closes(before, job) for before in events), "an event after the closing one"
                events.append(event)
            if events and closes(events[-1], job):
                return events
        raise AssertionError(f"no closing event, only {events}")

    def _reported(self, events: list[Event]) -> list[tuple[int, float]]:
        return [(event.resource, event.value) for event in events if isinstance(event, Report)]

    # -- jobs ----------------------------------------------------------------------------------

    def test_it_has_a_device_for_each_slot_and_all_are_free(self, running: Executor) -> None:
        """Slots are numbered from 0; two with devices of one name share it."""
        assert [type(device) for device in running.devices] == [str]
        assert list(running.free()) == [0]

    def test_a_job_reports_every_unit_in_order_and_frees_its_slot(self, running: Executor) -> None:
        """With its other metrics; the closing event comes last."""
        events = self._finish(running, self._job("works"))
        assert self._reported(events) == [(1, 0.25), (2, 0.5), (3, 0.75)]
        assert [dict(event.metrics) for event in events if isinstance(event, Report)] == [
            {"doubled": 0.5},
            {"doubled": 1.0},
            {"doubled": 1.5},
        ]
        assert list(running.free()) == [0]

    @pytest.mark.parametrize("what", ["works", "saves late"])
    def test_a_job_goes_on_from_the_checkpoint_of_the_last(self, running: Executor, what: str) -> None:
        """It is on disk when the closing event is out, one that was saved after the last report, too."""
        first = self._job(what, until=1)
        self._finish(running, first)
        events = self._finish(running, first._replace(start=1, until=3))
        assert self._reported(events) == [(2, 0.5), (3, 0.75)]

    @pytest.mark.parametrize(
        ("what", "kind", "words"),
        [
            ("fails at unit two", "error", "ValueError: no such luck"),
            ("converges and fails", "error", "ValueError: no such luck"),
            ("is invalid", "invalid", "x is too small"),
            ("runs out of memory", "oom", "MemoryError"),
            ("exits", "error", "SystemExit: leaving"),
            ("never reports", "setup", "returned after unit 0, but its job ends at 3"),
            ("reports twice", "setup", "reported twice in unit 1: report once a unit"),
            ("runs past its end", "setup", "reported resource 4, but its job ends at 3"),
            ("reports text", "setup", "value is 'good': report a number"),
        ],
    )
    def test_a_trial_that_goes_wrong_has_failed_and_the_slot_lives_on(
        self, running: Executor, what: str, kind: str, words: str
    ) -> None:
        """With the reason, and its kind."""
        *_, last = self._finish(running, self._job(what))
        assert isinstance(last, Failed)
        assert words in last.error
        assert last.kind == kind
        assert list(running.free()) == [0]
        assert isinstance(self._finish(running, self._job("works", until=1))[-1], Report)

    def test_a_full_disk_is_nobodys_fault(self, running: Executor) -> None:
        """The job is lost, and asked for again when there is room."""
        *_, last = self._finish(running, self._job("fills the disk"))
        assert isinstance(last, Lost)
        assert (last.kind, last.counts) == ("disk", False)

    @pytest.mark.parametrize(
        ("until", "expected"), [(5, [1, 2, "finished"]), (2, [1, "finished", 2]), (1, [1])]
    )
    def test_a_trial_that_stops_early_has_finished(
        self, running: Executor, until: int, expected: list[Any]
    ) -> None:
        """``Finished`` closes the job; in its last unit it comes before the report that does."""
        job = self._job("converges after two", until)
        events = self._finish(running, job)
        found = [event.resource if isinstance(event, Report) else event for event in events]
        finished = Finished(job.trial, 0, 2)
        assert found == [finished if each == "finished" else each for each in expected]

    # -- slots ---------------------------------------------------------------------------------

    def test_a_busy_slot_refuses_a_second_job(self, fresh: Executor) -> None:
        """Nor is it free."""
        fresh.submit(self._job("sleeps"), 0)
        assert list(fresh.free()) == []
        with pytest.raises(ValueError, match="slot 0 is not free"):
            fresh.submit(self._job("sleeps"), 0)

    def test_a_job_that_is_killed_is_closed_by_the_event_that_is_given(self, fresh: Executor) -> None:
        """Once; its slot is free when that event is out, and takes other jobs."""
        job = self._job("sleeps")
        fresh.submit(job, 0)
        event = Failed(job.trial, 0, "too long", "timeout")
        fresh.kill(0, event)
        fresh.kill(0, event)  # its job has closed
        assert list(fresh.free()) == []  # not before its event is out
        assert self._closed(fresh, job) == [event]
        assert isinstance(self._finish(fresh, self._job("works", until=1))[-1], Report)

    def test_a_job_that_did_not_begin_before_the_stop_is_closed(self, fresh: Executor) -> None:
        """As lost to the stop; nothing is taken any more."""
        job = self._job("sleeps")
        fresh.submit(job, 0)
        fresh.stop()
        assert list(fresh.free()) == []
        [lost] = self._closed(fresh, job)
        assert isinstance(lost, Lost)
        assert (lost.kind, lost.counts) == ("stopped", False)
        with pytest.raises(ValueError, match="slot 0 is not free"):
            fresh.submit(self._job("works"), 0)

    def test_a_job_that_is_stopped_keeps_what_it_has_reported(self, fresh: Executor) -> None:
        """It closes after its unit."""
        job = self._job("is slow", until=1000)
        fresh.submit(job, 0)
        events: list[Any] = []
        if self.runs_in_wait:
            threading.Timer(0.2, fresh.stop).start()
        else:
            patience = time.monotonic() + _PATIENCE
            while not any(isinstance(event, Report) for event in events) and time.monotonic() < patience:
                events += fresh.wait(0.2)
            fresh.stop()
        before = [event for event in events if isinstance(event, Event)]
        *reports, lost = before + self._closed(fresh, job)
        assert all(isinstance(report, Report) for report in reports)
        assert [unit for unit, _ in self._reported(reports)] == list(range(1, len(reports) + 1))
        assert 0 < len(reports) < 1000
        assert isinstance(lost, Lost)
        assert (lost.kind, lost.counts) == ("stopped", False)
        assert not [event for event in fresh.wait(0.1) if isinstance(event, Event)]

    def test_closing_twice_is_fine(self, fresh: Executor) -> None:
        """It is closed on every way out."""
        fresh.close()
        fresh.close()
