"""What a worker is told, on its way: what cannot be sent or read is told in a line."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from asha_core.errors import AshaError, WorkerError
from asha_core.user_files import refuse_while_importing
from tests.trials import jobs
from trials.task import Task
from trials.trial import Trial
from trials.worker.by_value import MainModule, pickled
from trials.worker.job_runner import WorkerSettings
from trials.worker.parcel import Parcel, Sent


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


class Loader:
    """Holds something in a place of its own."""

    def __init__(self, thing: Any) -> None:
        self.parts = {"first": [1, thing]}

    def train(self, trial: Trial) -> None:
        raise AssertionError


class Doubled(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


class ReadsTwoLines(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first}\n{second}")


def compiled() -> Any:
    """As torch.compile marks what it makes of a function; its imports take seconds."""

    def function() -> None: ...

    vars(function)["_torchdynamo_orig_callable"] = deep_list
    return function


def deep_list() -> list[Any]:
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


def raises(_: object) -> None:
    raise ValueError("no such\nstate")


def begins_a_search(_: object) -> None:
    refuse_while_importing()


class ComesBackNot:
    def __reduce__(self) -> Any:
        return raises, (None,)


class BeginsASearch:
    def __reduce__(self) -> Any:
        return begins_a_search, (None,)


class Number:
    """Of a file, as a process gets it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def detach(self) -> int:
        reads, writes = os.pipe()
        os.close(reads)
        os.close(writes)
        number = os.memfd_create("test")
        os.write(number, self.content)
        return number


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> Callable[[Task], WorkerSettings]:
    """What a worker gets of a task; its main module is a stand-in until the test ends."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])

    def arrive(task: Task) -> WorkerSettings:
        content = pickled(WorkerSettings(task, "run", 9))
        return Sent("run", Number(content), MainModule(None, None)).settings()

    return arrive


def refusal(task: Task) -> str:
    """What people are told of a task that cannot be sent."""
    with pytest.raises(WorkerError) as caught:
        Parcel(WorkerSettings(task, "run", 9)).__reduce__()
    return str(caught.value)


def test_settings_arrive_as_they_were(arrived: Any) -> None:
    task = Holds(torch.arange(3.0))
    found = arrived(task)
    assert isinstance(found, WorkerSettings)
    assert isinstance(found.task, Holds)
    assert found.task.thing.tolist() == [0.0, 1.0, 2.0]
    assert found.task.describe() == task.describe()
    assert (found.results, found.max_resource) == ("run", 9)


@pytest.mark.parametrize(
    ("make", "what", "why"),
    [
        (threading.Lock, "a lock", "cannot pickle '_thread.lock' object"),
        (Path("/dev/null").open, "an open file", "cannot pickle an open file"),
        (partial(Path("/dev/null").open, "rb"), "an open file", "cannot pickle '_io.BufferedReader' object"),
        (compiled, "a function of torch.compile", "what torch.compile has made"),
        (lambda: (x for x in ()), "a generator", "cannot pickle 'generator' object"),
        (deep_list, "of type list", "excessively deep"),
        (lambda: torch.jit.script(Doubled()), "of type ScriptModule", "serialize object __torch__"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning", "ignore::ResourceWarning")
def test_what_cannot_travel_is_named_with_its_place_in_a_line(make: Any, what: str, why: str) -> None:
    thing = make()

    def train(trial: Trial) -> None:
        assert thing

    loader = Loader(thing)
    nested = "" if "deep" not in why else "["  # a list is looked into, to some depth
    for task, place in (
        (Holds(thing), f"self.thing{nested}"),
        (Holds(loader), f"self.thing.parts['first'][1]{nested}"),
        (jobs.function_task(train), f"the closure variable 'thing' of {train.__qualname__}"),
        (jobs.function_task(lambda trial: [train(trial)]), "the closure variable 'thing' of "),
        (jobs.function_task(partial(jobs.work_with, thing)), "argument 0 of the partial of work"),
        (jobs.function_task(loader.train), f"self.parts['first'][1]{nested}"),
    ):
        text = refusal(task)
        assert text.startswith("the task cannot be sent to worker processes: ")
        assert place.replace(".<locals>", "") in text
        assert f" is {what}" in text
        assert why in text
        assert "\n" not in text
    if what == "an open file":
        thing.close()  # else it is found unclosed whenever the garbage is collected, in another test


LOCK = threading.Lock()


def uses_a_global(trial: Trial) -> None:
    def inner() -> None:
        assert LOCK

    inner()


def test_a_global_variable_of_a_function_that_travels_by_value_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(uses_a_global, "__module__", "__main__")
    assert "the global variable 'LOCK' of uses_a_global is a lock" in refusal(
        jobs.function_task(uses_a_global)
    )


class ElsewhereTensor(torch.Tensor):
    """A tensor that says it is on a GPU."""

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("cuda:1")


def test_a_tensor_on_a_gpu_does_not_travel() -> None:
    text = refusal(Holds({"weights": torch.ones(2).as_subclass(ElsewhereTensor)}))
    assert "self.thing['weights'] (the task Holds) is a tensor on cuda:1" in text


def test_what_a_task_was_made_with_need_not_pickle_if_its_state_does(arrived: Any) -> None:
    found = arrived(HoldsALock(threading.Lock()))
    assert isinstance(found.task, HoldsALock)
    assert found.task.describe()["options"] is None


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        (ComesBackNot(), r"cannot be read .*\(ValueError: no such state, test_parcel\.py, line \d+"),
        (ReadsTwoLines("a", "b"), r"cannot be read .*\(TypeError: .*missing 1 required positional argument"),
        (BeginsASearch(), "the module of the task begins a search when it is imported"),
    ],
)
def test_what_cannot_be_read_there_is_told_in_a_line(thing: Any, why: str, arrived: Any) -> None:
    with pytest.raises(AshaError, match=why) as caught:
        arrived(Holds(thing))
    assert "\n" not in str(caught.value)
    refuse_while_importing()  # no more


def test_errors_of_ours_arrive_as_they_are(arrived: Any) -> None:
    with pytest.raises(AshaError, match="begins a search"):
        arrived(Holds(BeginsASearch()))
