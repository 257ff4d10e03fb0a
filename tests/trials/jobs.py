"""Tasks and helpers for the executor tests; a module of its own, so that worker processes can import it."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from asha_core import ASHA, ConfigurationError, Float, Job, SearchSpace
from trials.task import FunctionTask, Task
from trials.trial import Trial

SPACE = SearchSpace({"x": Float(0.0, 1.0)})


def work(trial: Trial) -> None:
    """Adds x a unit; keeps the sum in its checkpoint, so that a resume shows."""
    state = trial.resume_from() or {"sum": 0.0}
    for _ in trial.units():
        state["sum"] += trial.config["x"]
        trial.save(state)
        trial.report(state["sum"], doubled=2 * state["sum"])


def fails_at_unit_two(trial: Trial) -> None:
    for unit in trial.units():
        if unit == 2:
            print("about to fail")
            raise ValueError("no such luck")
        trial.report(unit)


def never_reports(trial: Trial) -> None:
    return


def runs_past_its_end(trial: Trial) -> None:
    for _ in range(100):
        trial.report(0.0)


def exits(trial: Trial) -> None:
    sys.exit("leaving")


def saves_late(trial: Trial) -> None:
    """Saves after the report: the checkpoint must still be there for the next job."""
    state = trial.resume_from() or {"units": 0}
    for _ in trial.units():
        state["units"] += 1
        trial.report(state["units"])
        time.sleep(0.05)
        trial.save(state)


def reports_text(trial: Trial) -> None:
    for _ in trial.units():
        trial.report("good")  # type: ignore[arg-type]


def kills_itself_once(trial: Trial) -> None:
    state = trial.resume_from() or {"units": 0}
    for unit in trial.units():
        state["units"] = unit
        trial.save(state)
        trial.report(unit)
        flag = Path(os.environ["ASHA_TEST_FLAG"])
        if unit == 2 and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def killed_between_save_and_report(trial: Trial) -> None:
    """Dies once with its last unit's checkpoint on disk and its report unsent."""
    state = trial.resume_from() or {"sum": 0.0}
    for unit in trial.units():
        state["sum"] += trial.config["x"]
        trial.save(state)
        flag = Path(os.environ["ASHA_TEST_FLAG"])
        if unit == trial.until and not flag.exists():
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        trial.report(state["sum"])


def dies_with_a_child(trial: Trial) -> None:
    child = os.fork()
    if child == 0:
        time.sleep(300)
        os._exit(0)
    Path(os.environ["ASHA_TEST_FLAG"]).write_text(str(child))
    os.kill(os.getpid(), signal.SIGKILL)


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def refuses(trial: Trial) -> None:
    raise ConfigurationError("x is too small")


def every_third(trial: Trial) -> None:
    """Saves every third unit; better and better, then worse."""
    trial.resume_from()
    for unit in trial.units():
        if unit % 3 == 0:
            trial.save({"unit": unit})
        trial.report(min(unit, 8))


def always_dies(trial: Trial) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleeps(trial: Trial) -> None:
    for _ in trial.units():
        time.sleep(60)
        trial.report(0.0)


def tells_its_environment(trial: Trial) -> None:
    for _ in trial.units():
        pinned = os.environ.get("CUDA_VISIBLE_DEVICES", "unset")
        print(f"pinned={pinned} torch={'torch' in sys.modules}")
        os.system("echo from a child process")
        trial.report(float(pinned or -1))


class CannotSetUp(Task):
    space = SPACE

    def setup(self, device: str) -> None:
        from asha_core.errors import TaskError

        raise TaskError("the data is not there: put it somewhere")

    def run(self, trial: Trial) -> None:
        raise AssertionError


class RaisesInSetUp(Task):
    space = SPACE

    def setup(self, device: str) -> None:
        {}["rows"]

    def run(self, trial: Trial) -> None:
        raise AssertionError


class DiesInSetUp(Task):
    space = SPACE

    def setup(self, device: str) -> None:
        print("a driver crashed here", flush=True)
        os._exit(3)

    def run(self, trial: Trial) -> None:
        raise AssertionError


def function_task(function: Any) -> FunctionTask:
    return FunctionTask(function, SPACE)


def job(trial: int = 0, start: int = 0, until: int = 3, attempt: int = 0, x: float = 0.25) -> Job:
    return Job(trial, SPACE.configuration({"x": x}), start, until, attempt, seed=trial)


def scheduler(**settings: Any) -> ASHA:
    return ASHA(SPACE, **{"max_resource": 9, "max_trials": 9, **settings})
