"""A disk that is full, a task that fails at the end, output that comes late: the rest of the study is run."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.study.loading import PairedTimes
from asha_core.study import study_runner
from asha_core.study.best_of import best_variation
from asha_core.study.definition import study_from
from asha_core.study.device_groups import DeviceGroup
from asha_core.study.directory import StudyDirectory
from asha_core.study.final_tests import measure
from asha_core.study.progress_view import PlainView, RichView, View
from asha_core.study.study_runner import StudyRunner
from tests.asha_core.cli.searches import environment
from tests.asha_core.study.test_directory import finish
from tests.asha_core.study.test_running import ASHA_STUDY, write


def study(**content: Any) -> Any:
    return study_from({"task": "dummy", "max_trials": 3, **content}, "study.yaml", "study")


class Told(View):
    """Keeps what it is told."""

    def __init__(self, total: int) -> None:
        super().__init__(total, 0)
        self.lines: list[str] = []

    def show(self, text: str, *, loud: bool = False) -> None:
        self.lines.append(text)


class Ends:
    """A process that has ended."""

    began = 0.0

    def __init__(self, *arguments: Any) -> None: ...

    def poll(self) -> int:
        return 0


@pytest.mark.parametrize("method", ["write_config", "close"])
def test_a_full_disk_stops_a_run_and_not_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    directory = StudyDirectory(tmp_path / "study")
    made = study(seeds=3)
    works = getattr(StudyDirectory, method)

    def full(self: StudyDirectory, run: Any, *rest: Any) -> Any:
        if run.seed == 1:
            raise OSError(28, "No space left on device")
        return works(self, run, *rest)

    monkeypatch.setattr(StudyDirectory, method, full)
    monkeypatch.setattr(study_runner, "RunProcess", Ends)
    monkeypatch.setattr(study_runner, "_POLL", 0.0)
    view = Told(3)
    groups = [DeviceGroup("inline", 0, None, {})]
    assert StudyRunner(made, directory, made.runs, groups, view, lambda run: "").run()
    assert any("No space left" in line and "seed-1" in line for line in view.lines)
    ended = {run.seed for run in made.runs if directory.outcome(run) is not None}
    assert ended == {0, 2}
    assert len(view.failed) == 3  # these processes have searched nothing


def test_a_plan_that_cannot_be_written_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asha_core.errors import ResultsError

    directory = StudyDirectory(tmp_path / "study")
    directory.file.with_name("study.json.tmp").mkdir(parents=True)
    with pytest.raises(ResultsError, match=r"study\.json cannot be written"):
        directory.write(study(), study().runs, [])


def test_a_study_that_was_killed_before_its_plan_was_written_is_begun(tmp_path: Path) -> None:
    directory = StudyDirectory(tmp_path)
    directory.lock.write_text("")
    directory.file.with_name("study.json.tmp").write_text("{")
    assert directory.read() == []


def test_a_task_that_fails_on_test_data_leaves_the_others_to_be_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trials import final_test as final

    runs = study(seeds=3).runs
    asked = []

    def fails(path: Path, **options: Any) -> Any:
        asked.append(path)
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(final, "measure_on_test_data", fails)
    view = Told(3)
    measure(StudyDirectory(tmp_path), runs, view, "cpu")
    assert len(asked) == 3
    assert all("could not be measured on test data: RuntimeError: CUDA" in line for line in view.lines)


def test_what_a_run_left_behind_prints_does_not_bring_it_back() -> None:
    view = Told(1)
    (run,) = study().runs
    view.on_start(run)
    view.on_line(run, "stdout", "one")
    assert view.running[run.id][1] == "one"
    view.on_end(run, True, 1.0, "done")
    view.on_line(run, "stdout", "from a worker that outlived it")
    assert not view.running


@pytest.mark.parametrize("width", [20, 40, 200])
def test_the_view_fits_the_terminal(width: int) -> None:
    from rich.console import Console

    view = RichView(1000, 3)
    view.close()
    (run,) = study(experiments=[{"run_id": "a-name-that-is-much-longer-than-a-narrow-terminal"}]).runs
    view.on_start(run)
    view.on_line(run, "stdout", "said " * 100)
    stream = io.StringIO()
    Console(file=stream, width=width, height=24, force_terminal=False).print(view.render())
    assert not stream.getvalue().splitlines()[-1].strip()  # where a terminal echoes ^C
    lines = stream.getvalue().splitlines()
    assert all(len(line.rstrip()) <= width for line in lines)
    assert len(lines) <= 12
    assert any("a-name" in line for line in lines)


class Stopped(io.StringIO):
    """A terminal on which somebody has pressed Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def write(self, text: str) -> int:
        self.go_on.wait(60)
        return super().write(text)


def test_a_terminal_that_stands_still_does_not_hold_up_the_searches() -> None:
    stream = Stopped()
    view = PlainView(1, 0, stream)
    (run,) = study().runs
    lines = 50_000
    for number in range(lines):  # would not come back
        view.on_line(run, "stdout", str(number))
    stream.go_on.set()
    view.on_end(run, True, 1.0, "done")
    view.close()
    said = stream.getvalue().splitlines()
    assert len(said) < lines
    assert said[0] == f"[{run.id}] 0"
    assert said[-1].startswith("[1/1]")
    (missed,) = (line for line in said if "not shown" in line)
    assert int(missed.strip("(").split()[0].replace(",", "")) + len(said) - 2 == lines


class Compared:
    """A study that was read when its groups were called as in the plan on the disk."""

    def __init__(self, faster: str) -> None:
        self.faster = faster

    def targets(self, group: str) -> tuple[float, ...]:
        return (0.5,) if group == "dummy, asha" else ()

    def arms(self, group: str) -> list[str]:
        return ["baseline", "ohgw-1step (eta_h=0.01)", "ohgw-1step (eta_h=0.001)"]

    def times(self, group: str, arm: str, target: float) -> PairedTimes:
        no = np.zeros(2, dtype=np.bool_)
        own = np.full(2, 1.0 if arm == self.faster else 3.0)
        return PairedTimes(np.arange(2), np.full(2, 2.0), no, own, no, 9.0)


@pytest.mark.parametrize("eta", [1e-2, 1e-3])
def test_the_best_is_known_by_its_settings_and_whatever_its_group_is_called_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eta: float
) -> None:
    sweep = [{"name": "ohgw-1step", "warm_start_option": {"eta_h": each}} for each in (1e-2, 1e-3)]
    content: dict[str, Any] = {"targets": [0.5], "variations": ["baseline", *sweep], "seeds": 2}
    directory = StudyDirectory(tmp_path / "study")
    first = study(**content, experiments=[{"run_id": "main"}])
    directory.write(first, directory.merged(first), [])
    for run in first.runs:
        finish(directory, run)
    later = study(**content, experiments=[{"run_id": "main"}, {"run_id": "more", "max_trials": 5}])
    runs = [run for run in directory.merged(later) if run.experiment == "main"]
    assert {run.group for run in runs} != {"dummy, asha"}
    monkeypatch.setattr(
        "analysis.study.loading.load_study", lambda path: Compared(f"ohgw-1step (eta_h={eta})")
    )
    best = best_variation(directory, runs, "baseline")
    assert best == {"name": "ohgw-1step", "warm_start_option": {"eta_h": eta}}
    assert best_variation(directory, [*runs, later.runs[-1]], "baseline") is None  # not all are done


def test_a_reader_that_leaves_does_not_change_the_exit_status(tmp_path: Path) -> None:
    file = write(tmp_path / "s.yaml", task="dummy", seeds=2)
    made = study_from({"task": "dummy", "max_trials": 3, "seeds": 2}, str(file), "s")
    directory = StudyDirectory(tmp_path / "study")
    directory.write(made, directory.merged(made), [])
    for run in made.runs:
        finish(directory, run)
    told = subprocess.run(
        ["bash", "-c", '"$0" "$1" --gpus inline --results-dir study | :; exit ${PIPESTATUS[0]}',
         ASHA_STUDY, str(file)],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "2 of 2 runs are done already" in told.stderr
    assert "Error" not in told.stderr


@pytest.mark.processes
def test_a_file_of_the_user_is_no_module_of_pythons(tmp_path: Path) -> None:
    (tmp_path / "shlex.py").write_text("raise RuntimeError('not me')")
    logs = [tmp_path / "stdout.log", tmp_path / "stderr.log"]
    program = (
        "import sys, time; from pathlib import Path; from asha_core.study.run_process import RunProcess\n"
        "process = RunProcess(['--version'], [Path('stdout.log'), Path('stderr.log')], [], print, {})\n"
        "while process.poll() is None: time.sleep(0.02)\n"
        "sys.exit(process.poll())"
    )
    told = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 0, logs[1].read_text()
    assert logs[0].read_text().startswith("asha-core ")
