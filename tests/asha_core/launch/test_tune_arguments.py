"""Every argument of ``tune``: what it cannot use is refused in one line, and nothing is left."""

from __future__ import annotations

import datetime
import functools
import inspect
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asha_core import ASHA, Float, RandomSearch, Scheduler, SearchSpace, tune
from asha_core.errors import AshaError, DeviceError, SettingError
from asha_core.runtime.observers import Observer
from tests.trials import jobs
from trials.devices import parse_devices
from trials.gpu_detection import Gpu
from trials.task import FunctionTask, Task

SPACE = SearchSpace({"x": Float(0.0, 1.0)})
NOTHING_LIKE_IT = [
    b"x", {"a": 1}, object(), np.array([1, 2]), 1j, datetime.timedelta(seconds=3), int, [[1]], math.nan,
    math.inf, -math.inf, True, "\n", "a\0b",
]  # fmt: skip
NO_NUMBERS = [each for each in NOTHING_LIKE_IT if not isinstance(each, np.ndarray)]
TIME = [0, -1, "", "3 parsecs", "1h-", *NOTHING_LIKE_IT]
NAME = [None, 3, "", "x", *NOTHING_LIKE_IT]


class OnlySome:
    """An observer with one of the methods."""

    def on_event(self, view: Any, event: Any) -> None: ...


class NoExecutor:
    def __init__(self, settings: Any, slots: Any) -> None: ...


class HalvesRate:
    def refine(self, problem: Any, configuration: Any, seed: int) -> None: ...


# argument: (values that it does not take, how an error names it)
REFUSED: dict[str, tuple[list[Any], str]] = {
    "train": (
        [None, 3, "x", Task, FunctionTask, *(each for each in NOTHING_LIKE_IT if each is not int)],
        "train is",
    ),
    "scheduler": (
        [None, 3, ASHA, "asha", Scheduler, SPACE, jobs.work, RandomSearch, *NOTHING_LIKE_IT],
        "scheduler is",
    ),
    "space": ([3, "x", SearchSpace, SPACE, *NOTHING_LIKE_IT], "space is"),
    "searcher": ([3, "x", ASHA, RandomSearch, RandomSearch(SPACE, 0), *NOTHING_LIKE_IT], "searcher is"),
    "scheduler_options": ([3, "x", [], {"max_trials": 2}, *NOTHING_LIKE_IT], "scheduler_options"),
    "searcher_options": ([3, "x", [], {"a": 1}, *NOTHING_LIKE_IT], "searcher_options"),
    "gpus": ([None, 0, 1, "", "x", "0,", "-1", [], [0.0], [-1], "0,0", [0, 0], *NO_NUMBERS], "gpus is"),
    "workers_per_gpu": ([0, -1, 2.5, "2", 10**400, *NOTHING_LIKE_IT], "workers_per_gpu is"),
    "budget": (TIME, "budget is"),
    # of curves alone, which ``train`` is not here
    "workers": ([0, 4, "4", *NOTHING_LIKE_IT], "workers is"),
    "curves_options": ([3, {"resample": True}, *NOTHING_LIKE_IT], "curves_options is"),
    "decision_seconds": ([0, "measured", *NOTHING_LIKE_IT], "decision_seconds is"),
    "variation": (NAME, "variation"),
    "warm_start_options": ([3, "x", [], [("eta_h", 1)], *NOTHING_LIKE_IT], ""),
    "metric": ([None, 3, "", *NOTHING_LIKE_IT], "metric is"),
    "target": (["0.9", [0.9], 10**400, *NOTHING_LIKE_IT], "target is"),
    "stop_at": (["0.9", [0.9], 10**400, *NOTHING_LIKE_IT], "stop_at is"),
    "patience": ([0, -1, 2.0, "", "soon", 10**400, *NOTHING_LIKE_IT], "patience is"),
    "results_dir": (["", 3, "x" * 300, "~nobody-of-that-name/x", *NOTHING_LIKE_IT], "results_dir is"),
    "progress": (NAME, "progress is"),
    "observers": (
        [None, 3, "x", Observer(), Observer, [3], ["x"], [Observer], [OnlySome()], *NOTHING_LIKE_IT],
        "observer",
    ),
    "executor": ([3, "x", NoExecutor, *NOTHING_LIKE_IT], "executor"),
    "executor_options": ([3, "x", [], {"a": 1}, *NOTHING_LIKE_IT], "executor_options"),
    "resume": ([None, 0, 1, "yes", *(each for each in NOTHING_LIKE_IT if each is not True)], "resume is"),
    "retry_failed": ([None, 0, 1, "yes", *NOTHING_LIKE_IT], "retry_failed"),
    "trial_timeout": (TIME, "trial_timeout is"),
    "no_progress_timeout": (TIME, "no_progress_timeout is"),
    "heartbeat_timeout": ([1, *TIME], "heartbeat"),
    "start_timeout": ([1, *TIME], "start"),
    "checkpoint_budget": ([0, -1, "", "3 apples", 0.5, *NOTHING_LIKE_IT], "checkpoint"),
}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(**arguments: Any) -> Any:
    scheduler = ASHA(SPACE, max_trials=2, max_resource=1)
    usual = {"train": jobs.work, "scheduler": scheduler, "gpus": "inline", "progress": "none"}
    return tune(**{**usual, "results_dir": "run", **arguments})


def test_the_table_has_every_argument() -> None:
    assert set(REFUSED) == set(inspect.signature(tune).parameters)


@pytest.mark.parametrize("argument", REFUSED)
def test_what_is_not_taken_is_named_and_leaves_nothing(argument: str, tmp_path: Path) -> None:
    values, named = REFUSED[argument]
    for value in values:
        with pytest.raises(AshaError) as caught:
            call(**{argument: value})
        said = str(caught.value)
        assert named in said, value
        assert "\n" not in said, value
        assert len(said) < 600, value
        assert isinstance(caught.value, SettingError), said
        assert not list(tmp_path.iterdir()), value


@pytest.mark.parametrize(
    ("arguments", "of"),
    [
        ({"target": np.float32(0.5), "workers_per_gpu": np.int64(2), "metric": np.str_("loss")}, "numpy"),
        ({"budget": np.int64(60), "trial_timeout": np.float64(60), "checkpoint_budget": 1e9}, "numbers"),
        ({"budget": "1m", "heartbeat_timeout": None, "observers": (Observer(),)}, "text"),
        ({"warm_start_options": {}, "target": -3}, "empty"),
    ],
)
def test_what_is_taken(arguments: dict[str, Any], of: str) -> None:
    assert call(**arguments).outcome.reason == "complete"


@pytest.mark.parametrize("gpus", ["1,0", [1, 0], (1, 0), np.array([1, 0]), ["1", "0"], iter([1, 0])])
def test_gpus_are_given_as_text_or_as_numbers(gpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trials.devices.visible_gpus", lambda: [Gpu("0", "a"), Gpu("1", "b")])
    assert [slot.label for slot in parse_devices(gpus).slots] == ["gpu 1", "gpu 0"]
    with pytest.raises(DeviceError, match="GPU 2 is not there"):
        parse_devices([2])


class NoSpace(Task):
    def run(self, trial: Any) -> None: ...


class OddMode(NoSpace):
    space = SPACE
    mode = "biggest"


class OddMetric(NoSpace):
    space = SPACE
    metric = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (NoSpace, "the task NoSpace has no search space"),
        (OddMode, "the task OddMode has mode 'biggest': it must be"),
        (OddMetric, "the task OddMetric has metric None: it must be text"),
    ],
)
def test_a_task_whose_attributes_cannot_be_used(task: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(AshaError, match=said):
        call(train=task())
    assert not list(tmp_path.iterdir())


class NoTask:
    def run(self, trial: Any) -> None: ...


def needs_more(trial: Any, data: Any) -> None: ...
def takes_nothing() -> None: ...
async def waits(trial: Any) -> None: ...
def yields(trial: Any) -> Any:
    yield


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (OddMode, r"the class OddMode: give an object of it, such as OddMode\(\)"),
        (NoTask, r"the class NoTask: give an object of it, .* of a subclass of trials.Task"),
        (NoTask(), r"write class NoTask\(trials.Task\)"),
        (needs_more, r"cannot be called as train\(trial\): missing a required argument: 'data'"),
        (takes_nothing, r"cannot be called as train\(trial\): too many"),
        (waits, "does nothing when it is called: it has async"),
        (yields, "does nothing when it is called: it has yield"),
        ("digist", 'unknown task .*did you mean "digits"'),
    ],
)
def test_what_is_no_function_of_a_trial_says_what_to_write(train: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=f"train is .*{said}"):
        call(train=train)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("train", [functools.partial(needs_more, data=3), lambda trial, data=3: None, max])
def test_whatever_can_be_called_with_a_trial_is_a_function_of_one(train: Any) -> None:
    assert FunctionTask(train, SPACE).function is train


@pytest.mark.parametrize(
    ("observer", "said"),
    [
        (Observer, r"the class Observer: give an object of it, such as Observer\(\)"),
        (OnlySome(), r"which has on_event: it must be .*write class OnlySome\(asha_core.Observer\)"),
        (object(), r"write class MyObserver\(asha_core.Observer\)"),
        ("x", "unknown observer 'x'; known: .none.; or mypackage.mymodule:MyObserver, or path/file.py:MyOb"),
    ],
)
def test_what_is_no_observer_says_what_to_write(observer: Any, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        call(observers=[observer])


@pytest.mark.parametrize("given", [HalvesRate, HalvesRate()])
def test_a_warm_start_that_is_given_itself_is_told_how_it_is_named(given: Any) -> None:
    with pytest.raises(
        SettingError, match=r'^variation is .*: give "[\w.]+:HalvesRate", and its settings as'
    ):
        call(variation=given)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gpu", 'did you mean "gpus"'),
        ("time_budget_s", 'did you mean "budget"'),
        ("mode", r"give mode to the scheduler, as in ASHA\(space, mode=...\)"),
        ("n_trials", "give max_trials to the scheduler"),
        ("max_trial", "give max_trials to the scheduler"),
        ("zzz", "; known: budget, "),
    ],
)
def test_an_argument_that_is_not_there_says_what_was_meant(name: str, said: str) -> None:
    with pytest.raises(TypeError, match=rf"^tune\(\) has no argument '{name}'.*{said}"):
        call(**{name: 3})


def test_few_trials_are_said_in_a_script_as_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scheduler = ASHA(SPACE, max_resource=9, max_trials=3)
    tune(jobs.work, scheduler, gpus="inline", progress="plain", results_dir=tmp_path / "few")
    assert "note: of 3 trials none is expected to reach the last rung (9)" in (
        error := capsys.readouterr().err
    )
    assert "or a lower max_resource\n" in error
