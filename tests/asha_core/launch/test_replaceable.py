"""Searches of which every part is somebody else's: from the command line, a file, a study and a script."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis import load_run
from analysis.study.loading import load_study
from asha_core import ASHA, Float, RandomSearch, SearchSpace, tune
from asha_core.cli.run import main
from asha_core.cli.study import main as study_main
from asha_core.errors import AshaError
from asha_core.launch.option_table import OPTIONS
from asha_core.runtime.storage.json_files import read_json
from tests.asha_core.outsiders import KINDS, package_installed, written
from trials import Task

FAST = ("--gpus", "inline", "--max-trials", "4", "--max-resource", "9", "--progress", "none")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return written(tmp_path / "code")


@pytest.fixture
def outsider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with package_installed(tmp_path / "site", monkeypatch):
        yield


def in_file(file: Path | str) -> list[str]:
    """Everything from a file."""
    return [
        *("--task", f"{file}:Steps", "--scheduler", f"{file}:Eager", "--scheduler-option", "most=7"),
        *("--searcher", f"{file}:Corner", "--searcher-option", "where=0.5"),
        *("--variation", f"{file}:Halve", "--observer", f"{file}:Log", "--executor", f"{file}:Here"),
        *("--executor-option", "mark=mark.txt", *FAST),
    ]


def test_a_search_whose_every_part_lies_in_a_file(file: Path) -> None:
    assert main([*in_file("code/outside.py"), "--results-dir", "run"]) == 0
    run = load_run("run")
    assert {trial.configuration["x"] for trial in run.trials.values()} == {0.25}  # the corner, halved
    manifest = run.manifest
    assert (manifest["scheduler"]["name"], manifest["scheduler"]["most"]) == ("eager-asha", 7)
    assert manifest["scheduler"]["searcher"] == "corner"
    assert manifest["scheduler"]["scheduler_option"] == {"most": 7}
    assert manifest["scheduler"]["searcher_option"] == {"where": 0.5}
    assert manifest["variation"]["name"] == "outside.py:Halve"
    assert manifest["settings"]["scheduler"] == f"{file}:Eager"
    reports = sum(record["type"] == "report" for record in run.records)
    assert Path("log.txt").read_text().count("Report") == reports > 4
    assert Path("mark.txt").read_text() == "1"


@pytest.mark.usefixtures("outsider", "file")
def test_a_search_whose_every_part_an_installed_package_registers(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["--task", "steps", "--scheduler", "eager", "--searcher", "corner", "--variation", "halve"]
    assert main([*names, "--observer", "log", "--executor", "here", *FAST]) == 0
    (directory,) = Path("results").iterdir()
    assert directory.name.startswith("steps-eager-halve-seed0-")
    capsys.readouterr()
    assert main(["--resume", *names[:8], "--gpus", "inline", "--progress", "none"]) == 0  # the newest
    assert (
        main(["--resume", "--results-dir", str(directory), "--gpus", "inline"]) == 0
    )  # named by nothing else


@pytest.mark.usefixtures("outsider")
def test_help_lists_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "installed: eager, gone" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        main(["--help-all"])
    said = " ".join(capsys.readouterr().out.split())
    for name in ("eager, gone", "corner", "log", "here", "halve", "steps"):
        assert f"installed: {name}" in said
    assert "outsider" not in sys.modules


def test_help_says_nothing_of_it_where_nothing_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help-all"])
    assert "installed:" not in capsys.readouterr().out


@pytest.mark.usefixtures("file")
def test_the_configuration_file_names_them_too() -> None:
    Path("search.yaml").write_text(
        "task: code/outside.py:Steps\nscheduler: code/outside.py:Eager\nscheduler-option: {most: 3}\n"
        "observer: [code/outside.py:Log, code/outside.py:Other]\nobserver-option: {Other.path: two.txt}\n"
        "gpus: inline\nmax-trials: 3\n"
    )
    assert main(["--config", "search.yaml", "--results-dir", "run", "--progress", "none"]) == 0
    assert Path("log.txt").read_text() == Path("two.txt").read_text() != ""
    assert read_json(Path("run/run.json"))["scheduler"]["most"] == 3


# -- going on ----------------------------------------------------------------------------------------


def test_it_is_gone_on_with_from_another_folder_once_its_code_is_named(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*in_file("code/outside.py"), "--results-dir", "run", "--budget", "1h"]) == 0
    before = (tmp_path / "run" / "journal.jsonl").read_text()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = ["--resume", "--results-dir", "../run"]
    capsys.readouterr()
    assert main(again) == 2
    said = capsys.readouterr().err
    assert said.startswith("asha-run: error: --resume: the search in ../run runs code of yours: give --task")
    given = said.partition("give ")[2].strip().removesuffix(" too")
    assert main([*again, *shlex.split(given)]) == 0
    assert main([*again, *in_file("../code/outside.py")[:12], "--max-trials", "6"]) == 2
    more = [*again, *shlex.split(given), "--max-trials", "6"]
    assert main(more) == 0
    after = load_run(tmp_path / "run")
    assert (tmp_path / "run" / "journal.jsonl").read_text().startswith(before)
    assert len(after.trials) == 6


def test_its_files_may_have_moved_when_a_search_is_gone_on_with(file: Path, tmp_path: Path) -> None:
    assert main([*in_file(file), "--results-dir", "run"]) == 0
    moved = tmp_path / "moved"
    file.parent.rename(moved)
    again = [*in_file(moved / file.name), "--max-trials", "5", "--results-dir", "run", "--resume"]
    assert main(again) == 0
    assert len(load_run("run").trials) == 5


def test_other_settings_of_its_own_are_another_search(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*in_file(file), "--results-dir", "run"]) == 0
    changed = in_file(file)
    changed[changed.index("where=0.5")] = "where=0.75"
    assert main([*changed, "--results-dir", "run", "--resume"]) == 2
    assert "holds another search: its scheduler has searcher_option" in capsys.readouterr().err
    assert main([*in_file(file), "--results-dir", "run", "--resume"]) == 0


def test_an_observer_may_stay_away_when_a_search_goes_on(file: Path) -> None:
    where = ["--task", f"{file}:Steps", *FAST, "--results-dir", "run"]
    assert main([*where, "--observer", f"{file}:Log", "--observer-option", "path=a.txt"]) == 0
    told = Path("a.txt").read_text()
    assert main([*where, "--resume", "--observer", "none", "--max-trials", "5"]) == 0
    assert Path("a.txt").read_text() == told


# -- plans, studies, reports -------------------------------------------------------------------------


def test_a_plan_and_a_report_know_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*in_file(file), "--plan", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["scheduler"], plan["trials"]) == ("eager-asha", 4)
    assert not Path("log.txt").exists()  # nothing is made that is not needed


STUDY = """
tasks: [code/outside.py:Steps]
schedulers:
- asha
- name: code/outside.py:Eager
  scheduler-option: {most: 5}
variations: [baseline, code/outside.py:Halve]
seeds: 1
targets: [2.0]
max-trials: 3
max-resource: 3
observer: code/outside.py:Log
observer-option: {path: all.txt}
executor: code/outside.py:Here
workers-per-gpu: 1
"""


class RunsHere:
    """A run of a study that is over when it has begun, in this process."""

    pid = 1
    began = 0.0

    def __init__(self, arguments: list[str], *others: Any) -> None:
        self.status = main([*arguments, "--progress", "none"])

    def poll(self) -> int:
        return self.status


@pytest.mark.usefixtures("file")
def test_a_study_compares_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("asha_core.study.study_runner.RunProcess", RunsHere)
    Path("mine.yaml").write_text(STUDY)
    assert study_main(["mine.yaml", "--results-dir", "study", "--dry-run"]) == 0
    assert "outside.py-Eager" in capsys.readouterr().out
    arguments = ["mine.yaml", "--results-dir", "study", "--gpus", "cpu", "--progress", "none"]
    assert study_main(arguments) == 0
    study = load_study(tmp_path / "study")
    # in one process: the first run may import torch for all of them, and so take long beside the others
    assert {problem.kind for problem in study.problems} <= {"few seeds", "short"}
    assert len(study.replicates) == 4
    assert {each.scheduler for each in study.replicates} == {"asha", "outside.py:Eager"}
    assert {each.arm for each in study.replicates} == {"baseline", "outside.py:Halve"}
    assert Path("all.txt").read_text().count("Report") > 8


# -- mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--scheduler", "{file}:Corner", "--max-resource", "9"],
            "must be a subclass of asha_core.Scheduler",
        ),
        (["--scheduler", "{file}"], "outside.py' is a file: say which of its classes, too, "),
        (
            ["--searcher", "sobol", "--searcher-option", "spaec=1"],
            "has no setting 'spaec'; known: sequence\n",
        ),
        (["--scheduler", "{file}:Raises"], "outside.py:Raises' cannot be made: RuntimeError: no licence"),
        (["--scheduler", "{file}:Unmade"], "let its __init__ call super().__init__(space, ...)"),
        (["--scheduler", "{file}:Unmade", "--max-resource", "9"], "takes no max-resource, which is 9"),
        (
            ["--scheduler", "{file}:Corner"],
            "is the class Corner: it must be a subclass of asha_core.Scheduler",
        ),
        (
            ["--scheduler", "{file}:Eager", "--scheduler-option", "mots=3"],
            "has no setting 'mots'; did you mean",
        ),
        (["--scheduler-option", "seed=3"], "seed is a setting of every scheduler"),
        (["--searcher", "{file}:Log"], "is the class Log: it must be a subclass of asha_core.Searcher"),
        (
            ["--searcher", "{file}:Corner", "--searcher-option", "where=7"],
            "searcher Corner: x is 7: it must be",
        ),
        (["--searcher-option", "where=7"], "searcher 'random' has no setting 'where'"),
        (["--observer", "{file}:Halve"], "is the class Halve: it must be a subclass of asha_core.Observer"),
        (
            ["--observer", "{file}:Log", "--observer-option", "pth=3"],
            "has no setting 'pth'; did you mean \"pa",
        ),
        (
            ["--observer", "{file}:Log", "--observer-option", "path=no/such/folder"],
            "cannot be made: FileNotF",
        ),
        (
            ["--observer", "{file}:Needs"],
            "missing 1 required positional argument: 'path'; give it by --observer-op",
        ),
        (["--observer-option", "path=3"], "observer-option is given, and there is no observer"),
        (
            ["--observer", "{file}:Log", "--observer", "{file}:Other", "--observer-option", "path=3"],
            "NAME.SETT",
        ),
        (["--executor", "{file}:NOT_ONE"], "executor is 3: give a class"),
        (["--executor", "{file}:Halve"], "cannot be made: TypeError"),
        (["--executor", "{file}:Here", "--executor-option", "mrak=3"], "has no setting 'mrak'"),
        (["--executor-option", "mark=3"], "--executor-option is given, and there is no executor"),
        (["--variation", "{file}:Havle"], "has no 'Havle'; did you mean \"Halve\""),
        (["--variation", "{file}:Eager"], "cannot be made: TypeError"),
        (["--variation", "{file}:Halve", "--warm-start-option", "tmies=2"], "has no setting 'tmies'"),
        (["--task", "{file}:Stesp"], "has no 'Stesp'; did you mean \"Steps\""),
    ],
)
def test_what_is_wrong_with_it_is_said_in_one_line_and_nothing_is_left(
    arguments: list[str], said: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [argument.format(file="code/outside.py") for argument in arguments]
    task = [] if "--task" in given else ["--task", "code/outside.py:Steps"]
    assert main([*task, *given, "--gpus", "inline", "--progress", "none", "--results-dir", "run"]) == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert not Path("run").exists()


# -- scripts -----------------------------------------------------------------------------------------


def test_a_script_names_them_too(file: Path) -> None:
    result = tune(
        f"{file}:Steps",
        f"{file}:Eager",
        searcher=f"{file}:Corner",
        scheduler_options={"max_trials": 3, "most": 5, "max_resource": 3, "seed": 4},
        searcher_options={"where": 0.5},
        variation=f"{file}:Halve",
        observers=[f"{file}:Log"],
        executor=f"{file}:Here",
        executor_options={"mark": "mark.txt"},
        progress="none",
        gpus="inline",
    )
    assert result.best_value == 0.75
    assert result.directory.name.startswith("steps-eager-asha-outside.py-Halve-seed4-")
    assert "Report" in Path("log.txt").read_text()
    assert Path("mark.txt").exists()


class Flat(Task):
    space = SearchSpace({"x": Float(0.0, 1.0)})

    def run(self, trial: Any) -> None:
        report_x(trial)


def report_x(trial: Any) -> None:
    for unit in trial.units():
        trial.report(trial.config["x"] * unit)


@pytest.mark.usefixtures("file")
def test_a_function_needs_its_space_and_a_task_has_its_own() -> None:
    small = {"gpus": "inline", "progress": "none"}
    with pytest.raises(AshaError, match="a function says not what is searched: give space="):
        tune(report_x, "asha", **small)
    for scheduler in ("asha", ASHA):
        options = {"max_trials": 3, "max_resource": 3, "mode": "min"}
        result = tune(
            report_x,
            scheduler,
            space={"x": Float(1.0, 2.0)},
            scheduler_options=options,
            searcher="sobol",
            **small,
        )
        described = read_json(result.directory / "run.json")["scheduler"]
        assert (described["levels"], described["searcher"], described["seed"]) == ([1, 3], "sobol", 0)
        assert 1.0 <= result.best_value <= 2.0
    space = SearchSpace({"x": Float(0.0, 1.0)})
    options = {"max_trials": 2, "max_resource": 1, "bracket_size": 2}
    for searcher in (RandomSearch, RandomSearch(space, 0), None):
        tune(report_x, "sh", space=space, searcher=searcher, scheduler_options=options, **small)
    tune(Flat(), scheduler_options={"max_trials": 1, "max_resource": 1}, **small)
    with pytest.raises(AshaError, match="the task has mode 'max' and scheduler_options 'min'"):
        tune(Flat(), scheduler_options={"mode": "min"}, **small)


def test_the_python_of_its_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[3] / "docs" / "how-to" / "plug-ins.md"
    names: dict[str, Any] = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL):
        exec(compile(block, str(page), "exec"), names)
    assert names["result"].outcome.trials == 4
    patient = tune(Flat(), names["Patient"], scheduler_options={"grace": 2, "max_trials": 2}, gpus="inline")
    assert read_json(patient.directory / "run.json")["scheduler"]["grace"] == 2


def test_the_kinds_that_can_be_registered_are_all_there() -> None:
    groups = {option.plugins.group for option in OPTIONS if option.plugins is not None}
    assert groups == {f"asha_core.{kind}" for kind in KINDS}
