"""Searches that are stopped: by signals, by their budget, by trials that hang, die or are hopeless."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from asha_core.cli.run import main
from asha_core.runtime.clock import WallClock
from tests.asha_core.cli.searches import CPU, PACED, TASK, Command, records, results, run
from tests.conftest import ROOT

UNRULY = ["--task", "tests.asha_core.cli.odd_tasks:Unruly", "--gpus", "cpu", "--workers-per-gpu", "2"]


def command_to_go_on(errors: str) -> list[str]:
    """The command that a stopped search says, as a shell would take it."""
    (line,) = [line for line in errors.splitlines() if "go on with: " in line]
    name, *arguments = shlex.split(line.partition("go on with: ")[2])
    assert name == "asha-run"
    return arguments


def never_back(directory: Path) -> None:
    """Time goes on from session to session."""
    times = [record["t"] for record in records(directory)]
    assert times == sorted(times)


# -- signals ---------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_lets_units_end_and_says_how_to_go_on(number: int, tmp_path: Path) -> None:
    folder = "a directory with 'quotes'"
    options = ["--task-option", "seconds=0.4", "--max-trials", "4", "--max-resource", "3"]
    with Command(tmp_path, *CPU, *options, "--results-dir", folder) as engine:
        engine.wait_for(tmp_path / folder, "report", 1)
        reported = len(records(tmp_path / folder, "report"))
        seconds, errors = engine.signal(number)
        assert engine.process.returncode == 130
        assert seconds < 10
        assert engine.nobody_left(1)
    assert "stopping: jobs end after their unit" in errors
    stopped = records(tmp_path / folder, "lost")
    assert {each["kind"] for each in stopped} <= {"stopped"}
    assert len(records(tmp_path / folder, "report")) > reported  # what was running ended
    assert results(tmp_path / folder)["reason"] == "interrupted"
    done = run(*command_to_go_on(errors), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "going on with a search that ended (interrupted)" in done.stderr
    assert (results(tmp_path / folder)["reason"], results(tmp_path / folder)["trials"]) == ("complete", 4)
    assert not records(tmp_path / folder, "failed")
    never_back(tmp_path / folder)


@pytest.mark.processes
@pytest.mark.parametrize(("times", "limit"), [pytest.param(1, 10.0, marks=pytest.mark.slow), (2, 3.0)])
def test_a_unit_of_a_minute_does_not_hold_it_up(times: int, limit: float, tmp_path: Path) -> None:
    options = ["--task-option", "slow_after=0", "--max-trials", "4", "--results-dir", "run"]
    with Command(tmp_path, *PACED, *options) as engine:
        engine.wait_for(tmp_path / "run", "worker", 2)
        seconds, errors = engine.signal(signal.SIGINT, times)
        assert engine.process.returncode == 130
        assert seconds < limit
        assert engine.nobody_left(1)
    assert command_to_go_on(errors)
    assert len(records(tmp_path / "run", "lost")) == 2


@pytest.mark.processes
@pytest.mark.parametrize("how", ["interrupt", "kill"])
@pytest.mark.parametrize("task", ["Begets", pytest.param("Loads", marks=pytest.mark.slow)])
def test_what_workers_started_ends_with_their_search(task: str, how: str, tmp_path: Path) -> None:
    command = ["--task", f"tests.asha_core.cli.odd_tasks:{task}", "--gpus", "cpu", "--workers-per-gpu", "1"]
    with Command(tmp_path, *command, "--max-trials", "50", "--results-dir", "run") as engine:
        engine.wait_for(tmp_path / "run", "report", 1)
        if how == "kill":
            engine.kill()
        else:
            seconds, _ = engine.signal(signal.SIGINT)
            assert seconds < 10
            assert engine.process.returncode == 130
        assert engine.nobody_left(10)


@pytest.mark.processes
def test_a_signal_before_the_first_job_leaves_nothing_running(tmp_path: Path) -> None:
    with Command(tmp_path, *PACED, "--max-trials", "4", "--results-dir", "run") as engine:
        until = time.monotonic() + 30
        while not (tmp_path / "run" / "engine.lock").exists() and time.monotonic() < until:
            time.sleep(0.001)
        seconds, errors = engine.signal(signal.SIGTERM)
        assert seconds < 10
        assert engine.process.returncode == 130, errors
        assert "Traceback" not in errors
    done = run("--resume", *PACED, "--max-trials", "4", "--results-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert results(tmp_path / "run")["trials"] == 4


# -- the budget ------------------------------------------------------------------------------------


class TickingClock(WallClock):
    """Fifty milliseconds pass whenever somebody looks, and no others."""

    def __init__(self, spent: float = 0.0) -> None:
        self.seconds = spent

    def now(self) -> float:
        self.seconds += 0.05
        return self.seconds


def test_a_budget_is_of_all_sessions_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("asha_core.launch.launching.WallClock", TickingClock)
    directory = tmp_path / "run"
    begun = [*TASK, "--gpus", "inline", "--max-trials", "500", "--results-dir", str(directory)]
    assert main([*begun, "--json", "--progress", "plain", "--budget", "3s"]) == 0
    errors = capsys.readouterr().err
    assert "stopped at its budget" in errors
    *goes_on, flag, more = command_to_go_on(errors)
    assert (flag, more) == ("--budget", "MORE")
    first = results(directory)
    assert first["reason"] == "budget"
    assert 3 <= first["seconds"] < 4

    assert main([*goes_on, "--budget", "3s"]) == 0
    again = results(directory)
    assert (again["reason"], again["units"]) == ("budget", first["units"])
    assert again["seconds"] - first["seconds"] < 1

    assert main([*goes_on, "--budget", "5s"]) == 0
    more = results(directory)
    assert (more["reason"], more["units"] > first["units"]) == ("budget", True)
    assert 5 <= more["seconds"] < 6
    never_back(directory)
    last = records(directory, "resume")[-1]
    assert (last["held"], last["changes"]) == (1, {"budget": "5s"})
    assert more["gpu_hours"] == pytest.approx(more["seconds"] / 3600, rel=1e-3)


def test_a_budget_of_device_hours_says_which_option_to_raise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*TASK, "--gpus", "inline", "--task-option", "seconds=0.02", "--gpu-hours", "0.0001"]
    assert main([*command, "--results-dir", str(tmp_path / "run")]) == 0
    errors = capsys.readouterr().err
    assert results(tmp_path / "run")["reason"] == "budget"
    assert "--gpu-hours" in command_to_go_on(errors)
    assert "--budget" not in command_to_go_on(errors)


# -- hopeless --------------------------------------------------------------------------------------


def test_five_equal_failures_end_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = ["--task", "tests.asha_core.cli.odd_tasks:Unruly", "--task-option", "how=raises"]
    command = [*task, "--gpus", "inline", "--max-trials", "100", "--results-dir", str(tmp_path / "run")]
    assert main(command) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("asha-run: error: the first 5 trials all failed with the same error")
    assert "RuntimeError: the wheels came off trial" in line
    log = line[line.index("(trials/") + 1 : line.index("log.txt)")] + "log.txt"
    assert "the wheels came off" in (tmp_path / "run" / log).read_text()
    assert len(records(tmp_path / "run", "failed")) == 5
    assert records(tmp_path / "run")[-1]["type"] == "end"
    assert main([*command, "--resume"]) == 2  # no better
    assert "the wheels came off" in capsys.readouterr().err.splitlines()[-1]
    never_back(tmp_path / "run")


# -- trials that hang or die -----------------------------------------------------------------------


def unruly(tmp_path: Path, how: str, *options: str, once: bool) -> tuple[Any, list[dict[str, Any]]]:
    """A search of four trials, the first of which does not behave; its result, and what happened to that."""
    flag = tmp_path / "flag"
    if once:
        flag.touch()
    done = run(
        *(*UNRULY, "--task-option", f"how={how}", "--task-option", f"flag={flag if once else ''}"),
        *("--max-trials", "4", "--max-resource", "3", "--results-dir", "run", *options),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    stored = json.loads((tmp_path / "run" / "results.json").read_text())
    assert (stored["reason"], stored["trials"]) == ("complete", 4)
    return stored, [r for r in records(tmp_path / "run") if r["type"] in ("lost", "failed")]


@pytest.mark.processes
def test_without_retries_a_dead_worker_is_a_failed_trial(tmp_path: Path) -> None:
    stored, happened = unruly(tmp_path, "dies", "--max-retries", "0", once=False)
    assert stored["failed"] == 1
    assert [(r["trial"], r["kind"]) for r in happened] == [(0, "died")]
    assert "SIGKILL" in happened[0]["reason"]


@pytest.mark.processes
def test_with_retries_it_goes_again(tmp_path: Path) -> None:
    stored, happened = unruly(tmp_path, "dies", once=True)
    assert stored["failed"] == 0
    assert [(r["trial"], r["kind"]) for r in happened] == [(0, "died")]


@pytest.mark.processes
def test_a_trial_that_takes_too_long_fails(tmp_path: Path) -> None:
    stored, happened = unruly(tmp_path, "hangs", "--trial-timeout", "1s", once=False)
    assert stored["failed"] == 1
    assert [(r["type"], r["trial"], r["kind"]) for r in happened] == [("failed", 0, "timeout")]
    assert "trial-timeout is 1.0s" in happened[0]["error"]


@pytest.mark.processes
@pytest.mark.slow
def test_a_worker_that_reports_nothing_is_replaced(tmp_path: Path) -> None:
    stored, happened = unruly(tmp_path, "hangs", "--no-progress-timeout", "1s", once=True)
    assert stored["failed"] == 0
    assert [(r["type"], r["trial"], r["kind"]) for r in happened] == [("lost", 0, "hung")]
    assert "no-progress-timeout" in happened[0]["reason"]


@pytest.mark.processes
@pytest.mark.slow
def test_a_worker_that_is_stopped_is_replaced(tmp_path: Path) -> None:
    stored, happened = unruly(tmp_path, "stops", "--heartbeat-timeout", "3s", once=True)
    assert stored["failed"] == 0
    assert [(r["type"], r["trial"], r["kind"]) for r in happened] == [("lost", 0, "hung")]
    assert "no sign of life for 3 s (state T: stopped)" in happened[0]["reason"]


def test_a_heartbeat_timeout_shorter_than_a_few_beats_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*CPU, "--heartbeat-timeout", "0.4s", "--results-dir", str(tmp_path / "run")]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "heartbeat-timeout is 0.4 s" in line
    assert "at least 3 s" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.processes
def test_the_shortest_heartbeat_timeout_kills_no_healthy_worker(tmp_path: Path) -> None:
    options = ["--task-option", "seconds=5", "--max-trials", "2", "--max-resource", "1"]
    done = run(*CPU, *options, "--heartbeat-timeout", "3s", "--results-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not records(tmp_path / "run", "lost")


# -- nobody reads ----------------------------------------------------------------------------------


@pytest.mark.processes
def test_output_that_cannot_be_written_ends_no_search(tmp_path: Path) -> None:
    arguments = [*CPU, "--max-trials", "4", "--max-resource", "3", "--results-dir", "run"]
    command = [
        sys.executable,
        "-c",
        "from asha_core.cli.run import main; raise SystemExit(main())",
        *arguments,
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with open("/dev/full", "w") as full:
        status = subprocess.call(command, cwd=tmp_path, env=environment, stdout=full, stderr=full, timeout=60)
    assert status == 0
    assert results(tmp_path / "run")["reason"] == "complete"
