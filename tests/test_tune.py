"""``tune`` as a library: what it returns, and what it leaves behind when something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from asha_core import ASHA, AshaError, Float, SearchSpace, tune
from asha_core.runtime.observers import Observer
from tests.trials import jobs
from trials.checkpoints import load_checkpoint

SPACE = SearchSpace({"x": Float(0.0, 1.0)})


def run(function: Any, folder: Path, **settings: Any) -> Any:
    scheduler = ASHA(SPACE, **{"max_resource": 9, "max_trials": 4, "min_resource": 9, **settings})
    return tune(function, scheduler, gpus="inline", results_dir=folder / "run", progress="none")


def test_result_results_file_and_checkpoint_name_the_same_trial_on_ties(tmp_path: Path) -> None:
    result = run(jobs.every_third, tmp_path)  # all trials tie
    stored = json.loads((result.directory / "results.json").read_text())
    assert stored["best"]["trial"] == result.best.trial
    assert (stored["best"]["value"], stored["best"]["resource"]) == (result.best_value, result.best.resource)
    assert [entry["trial"] for entry in stored["top"]] == [0, 1, 2, 3]


def test_a_checkpoint_of_another_unit_than_the_best_says_so(tmp_path: Path) -> None:
    result = run(jobs.every_third, tmp_path)
    assert result.best.resource == 8
    assert result.summary["best_checkpoint"] == {"value": 8.0, "resource": 9}
    assert load_checkpoint(result.directory / "checkpoints" / "best.pt")["resource"] == 9


def test_a_task_that_never_saves_has_no_checkpoint(tmp_path: Path) -> None:
    result = run(jobs.tells_its_environment, tmp_path)
    assert result.summary["best_checkpoint"] is None


def test_a_scheduler_is_used_once(tmp_path: Path) -> None:
    scheduler = ASHA(SPACE, max_resource=3, max_trials=2)
    tune(jobs.work, scheduler, gpus="inline", results_dir=tmp_path / "a", progress="none")
    with pytest.raises(AshaError, match="make a new one"):
        tune(jobs.work, scheduler, gpus="inline", results_dir=tmp_path / "b", progress="none")
    assert not (tmp_path / "b").exists()


class Stumbles(Observer):
    def on_event(self, view: Any, event: Any) -> None:
        if view.scheduler.units >= 3:
            raise RuntimeError("an observer's own defect")


def test_an_error_after_hours_of_reports_leaves_the_results(tmp_path: Path) -> None:
    scheduler = ASHA(SPACE, max_resource=3, max_trials=6)
    with pytest.raises(RuntimeError, match="own defect"):
        tune(
            jobs.work,
            scheduler,
            gpus="inline",
            results_dir=tmp_path / "run",
            progress="none",
            observers=[Stumbles()],
        )
    stored = json.loads((tmp_path / "run" / "results.json").read_text())
    assert stored["reason"] == "error"
    assert stored["best"]["trial"] == scheduler.best.trial  # type: ignore[union-attr]
    assert (tmp_path / "run" / "checkpoints" / "best.pt").exists()


WRONG = """
import sys
from asha_core import ASHA, Float, SearchSpace, tune

def train(trial):
    for _ in trial.units():
        trial.report(1.0)

if __name__ == "__main__":
    scheduler = ASHA(SearchSpace({"x": Float(0, 1)}), max_trials=2, max_resource=1)
    tune(train, scheduler, gpus="cpu", results_dir="run", **eval(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("dict(progress='bogus')", "progress is 'bogus'"),
        ("dict(variation='ohgw-1step', progress='none')", "the task has none: subclass trials.TorchTask"),
        ("dict(variation='nope')", "unknown variation"),
        ("dict(budget='soon')", "budget is 'soon'"),
    ],
)
def test_a_wrong_argument_ends_the_script_and_leaves_nothing(
    arguments: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(WRONG)
    done = subprocess.run(
        [sys.executable, "script.py", arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_without_the_main_guard_the_error_says_so(tmp_path: Path) -> None:
    script = WRONG.replace('if __name__ == "__main__":', "if True:")
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "script.py", "{}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert 'if __name__ == "__main__":' in done.stderr.strip().splitlines()[-1]
