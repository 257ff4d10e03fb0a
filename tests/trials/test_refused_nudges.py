"""A nudge that the constraints refuse is undone, and said to be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from asha_core import ASHA, Choice, Configuration, Float, SearchSpace, SpaceError, tune
from asha_core.messages import Event, Failed, Job, Refined, Report
from asha_core.runtime.storage.run_directory import RunDirectory
from tests.trials import jobs
from trials.executors.inline import InlineExecutor
from trials.task import FunctionTask
from trials.worker.job_runner import WorkerSettings
from warmstart.moves import step_taken

NOTE = "the constraints refuse the nudge: no nudge"


def at_most_a_quarter(configuration: Mapping[str, Any]) -> bool:
    return configuration["x"] <= 0.25


def raises_beyond_a_quarter(configuration: Mapping[str, Any]) -> bool:
    if configuration["x"] > 0.25:
        raise ArithmeticError("out of its depth")
    return True


def space(constraint: Any) -> SearchSpace:
    return SearchSpace({"x": Float(0.0, 1.0), "kind": Choice(["a"])}, constraints=[constraint])


def run_one(folder: Path, constraint: Any, trial: int) -> tuple[Configuration, list[Event]]:
    """One job through an executor: x begins at the border of what is allowed."""
    directory = RunDirectory(folder)
    if not folder.exists():
        directory.create()
    chosen = space(constraint)
    task = FunctionTask(jobs.work, chosen)
    executor = InlineExecutor(WorkerSettings(task, str(folder), 9, "random", {"sigma": 0.01}))
    before = chosen.configuration({"x": 0.25, "kind": "a"})
    executor.submit(Job(trial, before, 0, 2, 0, seed=trial, refine=True), 0)
    _, *events = executor.wait(1.0)
    return before, events  # type: ignore[return-value]


def test_a_refused_nudge_is_undone_with_a_note_and_a_step_of_zero(tmp_path: Path) -> None:
    """Half of the nudges go up, over the border."""
    undone = 0
    for trial in range(20):
        before, events = run_one(tmp_path / "run", at_most_a_quarter, trial)
        refined, *reports = events
        assert isinstance(refined, Refined)
        after = refined.configuration
        assert at_most_a_quarter(after)
        assert refined.diagnostics["strategy"] == "random"
        if after == before:
            assert refined.diagnostics["note"] == NOTE
            assert refined.diagnostics["step"] == {"x": 0.0}
            undone += 1
        else:
            assert "note" not in refined.diagnostics
            assert refined.diagnostics["step"] == step_taken(space(at_most_a_quarter), before, after)
            assert refined.diagnostics["step"]["x"] < 0
        # what is trained is what was told
        values = [report.value for report in reports if isinstance(report, Report)]
        assert values == pytest.approx([after["x"], 2 * after["x"]])
        json.dumps(refined.diagnostics)
    assert 4 <= undone <= 16


def test_a_constraint_that_raises_on_a_nudge_fails_the_trial_by_its_name(tmp_path: Path) -> None:
    for trial in range(20):
        _, events = run_one(tmp_path / "run", raises_beyond_a_quarter, trial)
        if isinstance(events[0], Failed):
            (failed,) = events
            assert failed.kind == "setup"
            assert "raises_beyond_a_quarter raised ArithmeticError: out of its depth" in failed.error
            return
    raise AssertionError("no nudge went over the border")


def search(folder: Path, chosen: SearchSpace, **settings: Any) -> Path:
    scheduler = ASHA(chosen, max_resource=1, max_trials=15, **settings)
    tune(
        jobs.work,
        scheduler,
        gpus="inline",
        variation="random-warm",
        results_dir=folder,
        progress="none",
    )
    return folder


def test_every_trained_configuration_of_a_search_is_allowed(tmp_path: Path) -> None:
    from analysis import load_run

    run = load_run(search(tmp_path / "run", space(at_most_a_quarter)))
    assert len(run.trials) == 15
    assert all(
        trial.proposed["x"] <= 0.25 and trial.configuration["x"] <= 0.25 for trial in run.trials.values()
    )
    assert SearchSpace.from_dict(run.manifest["space"]) == space(at_most_a_quarter)


def test_a_search_of_which_nothing_is_left_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    frozen = space(at_most_a_quarter).freeze(x=0.5)
    with pytest.raises(SpaceError, match="at_most_a_quarter allows 0%"):
        search(tmp_path / "run", frozen)
    assert not (tmp_path / "run").exists()


def test_what_the_schedulers_space_freezes_a_warm_start_does_not_move(tmp_path: Path) -> None:
    """The task's own space is the free one; the scheduler's is what is searched."""
    from analysis import load_run

    free = SearchSpace({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
    task = FunctionTask(jobs.work, free)
    scheduler = ASHA(free.freeze(x=0.5), max_resource=1, max_trials=5)
    folder = tmp_path / "run"
    tune(task, scheduler, gpus="inline", variation="random-warm", results_dir=folder, progress="none")
    for trial in load_run(folder).trials.values():
        assert trial.configuration["x"] == 0.5
        assert trial.configuration["y"] != trial.proposed["y"]
    assert task.space == free  # the user's own object is as it was
