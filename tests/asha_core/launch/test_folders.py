"""Where a search reads and writes does not depend on where anybody goes meanwhile."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asha_core import ASHA, tune
from asha_core.cli.run import main
from asha_core.cli.study import main as study
from asha_core.runtime.executor import ExecutorEvent
from asha_core.runtime.observers import Observer, SearchView
from tests.trials import jobs
from trials.trial import Trial


def _goes_elsewhere(trial: Trial) -> None:
    os.chdir("there")  # in which there is no other
    for unit in trial.units():
        trial.save({"unit": unit})
        trial.report(unit)


class _Restless(Observer):
    def on_start(self, view: SearchView) -> None:
        os.chdir("there")

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        os.chdir("/")


@pytest.mark.parametrize("who", ["trials", "an observer"])
def test_who_goes_to_another_folder_takes_nobody_along(
    who: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ray#9571"""
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    function, observers = (_goes_elsewhere, []) if who == "trials" else (jobs.work, [_Restless()])
    scheduler = ASHA(jobs.SPACE, max_resource=3, max_trials=3)
    result = tune(function, scheduler, gpus="inline", progress="none", results_dir="run", observers=observers)
    assert who != "trials" or Path.cwd() == tmp_path
    assert result.outcome.failures == 0
    assert result.directory == tmp_path / "run"
    assert json.loads((tmp_path / "run" / "results.json").read_text())["trials"] == 3
    assert (tmp_path / "run" / "checkpoints" / "best.pt").exists()
    assert list((tmp_path / "there").iterdir()) == []


_MODULE = """
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from asha_core.space import Float, SearchSpace
from trials.task import Task

os.chdir({there!r})


class Reads(Task):
    space = SearchSpace({{"x": Float(0.0, 1.0)}})
    max_resource = 1

    def __init__(self, data_dir="data"):
        self.data_dir = data_dir

    def run(self, trial):
        trial.report(float(Path(self.data_dir, "y").read_text()) + trial.config["x"])
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A task's module that goes to a folder of its own when it is loaded."""
    (tmp_path / "there").mkdir()
    (tmp_path / "goes_elsewhere.py").write_text(_MODULE.format(there=str(tmp_path / "there")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield "goes_elsewhere"
    sys.modules.pop("goes_elsewhere", None)


def test_paths_that_are_given_begin_where_the_command_does(module: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "y").write_text("10.0")
    (tmp_path / "start.yaml").write_text("- {x: 0.5}\n")
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        status = main(
            [
                *("--task", f"{module}:Reads", "--gpus", "inline", "--progress", "none"),
                *("--max-trials", "1", "--data-dir", "data", "--start-points", "start.yaml"),
                *("--results-dir", "run"),
            ]
        )
    assert status == 0
    assert "asha-report run\n" in out.getvalue()
    assert json.loads((tmp_path / "run" / "results.json").read_text())["best"]["value"] == 10.5


def test_so_do_those_of_a_study(module: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        f"task: {module}:Reads\nvariations: [baseline, random-warm]\nseeds: 1\nmax_trials: 3\n"
    )
    with contextlib.redirect_stdout(io.StringIO()):
        assert study(["study.yaml", "--dry-run"]) == 0
    assert Path.cwd() == tmp_path
