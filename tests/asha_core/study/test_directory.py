"""What is done, what is left, and what may not be mixed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asha_core.errors import ResultsError, SettingError
from asha_core.study.definition import study_from
from asha_core.study.directory import StudyDirectory


def study(**content: Any) -> Any:
    return study_from({"task": "dummy", "max_trials": 3, **content}, "study.yaml", "study")


def finish(directory: StudyDirectory, run: Any, reason: str = "complete", status: int = 0) -> None:
    where = directory.run(run)
    where.path.mkdir(parents=True)
    where.manifest.write_text("{}")
    where.results.write_text(json.dumps({"reason": reason}))
    directory.close(run, status, 1.0, "best")


@pytest.mark.parametrize(
    ("reason", "status", "state"),
    [
        ("complete", 0, "done"),
        ("budget", 0, "done"),
        ("complete", 1, "done"),  # nothing finite was found, and the search is over
        ("interrupted", 130, "begun"),
        ("error", 2, "failed"),
        ("interrupted", -9, "failed"),
    ],
)
def test_how_far_a_run_is(tmp_path: Path, reason: str, status: int, state: str) -> None:
    directory = StudyDirectory(tmp_path / "study")
    (run,) = study().runs
    assert directory.state(run) == "new"
    finish(directory, run, reason, status)
    assert directory.state(run) == state


def test_seeds_are_added_to_those_before(tmp_path: Path) -> None:
    directory = StudyDirectory(tmp_path / "study")
    few = study(seeds=2)
    directory.write(few, directory.merged(few), ["asha-study"])
    many = study(seeds="1-3")
    merged = directory.merged(many)
    assert [run.seed for run in merged] == [0, 1, 2, 3]
    directory.write(many, merged, ["asha-study"])
    assert [run.seed for run in directory.read()] == [0, 1, 2, 3]
    content = json.loads(directory.file.read_text())
    assert content["runs"][0]["directory"] == "runs/dummy-asha-baseline/seed-0"


def test_a_run_that_has_begun_is_not_made_another_one(tmp_path: Path) -> None:
    directory = StudyDirectory(tmp_path / "study")
    first = study()
    directory.write(first, directory.merged(first), [])
    other = study(max_trials=5)
    assert directory.merged(other)[0].options["max_trials"] == 5  # it has not begun
    finish(directory, first.runs[0])
    with pytest.raises(SettingError, match=r"has begun .* with other options .max_trials 3, now 5"):
        directory.merged(other)
    with pytest.raises(SettingError, match="targets are fixed before the runs"):
        directory.merged(study(targets=[0.9]))
    with pytest.raises(SettingError, match="which are to be compared by seconds, and now measure is units"):
        directory.merged(study(measure="units"))


def test_complete_runs_keep_the_best_checkpoint_alone(tmp_path: Path) -> None:
    directory = StudyDirectory(tmp_path / "study")
    done, stopped, kept = study(seeds=3).runs
    for run, reason, keep in (
        (done, "complete", "best"),
        (stopped, "interrupted", "best"),
        (kept, "complete", "all"),
    ):
        finish(directory, run, reason)
        where = directory.run(run)
        where.checkpoints.mkdir()
        for name in ("best.pt", "trial-0-last.pt", "trial-0-best.json"):
            (where.checkpoints / name).write_text("")
        directory.close(run, 0, 1.0, keep)
    left = [len(list(directory.run(run).checkpoints.iterdir())) for run in (done, stopped, kept)]
    assert left == [1, 3, 3]
    assert directory.run(done).best_checkpoint.exists()


def test_what_is_no_study_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ResultsError, match="not empty and holds no study"):
        StudyDirectory(tmp_path).merged(study())


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema": 9, "runs": []}', '{"schema": 1}', '{"schema": 1, "runs": [{}]}']
)
def test_a_damaged_plan_is_named(tmp_path: Path, text: str) -> None:
    directory = StudyDirectory(tmp_path)
    directory.file.write_text(text)
    with pytest.raises(ResultsError, match=r"study\.json"):
        directory.read()


def test_the_configuration_is_what_asha_run_takes(tmp_path: Path) -> None:
    from asha_core.launch.option_parsing import parse_arguments

    directory = StudyDirectory(tmp_path)
    variation = {"name": "ohgw-1step", "warm_start_option": {"eta_h": 1e-4}}
    (run,) = study(
        variations=[variation], freeze={"lr": 1e-5}, trial_timeout="30m", checkpoint_budget="2GB"
    ).runs
    read = parse_arguments(["--config", str(directory.write_config(run))])
    assert {key: read[key] for key in run.options} == dict(run.options)
