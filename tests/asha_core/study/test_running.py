"""Studies as people run them: real processes, output that floods, failures, Ctrl-C and kill -9."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from analysis.journals.metrics import time_to_target
from analysis.journals.runs import load_run
from asha_core.cli.study import main
from asha_core.runtime.machine import cores
from asha_core.study.directory import StudyDirectory
from asha_core.study.run_process import RunProcess
from tests.asha_core.cli.searches import environment

pytestmark = pytest.mark.processes

ASHA_STUDY = str(Path(sys.executable).with_name("asha-study"))
TASKS = "tests.asha_core.study.loud_tasks"


def write(path: Path, **content: Any) -> Path:
    path.write_text(yaml.safe_dump({"max_trials": 3, **content}))
    return path


@dataclass(frozen=True)
class Done:
    """What ``asha-study`` left: its exit status, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def inline(path: Path, *more: str) -> Done:
    """A study led by this process; its runs are processes of their own, each with its trials inside."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(path.parent), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(path), "--gpus", "inline", "--results-dir", "study", *more])
    return Done(status, out.getvalue(), err.getvalue())


def outcomes(root: Path) -> dict[str, float]:
    return {
        str(path.parent.relative_to(root / "runs")): path.stat().st_mtime
        for path in sorted(root.glob("runs/*/*/outcome.json"))
    }


@pytest.mark.slow
def test_what_a_run_of_a_network_leaves(tmp_path: Path) -> None:
    told = inline(write(tmp_path / "s.yaml", task="dummy", max_resource=1, variations=["ohgw-1step"]))
    assert told.returncode == 0, told.stderr
    run = tmp_path / "study" / "runs" / "dummy-asha-ohgw-1step" / "seed-0"
    heading, command = (run / "stdout.log").read_text().splitlines()[:2]
    for part in ("data set dummy", "scheduler asha", "variation ohgw-1step", "seed 0", "budget 3 conf"):
        assert part in heading
    assert command.startswith("asha-run --config ")
    assert f"[dummy-asha-ohgw-1step/seed-0] {heading}" in told.stderr
    assert "search complete" in (run / "stderr.log").read_text()
    assert "search complete" in told.stderr
    assert (run / "checkpoints" / "best.pt").exists()
    assert "dummy-asha-ohgw-1step/seed-0: accuracy " in told.stderr
    assert json.loads((run / "test.json").read_text())["count"] == 256
    assert json.loads((run / "outcome.json").read_text())["status"] == 0
    assert yaml.safe_load((run / "config.yaml").read_text())["variation"] == "ohgw-1step"


def test_a_study_from_its_first_run_to_more_seeds(tmp_path: Path) -> None:
    file = write(
        tmp_path / "s.yaml",
        task=f"{TASKS}:Slow",
        task_option={"seconds": 0.01},
        test=False,
        variations=["baseline", "random-warm"],
        targets=[0.5],
    )
    told = inline(file, "--parallel", "2")
    assert told.returncode == 0, told.stderr
    assert "2 of 2 runs done" in told.stdout
    first = outcomes(tmp_path / "study")
    base, other = (load_run(path.parent) for path in sorted((tmp_path / "study").rglob("outcome.json")))
    assert {i: t.proposed for i, t in base.trials.items()} == {i: t.proposed for i, t in other.trials.items()}

    told = inline(file, "--seeds", "0-1", "--only", "*baseline*")
    assert told.returncode == 0, told.stderr
    assert "1 of 2 runs are done already" in told.stderr
    now = outcomes(tmp_path / "study")
    (added,) = set(now) - set(first)
    assert added.endswith("Slow-asha-baseline/seed-1")
    assert first.items() <= now.items()  # what was done was not touched
    plan = json.loads(inline(file, "--seeds", "0-2", "--dry-run", "--json").stdout)
    again, only_once = sorted(plan["arms"], key=lambda arm: arm["arm"])
    assert again["states"] == {"done": 2, "new": 1}
    assert only_once["states"] == {"done": 1, "new": 2}
    assert again["known_by"] == "measured"
    assert again["gpu_hours_a_run"] > 0
    assert outcomes(tmp_path / "study") == now  # a dry run runs nothing


@pytest.mark.slow
def test_the_best_variation_of_one_experiment_is_run_in_another(tmp_path: Path) -> None:
    check = {"run_id": "check", "variations": ["baseline", {"best_of": "main"}], "max_resource": 1}
    file = write(
        tmp_path / "s.yaml",
        task=f"{TASKS}:Slow",
        task_option={"seconds": 0.01},
        max_resource=3,
        test=False,
        max_trials=12,
        targets=[0.9],
        measure="units",
        variations=["baseline", "random-warm", {"name": "random-warm", "warm_start_option": {"sigma": 0.5}}],
        experiments=[{"run_id": "main"}, check],
    )
    plan = json.loads(inline(file, "--dry-run", "--json").stdout)
    assert plan["waiting"] == {"check": "main"}
    told = inline(file, "--parallel", "2")
    assert told.returncode == 0, told.stderr
    done = {run.arm: run for run in StudyDirectory(tmp_path / "study").read() if run.experiment == "main"}
    (chosen,) = {
        run.arm for run in StudyDirectory(tmp_path / "study").read() if run.experiment == "check"
    } - {"baseline"}
    times = {
        arm: time_to_target(load_run(tmp_path / "study" / "runs" / done[arm].id), 0.9)
        for arm in ("random-warm", "random-warm (sigma=0.5)")
    }
    units = {arm: time.units for arm, time in times.items() if not time.censored}
    assert len(set(units.values())) == 2, "with this seed one of them is better"
    assert chosen == min(units, key=lambda arm: units[arm])
    assert not list((tmp_path / "study").glob("runs/*/*/test.json"))


def test_a_failed_run_does_not_stop_the_rest_and_is_tried_again(tmp_path: Path) -> None:
    file = write(tmp_path / "s.yaml", task=f"{TASKS}:Failing", task_option={"seconds": 0}, seeds=3)
    told = inline(file)
    assert told.returncode == 1
    assert "2 of 3 runs done" in told.stdout
    assert "failed: tests.asha_core.study.loud_tasks-Failing-asha-baseline/seed-1" in told.stdout
    directory = StudyDirectory(tmp_path / "study")
    runs = directory.read()
    assert [directory.state(run) for run in runs] == ["done", "failed", "done"]
    status = directory.outcome(runs[1])
    assert status is not None
    assert status["status"] == 3
    before = outcomes(tmp_path / "study")
    assert inline(file).returncode == 1
    after = outcomes(tmp_path / "study")
    assert {name for name in after if after[name] != before[name]} == {runs[1].id}


def test_what_failed_is_not_tried_again_when_a_best_one_is_known(tmp_path: Path) -> None:
    slow = {"name": f"{TASKS}:Slow", "task_option": {"seconds": 0}, "targets": [0.5]}
    failing = {"run_id": "odd", "tasks": [f"{TASKS}:Failing"], "task_option": {"seconds": 0}, "seeds": [1]}
    main = {"run_id": "main", "tasks": [slow], "variations": ["baseline", "random-warm"]}
    check = {"run_id": "check", "tasks": [slow], "variations": [{"best_of": "main"}], "max_resource": 1}
    file = write(tmp_path / "s.yaml", experiments=[failing, main, check])
    told = inline(file)
    assert told.returncode == 1
    assert "3 of 4 runs done" in told.stdout
    assert told.stderr.count("failed (status 3)") == 1
    assert "failed: odd" in told.stdout


def test_a_search_that_found_nothing_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "s.yaml", task=f"{TASKS}:Raising", seeds=1)
    for _ in range(2):  # it is over, so the second time it is not run again, and named again
        told = inline(file)
        assert told.returncode == 1
        assert (
            "nothing was found by: tests.asha_core.study.loud_tasks-Raising-asha-baseline/seed-0"
            in told.stdout
        )


def test_a_mistake_in_one_arm_is_found_before_any_run(tmp_path: Path) -> None:
    wrong = {"name": "ohgw-1step", "warm_start_option": {"eta": 3}}
    file = write(tmp_path / "s.yaml", task="dummy", variations=["baseline", wrong])
    told = inline(file)
    assert told.returncode == 2
    assert "dummy-asha-ohgw-1step: " in told.stderr
    assert 'did you mean "eta_h"' in told.stderr
    assert not (tmp_path / "study").exists()


def test_output_that_floods_both_pipes_reaches_the_logs(tmp_path: Path) -> None:
    size = 3_000_000
    file = write(tmp_path / "s.yaml", task=f"{TASKS}:Loud", task_option={"bytes": size}, max_trials=2)
    told = inline(file)
    assert told.returncode == 0, told.stderr[-2000:]
    for log in ("stdout.log", "stderr.log"):
        text = next((tmp_path / "study").glob(f"runs/*/*/{log}")).read_text()
        assert text.count("x" * size) == 2


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGTERM, signal.SIGKILL))],
)
def test_an_interrupted_study_goes_on_where_it_was(tmp_path: Path, number: int) -> None:
    file = write(tmp_path / "s.yaml", task=f"{TASKS}:Slow", task_option={"seconds": 0.1}, max_trials=5)
    arguments = [str(file), "--gpus", "inline", "--results-dir", "study"]
    with subprocess.Popen(
        [ASHA_STUDY, *arguments], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    ) as study:
        assert study.stderr is not None
        for line in study.stderr:
            if "best score" in line:
                break
        study.send_signal(number)
        study.stderr.read()  # ends when nobody holds the pipe: no run outlives its study
        assert study.wait(60) == (-signal.SIGKILL if number == signal.SIGKILL else 130)
    runs = StudyDirectory(tmp_path / "study").read()
    wait_for_the_end(tmp_path / "study" / "runs" / runs[0].id)
    before = len(load_run(tmp_path / "study" / "runs" / runs[0].id).t)
    assert before > 0
    told = inline(file)
    assert told.returncode == 0, told.stderr
    first = load_run(tmp_path / "study" / "runs" / runs[0].id)
    assert len(first.sessions) == 2
    assert first.reason == "complete"
    assert len(first.t) > before


def wait_for_the_end(run: Path) -> None:
    """Until the run's engine has let go of its directory."""
    import fcntl

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with open(run / "engine.lock") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.05)
    raise AssertionError("the run outlived its study")


def test_a_second_study_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    from asha_core.runtime.storage.lock import held

    file = write(tmp_path / "s.yaml", task="dummy")
    (tmp_path / "study").mkdir()
    with held(StudyDirectory(tmp_path / "study").lock):
        told = inline(file)
    assert told.returncode == 2
    assert "is in use" in told.stderr


def test_lines_are_passed_on_as_they_come_and_made_harmless(tmp_path: Path) -> None:
    """With a child that is no search: what a terminal would show, and nothing that could drive one."""
    heard: list[tuple[str, str]] = []
    logs = [tmp_path / "stdout.log", tmp_path / "stderr.log"]
    process = RunProcess(["--version"], logs, ["run x"], lambda *line: heard.append(line), {})
    while process.poll() is None:
        time.sleep(0.02)
    assert process.poll() == 0
    assert heard[0] == ("stdout", "run x")
    assert heard[1][1].startswith("asha-core ")
    assert logs[0].read_text().splitlines() == [text for _, text in heard]

    from asha_core.study.run_process import _text

    assert _text(b"10%\r50%\r100%\r") == "100%"
    assert _text(b"\x1b[2Jgone\xff") == "?[2Jgone\N{REPLACEMENT CHARACTER}"


def test_gpus_are_split_into_groups_that_share_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from asha_core.errors import SettingError
    from asha_core.study.device_groups import device_groups
    from trials import devices

    monkeypatch.setattr(devices, "visible_gpus", lambda: [devices.Gpu(str(i), "H200") for i in range(8)])
    assert [group.gpus for group in device_groups("auto", 2, 4)] == ["0,1,2,3", "4,5,6,7"]
    assert [group.gpus for group in device_groups("0, 2,5,7", 4, None)] == ["0", "2", "5", "7"]
    for given, message in [
        (("0,1,2", 2, None), "that 2 divides"),
        (("0,1", 1, 4), "asks for 4 GPUs a run"),
        (("cpu", 1, 4), "asks for 4 GPUs a run"),
        (("0,1", 0, None), "parallel is 0"),
    ]:
        with pytest.raises(SettingError, match=message):
            device_groups(*given)
    assert [group.workers for group in device_groups("cpu", 2, None)] == [max(cores() // 2, 1)] * 2


def test_a_study_without_a_gpu_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trials.devices.visible_gpus", list)
    monkeypatch.setattr("asha_core.cli.study._run_and_test", lambda *given: (True, []))
    path = str(write(tmp_path / "s.yaml", tasks=["dummy"], variations=["baseline"], seeds=[0]))
    for gpus, told in (("auto", "asha-study: no GPU found: the runs train on the CPU\n"), ("cpu", "")):
        main([path, "--gpus", gpus, "--results-dir", str(tmp_path / gpus)])
        assert capsys.readouterr().err == told


def test_a_run_ends_with_its_study_even_before_it_has_begun(tmp_path: Path) -> None:
    """The parent that a child is told of is not its parent any more: it ends at once."""
    child = subprocess.run(
        [sys.executable, "-m", "asha_core.cli.study_child", "1", "--version"],
        env={**os.environ}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert child.returncode == -signal.SIGTERM
