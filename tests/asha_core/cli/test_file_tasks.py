"""``--task path/to/file.py:Mine``: searched, taken up and measured from anywhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asha_core import user_files
from asha_core.cli.final_test import main as asha_test
from asha_core.cli.run import main as asha_run
from trials.loading import load_model
from trials.spec import TaskSpec

TASK = """
import torch
from asha_core import Float, SearchSpace
from trials import TorchTask
from helpers import CLASSES


class Mine(TorchTask):
    space = SearchSpace({"lr": Float(1e-3, 1.0, log=True)})
    batch_size = 8

    def model(self, config):
        return torch.nn.Linear(2, CLASSES)

    def data(self):
        inputs = torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
        return (inputs, (inputs.sum(1) > 0).long()), (inputs, (inputs.sum(1) > 0).long())

    def test_data(self):
        return self.data()[0]
"""
SCRIPT = """
from asha_core import ASHA, tune

tune(Mine(), ASHA(Mine.space, max_resource=1, max_trials=1), gpus="inline", results_dir="of-the-script")
"""


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))  # the working folder is looked at, too
    yield
    for name in [name for name in sys.modules if name.startswith(f"{user_files.__name__}.")]:
        del sys.modules[name]


def project(folder: Path, classes: int) -> Path:
    folder.mkdir()
    (folder / "helpers.py").write_text(f"CLASSES = {classes}\n")
    (folder / "task.py").write_text(TASK)
    return folder


def searched(*arguments: str) -> int:
    usual = ["--gpus", "inline", "--max-resource", "1", "--progress", "none"]
    return asha_run([*arguments, *usual])


@pytest.mark.long
def test_a_file_s_task_is_searched_taken_up_and_measured_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = project(tmp_path / "one", 2), project(tmp_path / "two", 3)
    monkeypatch.chdir(one)
    assert searched("--task", "task.py:Mine", "--max-trials", "1", "--results-dir", "run") == 0
    monkeypatch.chdir(two)
    assert searched("--task", "task.py:Mine", "--max-trials", "1", "--results-dir", "run") == 0
    target = json.loads((one / "run" / "run.json").read_text())["task"]["target"]
    assert target == f"{one / 'task.py'}:Mine"

    assert searched("--resume", "--results-dir", "../one/run", "--max-trials", "2") == 2
    assert "give --task " in capsys.readouterr().err
    resumed = ["--resume", "--results-dir", "../one/run", "--max-trials", "2"]
    assert searched("--task", "../one/task.py:Mine", *resumed) == 0
    assert json.loads((one / "run" / "results.json").read_text())["trials"] == 2

    monkeypatch.chdir(tmp_path)
    for folder, classes in ((one, 2), (two, 3)):
        assert (
            asha_test([str(folder / "run"), "--task", f"{folder.name}/task.py:Mine", "--device", "cpu"]) == 0
        )
        model, _ = load_model(folder / "run", task=f"{folder.name}/task.py:Mine")
        assert model.out_features == classes


def test_a_search_goes_on_when_its_folder_has_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = project(tmp_path / "one", 2)
    assert (
        searched("--task", f"{one}/task.py:Mine", "--max-trials", "1", "--results-dir", str(one / "run")) == 0
    )
    two = one.rename(tmp_path / "two")
    resumed = ["--resume", "--results-dir", str(two / "run"), "--max-trials", "2"]
    assert searched("--task", f"{two}/task.py:Mine", *resumed) == 0


def test_a_file_that_begins_a_search_when_it_is_imported_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project(tmp_path / "one", 2))
    Path("task.py").write_text(TASK + SCRIPT)
    assert searched("--task", "task.py:Mine", "--max-trials", "1") == 2
    assert "begins a search when it is imported" in capsys.readouterr().err
    assert not Path("of-the-script").exists()
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nope.py:Mine", "there is no file .*nope.py"),
        ("task.py:Mien", "no 'Mien'.*Mine"),
        ("task.py", "say which of its classes, too, task.py:MyTask"),
        ("broken.py:Mine", "cannot be imported: SyntaxError"),
        ("analysis.py:Mine", "cannot be imported: ModuleNotFoundError|No module named 'nowhere'"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_a_line(
    target: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project(tmp_path / "one", 2))
    Path("broken.py").write_text("def\n")
    Path("analysis.py").write_text("import nowhere\n")
    assert searched("--task", target, "--max-trials", "1") == 2
    line = capsys.readouterr().err.strip()
    assert "\n" not in line
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(line)


def test_a_file_with_the_name_of_our_package_is_a_task_s_file_as_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project(tmp_path / "one", 2))
    Path("trials.py").write_text(TASK)
    assert TaskSpec("trials.py:Mine").build().describe()["target"] == f"{Path.cwd()}/trials.py:Mine"
