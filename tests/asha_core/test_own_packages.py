"""Files of a user's that have the names of our packages: they disturb nothing, or an error names them."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import asha_core
from asha_core.errors import TaskError
from asha_core.own_packages import NAMES, claim, why_hidden
from tests.asha_core.cli.searches import ASHA_RUN, environment
from trials.spec import TaskSpec

SCRIPT = """
def train(trial):
    for unit in trial.units():
        trial.report(trial.config["x"])


if __name__ == "__main__":
    from asha_core import ASHA, Float, SearchSpace, tune

    scheduler = ASHA(SearchSpace({"x": Float(0.0, 1.0)}), max_resource=1, max_trials=2)
    tune(train, scheduler, gpus="cpu", workers_per_gpu=1, results_dir="run", progress="none")
"""
TASK = """
from asha_core import Float, SearchSpace
from trials import Task


class Mine(Task):
    space = SearchSpace({"x": Float(0.0, 1.0)})

    def run(self, trial):
        for unit in trial.units():
            trial.report(trial.config["x"])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder; what is imported in it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    for name in ("mine", "theirs"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.invalidate_caches()
    return tmp_path


def module(path: Path, text: str = "") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def test_the_working_folder_is_looked_at_last(folder: Path) -> None:
    module(folder / "mine.py", TASK)
    TaskSpec("mine:Mine").build()
    assert sys.path[-1] == str(folder)
    assert str(folder) not in sys.path[:-1]


@pytest.mark.processes
@pytest.mark.long
def test_a_script_and_its_workers_run_beside_files_with_the_names_of_our_packages(tmp_path: Path) -> None:
    for name in NAMES:
        module(tmp_path / f"{name}.py", "raise RuntimeError('the wrong one')")
    script = module(tmp_path / "script.py", SCRIPT)
    subprocess.run([sys.executable, str(script)], cwd=tmp_path, env=environment(), check=True)
    assert (tmp_path / "run" / "results.json").exists()


@pytest.mark.processes
@pytest.mark.long
def test_the_commands_run_beside_them_even_where_they_come_first_on_the_path(tmp_path: Path) -> None:
    for inside in ("warmstart.py", "analysis.py", "trials/1/log.py"):  # the last as in a results directory
        (tmp_path / inside).parent.mkdir(parents=True, exist_ok=True)
        module(tmp_path / inside, "raise RuntimeError('the wrong one')")
    module(tmp_path / "mine.py", TASK)
    first = {**environment(), "PYTHONPATH": os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])}
    options = ["--gpus", "cpu", "--workers-per-gpu", "1", "--max-trials", "1", "--results-dir", "run"]
    search = [ASHA_RUN, "--task", "mine:Mine", "--max-resource", "1", "--progress", "none", *options]
    subprocess.run(search, cwd=tmp_path, env=first, check=True, stdout=subprocess.DEVNULL)
    report = [sys.executable, "-m", "asha_core.cli.report", "--help"]
    subprocess.run(report, cwd=tmp_path, env=first, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", NAMES)
def test_a_task_in_a_file_with_such_a_name_is_refused_in_a_line_that_names_the_file(
    folder: Path, name: str
) -> None:
    theirs = module(folder / f"{name}.py", TASK)
    with pytest.raises(TaskError, match=f"{theirs} is hidden by asha-core's own package {name}.*rename it"):
        TaskSpec(f"{name}:Mine").build()


@pytest.mark.parametrize("inside", ["analysis.py", "analysis/__init__.py", "analysis/plots.py"])
def test_a_task_that_imports_such_a_file_is_told_which(folder: Path, inside: str) -> None:
    theirs = module(folder / inside, "x = 1")
    place = theirs.parent if theirs.name == "__init__.py" else theirs
    module(folder / "mine.py", f"from analysis.plots import x\n{TASK}")
    with pytest.raises(TaskError, match=f"mine:Mine cannot be imported.* {place} is hidden by") as caught:
        TaskSpec("mine:Mine").build()
    assert "\n" not in str(caught.value)


def test_the_trials_of_a_results_directory_are_nobodys_module(folder: Path) -> None:
    (folder / "trials" / "0").mkdir(parents=True)
    assert why_hidden("trials") is None
    assert why_hidden("trials.spec") is None
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'trials.nowhere'$"):
        importlib.import_module("trials.nowhere")


def test_a_module_that_was_imported_under_our_name_before_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = module(folder / "theirs.py")
    sys.path.append(str(folder))
    monkeypatch.setitem(sys.modules, "trials", importlib.import_module("theirs"))
    with pytest.raises(ImportError, match=f"{theirs} has the name of asha-core's own package trials.*rename"):
        claim("trials")


def test_an_installed_module_that_hides_the_tasks_file_is_named(folder: Path) -> None:
    module(folder / "tests" / "__init__.py", TASK)
    with pytest.raises(TaskError, match=f"no 'Mine': {folder / 'tests'} is hidden by the module tests"):
        TaskSpec("tests:Mine").build()


def test_a_file_that_stands_in_for_a_library_s_module_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not: there is no such name in ``asha_core``."""
    monkeypatch.syspath_prepend(folder)
    theirs = module(folder / "theirs.py")
    module(folder / "mine.py", "import theirs\ntheirs.loads")
    monkeypatch.setitem(asha_core._HOME, "Mine", "mine")
    with pytest.raises(
        ImportError, match=rf"module 'theirs' has no attribute 'loads' \({re.escape(str(theirs))}\)"
    ):
        from asha_core import Mine  # type: ignore[attr-defined]  # noqa: F401
