"""What a worker is told, on its way: what cannot be sent or read is told in a line."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from asha_core.errors import WorkerError
from tests.asha_core.cli.searches import environment
from tests.trials import jobs
from trials.task import Task
from trials.trial import Trial
from trials.worker.job_runner import WorkerSettings
from trials.worker.parcel import Parcel, Unreadable


class Holds(Task):
    space = jobs.SPACE

    def __init__(self, thing: Any = None) -> None:
        self.thing = thing

    def run(self, trial: Trial) -> None:
        jobs.work(trial)


class HoldsALock(Holds):
    """As Python's documentation has objects with locks pickle: without."""

    def __init__(self, lock: Any) -> None:
        self.lock = lock

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "lock": None}


class Doubled(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


class ReadsTwoLines(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first}\n{second}")


def deep_list() -> list[Any]:
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


def raises(_: object) -> None:
    raise ValueError("no such\nstate")


class ComesBackNot:
    def __reduce__(self) -> Any:
        return raises, (None,)


def arrived(task: Task) -> WorkerSettings | Unreadable:
    found: WorkerSettings | Unreadable = pickle.loads(pickle.dumps(Parcel(WorkerSettings(task, "run", 9))))
    return found


def test_settings_arrive_as_they_were() -> None:
    task = Holds(torch.arange(3.0))
    found = arrived(task)
    assert isinstance(found, WorkerSettings)
    assert isinstance(found.task, Holds)
    assert found.task.thing.tolist() == [0.0, 1.0, 2.0]
    assert found.task.describe() == task.describe()
    assert (found.results, found.max_resource) == ("run", 9)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (threading.Lock, "cannot pickle '_thread.lock' object"),
        (lambda: lambda: None, "Can't pickle local object"),
        (Path("/dev/null").open, "cannot pickle '_io.TextIOWrapper' object"),
        (lambda: (x for x in ()), "cannot pickle 'generator' object"),
        (deep_list, "RecursionError: maximum recursion depth exceeded"),
        (lambda: 2 * torch.ones(2, requires_grad=True), "non-leaf tensor which requires_grad"),
        (lambda: torch.jit.script(Doubled()), "Tried to serialize object __torch__"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning", "ignore::ResourceWarning")
def test_what_cannot_be_pickled_is_named_in_a_line(make: Any, what: str) -> None:
    thing = make()
    for task, name in ((Holds(thing), "thing"), (jobs.function_task(partial(jobs.work, thing)), "function")):
        with pytest.raises(WorkerError) as caught:
            arrived(task)
        text = str(caught.value)
        assert text.startswith("the task cannot be sent to worker processes")
        assert f"because of its {name} (" in text
        assert what in text
        assert "\n" not in text


def test_what_a_task_was_made_with_need_not_pickle_if_its_state_does() -> None:
    found = arrived(HoldsALock(threading.Lock()))
    assert isinstance(found, WorkerSettings)
    assert isinstance(found.task, HoldsALock)
    assert found.task.describe()["options"] is None


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        (ComesBackNot(), r"ValueError: no such state, test_parcel\.py, line \d+"),
        (ReadsTwoLines("a", "b"), "TypeError: .*missing 1 required positional argument: 'second'"),
    ],
)
def test_what_cannot_be_read_there_arrives_as_the_reason(thing: Any, why: str) -> None:
    found = arrived(Holds(thing))
    assert isinstance(found, Unreadable)
    with pytest.raises(AssertionError, match=f"cannot be read by worker processes .{why}"):
        raise AssertionError(found.error)


MAIN = """
from asha_core import ASHA, Float, SearchSpace, tune

def train(trial):
    for unit in trial.units():
        trial.report(trial.config["x"])

def main():
    scheduler = ASHA(SearchSpace({"x": Float(0.0, 1.0)}), max_resource=1, max_trials=2)
    tune(train, scheduler, gpus="cpu", workers_per_gpu=1, results_dir="run", progress="none")

if __name__ == "__main__":
    main()
"""


def started(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.long
@pytest.mark.parametrize("form", ["package", "zip"])
def test_a_function_in_a_main_file_reaches_the_workers(tmp_path: Path, form: str) -> None:
    if form == "zip":
        with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
            archive.writestr("__main__.py", MAIN)
    else:
        (tmp_path / "app").mkdir()
        (tmp_path / "app" / "__main__.py").write_text(MAIN)
    done = started(*(["app.zip"] if form == "zip" else ["-m", "app"]), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "run" / "results.json").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("main", "why"),
    [
        (MAIN.replace('if __name__ == "__main__":', "if True:"), "came upon the call"),
        (MAIN.replace("    main()", "    main()\nelse:\n    1 / 0"), "ZeroDivisionError"),
    ],
)
def test_a_main_file_that_cannot_be_run_by_workers_is_told_why_and_nothing_is_left(
    tmp_path: Path, main: str, why: str
) -> None:
    (tmp_path / "__main__.py").write_text(main)
    last = started(str(tmp_path), cwd=tmp_path).stderr.splitlines()[-1]
    assert why in last
    assert 'must be under `if __name__ == "__main__":`' in last
    assert not (tmp_path / "run").exists()
