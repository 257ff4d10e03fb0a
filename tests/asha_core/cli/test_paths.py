"""Every path that a command or a function takes: what ``~`` means, and what cannot be one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import analysis
from analysis.cli import main as asha_report
from asha_core import ASHA, Float, SearchSpace, tune
from asha_core.cli.final_test import main as asha_test
from asha_core.cli.run import main as asha_run
from asha_core.cli.study import main as asha_study
from asha_core.errors import AshaError
from asha_core.launch.option_parsing import parse_arguments
from asha_core.launch.resolve import resolve
from tests.trials import jobs
from trials import load_model, measure_on_test_data
from trials.tasks.cifar import Cifar10
from trials.tasks.imagenet import ImageNet

SEARCH = [
    "--task",
    "dummy",
    "--gpus",
    "inline",
    "--max-trials",
    "2",
    "--max-resource",
    "1",
    "--progress",
    "none",
]
STUDY = """
name: tiny
task: dummy
seeds: 1
max-trials: 2
max-resource: 1
workers-per-gpu: 1
experiments:
  - {run_id: only, variations: [baseline]}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def tuned(folder: Any, **settings: Any) -> Any:
    scheduler = ASHA(SearchSpace({"x": Float(0.0, 1.0)}), max_trials=2, max_resource=1)
    return tune(jobs.work, scheduler, gpus="inline", progress="none", results_dir=folder, **settings)


@pytest.mark.long
def test_a_tilde_is_the_home_folder_wherever_a_path_is_taken(home: Path) -> None:
    (home / "study.yaml").write_text(STUDY)
    (home / "run.yaml").write_text("results-dir: ~/second\nstart-points: ~/first\n")
    assert asha_run([*SEARCH, "--results-dir", "~/first"]) == 0
    assert asha_run([*SEARCH, "--config", "~/run.yaml"]) == 0
    assert asha_run(["--resume", "--results-dir=~/first", "--progress", "none"]) == 0
    assert tuned("~/third").directory == tuned(Path("~/third"), resume=True).directory == home / "third"
    assert asha_test(["~/first"]) == 0
    assert asha_study(["~/study.yaml", "--results-dir", "~/study", "--dry-run"]) == 0
    assert load_model("~/first")[1]["resource"] == 1
    assert load_model("~/first/checkpoints/best.pt")[1]["resource"] == 1
    assert measure_on_test_data("~/first").again
    assert analysis.load_run("~/first").directory == home / "first"
    assert analysis.find_runs(["~"]) == [home / name for name in ("first", "second", "third")]
    assert analysis.load_study("~/first").directory == home / "first"
    for made in ("first/run.json", "second/run.json", "third/run.json"):
        assert (home / made).exists()
    assert list(Path.cwd().iterdir()) == []


def test_a_tasks_data_is_where_its_tilde_says(home: Path) -> None:
    assert Cifar10(data_dir="~/data").data_dir == ImageNet(data_dir="~/data").data_dir == home / "data"
    for given in (["--data-dir", "~/data"], ["--task-option", "data-dir=~/data"]):
        assert resolve(parse_arguments(["--task", "cifar10", *given])).task.data_dir == home / "data"


@pytest.mark.long
def test_a_folder_that_is_called_so_is_read_where_it_lies(home: Path) -> None:
    tuned("./~/run")
    assert analysis.find_runs(["."]) == [Path.cwd() / "~" / "run"]
    assert analysis.load_run(analysis.find_runs(["."])[0]).directory == Path.cwd() / "~" / "run"
    assert asha_report(["./~", "--output", "~/pages"]) == 0
    assert (home / "pages" / "report.html").exists()


ODD = ["", "x" * 300, "new/" + "x" * 300, "new/" + "x/" * 2500, "a\nb", "a\0b", "~nobody-of-that-name/x"]
PLACES: dict[str, Callable[[str], int]] = {
    "asha-run --results-dir": lambda path: asha_run([*SEARCH, "--results-dir", path]),
    "asha-run --resume": lambda path: asha_run([*SEARCH, "--resume", "--results-dir", path]),
    "asha-run --config": lambda path: asha_run([*SEARCH, "--config", path]),
    "asha-run --start-points": lambda path: asha_run([*SEARCH, "--start-points", path]),
    "asha-run --data-dir": lambda path: asha_run([*SEARCH, "--task=cifar10", "--data-dir", path]),
    "asha-run --task-option": lambda path: asha_run(
        [*SEARCH, "--task=cifar10", "--task-option", f"data_dir={json.dumps(path)}"]
    ),
    "asha-report": lambda path: asha_report([path]),
    "asha-report --output": lambda path: asha_report(["../run", "--output", path]),
    "asha-test": lambda path: asha_test([path]),
    "asha-test --data-dir": lambda path: asha_test(["../run", "--data-dir", path]),
    "asha-study": lambda path: asha_study([path]),
    "asha-study --results-dir": lambda path: asha_study(
        ["../study.yaml", "--gpus=cpu", "--results-dir", path]
    ),
    "asha-study --data-dir": lambda path: asha_study(["../study.yaml", "--data-dir", path]),
}


@pytest.mark.parametrize("place", PLACES)
def test_what_cannot_be_a_path_is_one_line_and_leaves_nothing(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned(tmp_path / "run")
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "file").touch()
    for path in [*ODD, "../file/x"]:
        assert PLACES[place](path) == 2, path
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        assert ": error: " in said
        assert len(said) < 800, said
        assert list(Path.cwd().iterdir()) == [], path


@pytest.mark.parametrize("path", [*ODD, "../file/x", "../file", None, 3, b"x", True, ["x"]])
def test_what_the_functions_take_for_no_path(path: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    functions: list[Callable[[Any], Any]] = [
        load_model, measure_on_test_data, analysis.load_run, analysis.load_study, analysis.load,
        lambda path: analysis.find_runs([path]),
    ]  # fmt: skip
    if path is not None:
        functions.append(tuned)
    for function in functions:
        with pytest.raises(AshaError):
            function(path)
    assert list(Path.cwd().iterdir()) == []
