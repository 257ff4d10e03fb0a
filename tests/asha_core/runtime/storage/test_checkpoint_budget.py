"""The checkpoint budget, on a real directory: what is deleted, what never, and what is said of it."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from asha_core import ASHA, Float, SearchSpace, tune
from asha_core.messages import Failed, Job, Lost, Report
from asha_core.runtime.budget import Budget
from asha_core.runtime.executor import Notice, WorkerReady
from asha_core.runtime.observers import Observer, SearchView
from asha_core.runtime.storage.checkpoint_budget import CheckpointPruner
from asha_core.runtime.storage.results import write_best_note
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.schedulers import MODEL_FREE, scheduler_class
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.retention import KINDS
from asha_core.schedulers.state import Status
from tests.trials.jobs import work

SPACE = SearchSpace({"x": Float(0.0, 1.0)})
SIZE = 1000


def asha(**settings: Any) -> ASHA:
    return ASHA(SPACE, **{"max_resource": 9, **settings})


class Engine:
    """What the loop does with a pruner, and what workers do with files; by hand."""

    def __init__(self, folder: Path, budget: int, scheduler: Scheduler | None = None) -> None:
        self.directory = RunDirectory(folder / "run")
        self.directory.make_rooms()
        self.scheduler = scheduler or asha()
        self.pruner = CheckpointPruner(self.directory, budget)
        self.view = SearchView(self.scheduler, Budget(), [])
        self.history: list[Any] = []
        self.jobs: dict[int, Job] = {}
        self.best: dict[int, float] = {}
        self.pruner.on_start(self.view)

    def ask(self) -> Job | None:
        job = self.scheduler.ask()
        if job is not None:
            self.history.append(job)
            self.jobs[job.trial] = job
            self.pruner.on_job(self.view, job, 0)
        return job

    def tell(self, event: Any) -> None:
        self.scheduler.tell(event)
        self.history.append(event)
        if self.scheduler.trials[event.trial].status != Status.RUNNING:
            del self.jobs[event.trial]
        self.pruner.on_event(self.view, event)

    def save(self, trial: int, value: float, resource: int, size: int = SIZE) -> None:
        last, previous, best = (self.directory.trial_checkpoint(trial, kind) for kind in KINDS[:3])
        if last.exists():
            os.replace(last, previous)
        last.write_bytes(bytes(size))
        if value > self.best.get(trial, -1.0):
            self.best[trial] = value
            best.unlink(missing_ok=True)
            os.link(last, best)
            write_best_note(best, value, resource)

    def report(self, trial: int, value: float, resource: int | None = None) -> None:
        job = self.jobs[trial]
        resource = resource or job.until
        self.save(trial, value, resource)
        self.tell(Report(trial, job.attempt, resource, value, 1.0))

    def rung_0(self, values: list[float]) -> None:
        for value in values:
            job = self.ask()
            assert job is not None
            self.report(job.trial, value)

    def there(self) -> set[str]:
        return {path.name for path in self.directory.checkpoints.iterdir()}

    def has(self, trial: int) -> set[str]:
        return {kind for kind in KINDS if self.directory.trial_checkpoint(trial, kind).exists()}

    def bytes(self) -> int:
        files = {file.stat().st_ino: file.stat().st_size for file in self.directory.checkpoints.glob("*.pt")}
        return sum(files.values())

    def said(self) -> list[str]:
        notices, self.view.notices = self.view.notices, []
        return [notice.text for notice in notices]


def test_below_the_budget_nothing_is_touched(tmp_path: Path) -> None:
    engine = Engine(tmp_path, 3 * SIZE, asha(reduction_factor=9))
    engine.rung_0([0.1, 0.2, 0.3])
    assert engine.pruner.total == engine.bytes() == 3 * SIZE  # the best ones are hard links
    assert [engine.has(trial) for trial in range(3)] == [{"last", "best"}] * 3
    assert engine.said() == []


def test_beyond_it_the_least_likely_to_be_promoted_goes(tmp_path: Path) -> None:
    engine = Engine(tmp_path, 3 * SIZE, asha(reduction_factor=9))
    engine.rung_0([0.2, 0.1, 0.4, 0.3])
    assert engine.pruner.total == engine.bytes() == 2 * SIZE  # nine tenths are left
    assert [engine.has(trial) for trial in range(4)] == [set(), set(), {"last", "best"}, {"last", "best"}]
    assert not {name for name in engine.there() if name.startswith(("trial-0", "trial-1"))}  # notes as well
    assert engine.said() == [
        "checkpoint budget of 3.0 kB: 2.0 kB deleted of checkpoints that are needed least, and 2 trials "
        "would be trained from the first unit if promoted"
    ]


def test_what_runs_is_left_alone(tmp_path: Path) -> None:
    engine = Engine(tmp_path, 2 * SIZE)
    job = engine.ask()
    assert job is not None
    engine.report(0, 0.1)
    for value in (0.2, 0.3):
        job = engine.ask()
        assert job is not None
        engine.report(job.trial, value)
    promoted = engine.ask()
    assert promoted is not None
    assert promoted.start == 1
    for resource, value in ((2, 0.9), (3, 0.1)):
        engine.report(promoted.trial, value, resource)
    # paused again, as the best of all: it keeps that one
    assert engine.has(promoted.trial) >= {"best"}
    assert engine.bytes() <= 2 * SIZE
    engine.rung_0([0.5])
    lost = engine.ask()
    assert lost is not None
    engine.save(lost.trial, 0.0, 1)
    engine.tell(Lost(lost.trial, lost.attempt, "killed"))
    assert engine.scheduler.trials[lost.trial].status == Status.WAITING
    assert "last" in engine.has(lost.trial)
    again = engine.ask()
    assert again is not None
    assert again.trial == lost.trial
    engine.tell(Failed(again.trial, again.attempt, "no luck"))
    engine.rung_0([0.6, 0.6])
    assert "last" not in engine.has(lost.trial)


def test_a_copy_for_want_of_hard_links_is_counted(tmp_path: Path) -> None:
    engine = Engine(tmp_path, 10 * SIZE)
    job = engine.ask()
    assert job is not None
    for kind in ("last", "best"):
        engine.directory.trial_checkpoint(0, kind).write_bytes(bytes(SIZE))
    engine.tell(Report(0, 0, 1, 0.5, 1.0))
    assert engine.pruner.total == 2 * SIZE


def test_a_budget_that_is_too_small_is_exceeded_and_that_is_said_once(tmp_path: Path) -> None:
    engine = Engine(tmp_path, SIZE // 2)
    engine.rung_0([0.1])
    assert engine.has(0) == {"last", "best"}
    assert engine.said() == [
        "the checkpoints that cannot be deleted take 1.0 kB, more than the checkpoint budget of 500 B "
        "(they are of running trials, or the best of all)"
    ]
    engine.rung_0([0.2])
    assert (engine.has(0), engine.has(1)) == (set(), {"last", "best"})
    assert ["cannot be deleted" in line for line in engine.said()] == [False]


def test_there_is_a_line_a_minute_at_most(tmp_path: Path) -> None:
    engine = Engine(tmp_path, 5 * SIZE, asha(reduction_factor=500))
    lines = []
    for second in range(200):
        engine.view.now = float(second)
        engine.rung_0([second / 200])
        engine.pruner.on_tick(engine.view)
        lines += [(second, line) for line in engine.said()]
    assert [second for second, _ in lines] == [5, 65, 125, 185]
    assert "60.0 kB deleted" in lines[1][1]
    assert "60 trials would" in lines[1][1]


def test_what_is_not_told_in_the_minute_is_told_after_it(tmp_path: Path) -> None:
    engine = Engine(tmp_path, 2 * SIZE, asha(reduction_factor=50))
    engine.rung_0([0.1, 0.2, 0.3, 0.4, 0.5])
    assert len(engine.said()) == 1
    engine.view.now = 59.0
    engine.pruner.on_tick(engine.view)
    assert engine.said() == []
    engine.view.now = 60.0
    engine.pruner.on_tick(engine.view)
    assert len(engine.said()) == 1
    engine.pruner.on_tick(engine.view)
    assert engine.said() == []


def test_a_file_that_cannot_be_deleted_is_said_and_the_next_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path, 2 * SIZE, asha(reduction_factor=50))
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name.startswith("trial-0") and path.exists():
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    engine.rung_0([0.1, 0.2, 0.3])
    assert [engine.has(trial) for trial in range(3)] == [{"last", "best"}, set(), {"last", "best"}]
    assert engine.pruner.total == engine.bytes() == 2 * SIZE
    engine.said()
    engine2 = Engine(tmp_path / "other", SIZE * 3 // 2, asha(reduction_factor=50))
    engine2.rung_0([0.1, 0.2])
    assert "trial-0-last.pt: Permission denied" in engine2.said()[0]


def test_a_search_that_is_resumed_goes_on_with_what_lies_there(tmp_path: Path) -> None:
    engine = Engine(tmp_path, 100 * SIZE, asha(reduction_factor=50))
    engine.rung_0([0.5, 0.1, 0.4, 0.2, 0.3])
    checkpoints = engine.directory.checkpoints
    (checkpoints / "trial-3-last.pt.tmp").write_bytes(bytes(SIZE))  # its worker was killed
    (checkpoints / "trial-77-last.pt").write_bytes(bytes(SIZE))  # nobody knows of it
    (checkpoints / "notes.txt").write_text("the user's own")
    (checkpoints / "best.pt").write_bytes(bytes(SIZE))

    pruner = CheckpointPruner(engine.directory, 3 * SIZE)
    assert pruner.replays
    view = SearchView(engine.scheduler, Budget(), [])
    for what in engine.history:
        if isinstance(what, Job):
            pruner.on_job(view, what, 0)
        else:
            pruner.on_event(view, what)
    assert pruner.total == 0  # what it hears of now is long past
    assert len(engine.there()) == 5 * 3 + 4
    pruner.on_start(view)
    assert pruner.total == 2 * SIZE
    assert [engine.has(trial) for trial in range(5)] == [
        {"last", "best"},
        set(),
        {"last", "best"},
        set(),
        set(),
    ]
    assert engine.there() >= {"trial-77-last.pt", "notes.txt", "best.pt"}
    assert "trial-3-last.pt.tmp" not in engine.there()
    assert len(view.notices) == 1


def test_without_a_directory_yet_there_is_nothing(tmp_path: Path) -> None:
    pruner = CheckpointPruner(RunDirectory(tmp_path / "none"), 10)
    pruner.on_start(SearchView(asha(), Budget(), []))
    assert pruner.total == 0


def test_events_of_no_trial_are_nothing_to_it(tmp_path: Path) -> None:
    engine = Engine(tmp_path, 1)
    for event in (WorkerReady(0, 1, "cpu", 1.0), Notice("x")):
        engine.pruner.on_event(engine.view, event)
    assert isinstance(engine.pruner, Observer)


@pytest.mark.long
@pytest.mark.parametrize("name", MODEL_FREE)
@pytest.mark.parametrize("budget", [3, 8, 20])
def test_in_every_search_the_budget_is_kept_or_only_what_is_needed_is_left(
    name: str, budget: int, tmp_path: Path
) -> None:
    draw = random.Random(f"{name} {budget}")
    scheduler = scheduler_class(name)(SPACE, max_resource=9, max_trials=20)
    engine = Engine(tmp_path, budget * SIZE, scheduler)
    while True:
        while len(engine.jobs) < 3 and engine.ask() is not None:
            pass
        if not engine.jobs:
            break
        trial = draw.choice(sorted(engine.jobs))
        job, resource = engine.jobs[trial], scheduler.trials[trial].resource + 1
        if draw.random() < 0.05:
            engine.tell(Failed(trial, job.attempt, "no luck"))
        elif draw.random() < 0.05:
            engine.tell(Lost(trial, job.attempt, "killed", "stopped"))
        else:
            engine.report(trial, draw.random(), resource)
        assert engine.pruner.total == engine.bytes()
        if engine.bytes() > budget * SIZE:
            for state in scheduler.trials:
                left = engine.has(state.id)
                if scheduler.best is not None and state.id == scheduler.best.trial and "best" in left:
                    kept = engine.directory.trial_checkpoint(state.id, "best")
                    left = {
                        k for k in left if not kept.samefile(engine.directory.trial_checkpoint(state.id, k))
                    }
                going_on = state.status in (Status.RUNNING, Status.WAITING) or name == "asha-stopping"
                assert not left or going_on
    assert scheduler.best is not None
    assert "best" in engine.has(scheduler.best.trial)


class Reached(Observer):
    """How many units each report was of."""

    def __init__(self) -> None:
        self.units: list[tuple[int, int]] = []

    def on_event(self, view: SearchView, event: Any) -> None:
        if isinstance(event, Report):
            self.units.append((event.trial, event.resource))


@pytest.mark.long
def test_a_search_with_a_small_budget_ends_as_the_one_without(tmp_path: Path) -> None:
    """Trials whose checkpoints went are trained again, and what was reported before counts once."""
    results, reached = [], []
    for budget in (None, 5000):
        watcher = Reached()
        scheduler = asha(max_trials=40)
        result = tune(
            work,
            scheduler,
            gpus="inline",
            results_dir=tmp_path / str(budget),
            progress="none",
            observers=[watcher],
            checkpoint_budget=budget,
        )
        results.append((result.best, scheduler.units, list(scheduler.counts())))
        reached.append(watcher.units)
        left = sum(
            size
            for size in {
                path.stat().st_ino: path.stat().st_size
                for path in (tmp_path / str(budget) / "checkpoints").glob("trial-*.pt")
            }.values()
        )
        assert budget is None or left <= budget
    assert results[0] == results[1]
    assert set(reached[0]) == set(reached[1])
    assert len(reached[0]) < len(reached[1])  # some were trained again
