"""Whatever a job changes of its process, the next one finds as it was; and so does who runs jobs inline."""

from __future__ import annotations

import asyncio
import gc
import io
import locale
import logging
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data._utils import signal_handling

from asha_core.errors import TaskError
from asha_core.messages import Failed, Report
from asha_core.runtime.executor import Notice
from asha_core.runtime.interrupts import Arrivals
from tests.trials import jobs
from tests.trials.executors.pools import Make, finish, maker
from trials.task import Task
from trials.trial import Trial
from trials.worker.failures import closing_event
from trials.worker.process_state import restored

MATMUL: Any = torch.backends.cuda.matmul
NEWER = hasattr(MATMUL, "fp32_precision")


def _moves_and_removes() -> None:
    Path("gone").mkdir()
    os.chdir("gone")
    Path("../gone").rmdir()


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "gone"


def _sets_the_environment() -> None:
    os.environ.update(HOME="/nowhere", ASHA_TEST_NEW="1")
    del os.environ["PATH"]


def _listens_for_signals() -> None:
    """As an event loop leaves it behind: what signals were written to before is forgotten."""

    async def listen() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)

    asyncio.run(listen())


def _logs_everything() -> None:
    logging.basicConfig(level=5, stream=io.StringIO(), force=True)
    logging.disable(logging.ERROR)


def _matmul() -> tuple[Any, ...]:
    return torch.get_float32_matmul_precision(), MATMUL.allow_tf32, getattr(MATMUL, "fp32_precision", None)


def _new_precision() -> None:
    MATMUL.fp32_precision = torch.backends.fp32_precision = "tf32"


def _precisions() -> tuple[Any, ...]:
    try:
        return *_matmul(), torch.backends.fp32_precision
    except RuntimeError:  # the older words cannot say what the newer ones have set
        return ()


def _cudnn(name: str, value: object) -> tuple[Callable[[], object], Callable[[], object]]:
    cudnn: Any = torch.backends.cudnn
    return lambda: setattr(cudnn, name, value), lambda: getattr(cudnn, name)


# what a job does, and how it shows
CHANGES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "folder": (lambda: os.chdir("/"), _folder),
    "folder that is removed": (_moves_and_removes, _folder),
    "environment": (_sets_the_environment, lambda: dict(os.environ)),
    "output": (lambda: setattr(sys, "stdout", io.StringIO()), lambda: sys.stdout),
    "output without flush": (lambda: setattr(sys, "stderr", object()), lambda: sys.stderr),
    "no output": (lambda: setattr(sys, "stdout", None), lambda: sys.stdout),
    "input": (lambda: setattr(sys, "stdin", io.StringIO()), lambda: sys.stdin),
    "exception hook": (lambda: setattr(sys, "excepthook", print), lambda: sys.excepthook),
    "arguments": (lambda: sys.argv.append("--lr"), lambda: list(sys.argv)),
    "recursion limit": (lambda: sys.setrecursionlimit(5000), sys.getrecursionlimit),
    "alarm": (
        lambda: (signal.signal(signal.SIGALRM, print), signal.alarm(100)),
        lambda: (signal.getitimer(signal.ITIMER_REAL)[0] > 0, signal.getsignal(signal.SIGALRM)),
    ),
    "signal handler": (
        lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGTERM),
    ),
    "signal mask": (
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    ),
    "garbage": (gc.disable, gc.isenabled),
    "warnings that are errors": (lambda: warnings.simplefilter("error"), lambda: list(warnings.filters)),
    "logging": (
        _logs_everything,
        lambda: (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
    ),
    "locale": (
        lambda: locale.setlocale(locale.LC_TIME, "C.UTF-8"),
        lambda: locale.setlocale(locale.LC_ALL),
    ),
    "start method": (
        lambda: multiprocessing.set_start_method("forkserver", force=True),
        lambda: multiprocessing.get_start_method(allow_none=True),
    ),
    "numpy's errors": (lambda: np.seterr(all="raise"), np.geterr),
    "gradients": (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "default type": (lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
    "default device": (lambda: torch.set_default_device("meta"), torch.get_default_device),
    "deterministic": (  # as use_deterministic_algorithms, which loads a compiler
        lambda: torch.set_deterministic_debug_mode("warn"),
        torch.get_deterministic_debug_mode,
    ),
    "anomalies": (lambda: torch.autograd.set_detect_anomaly(True), torch.is_anomaly_enabled),
    "threads": (lambda: torch.set_num_threads(3), torch.get_num_threads),
    "autocast": (
        lambda: torch.set_autocast_enabled("cpu", True),
        lambda: torch.is_autocast_enabled("cpu"),
    ),
    "cudnn": _cudnn("benchmark", True),
    "cudnn's precision": _cudnn("allow_tf32", False),
    "precision": (lambda: torch.set_float32_matmul_precision("medium"), _matmul),
}
if NEWER:
    CHANGES["precision in newer words"] = (_new_precision, _precisions)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_what_a_job_changes_is_given_back(what: str) -> None:
    change, look = CHANGES[what]
    before = look()
    with pytest.raises(ZeroDivisionError), restored():
        change()
        assert look() != before  # else this shows nothing
        raise ZeroDivisionError
    assert look() == before
    with restored():
        pass
    assert look() == before


def test_signals_are_heard_after_a_job_with_an_event_loop() -> None:
    arrivals = Arrivals((signal.SIGUSR1,))
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    arrivals.listen()
    try:
        with restored():
            _listens_for_signals()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert arrivals()
    finally:
        arrivals.close()
        signal.signal(signal.SIGUSR1, before)


class _Killed(Dataset[int]):
    """As by the kernel, for want of memory."""

    def __getitem__(self, index: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return index

    def __len__(self) -> int:
        return 1


@pytest.mark.processes
def test_every_job_hears_at_once_that_a_process_of_its_data_loader_was_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Torch sets the handler that tells it once in a process: it must not end with the first job."""
    monkeypatch.setattr(signal_handling, "_SIGCHLD_handler_set", False)
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        for _ in range(2):
            with pytest.raises(RuntimeError) as caught, restored():
                next(iter(DataLoader(_Killed(), num_workers=1, multiprocessing_context="fork")))
            event = closing_event(jobs.job(), caught.value)
            assert isinstance(event, Failed)
            assert event.kind == "oom"
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_an_alarm_of_the_caller_s_rings() -> None:
    """Such as that of a test's time limit."""
    signal.setitimer(signal.ITIMER_REAL, 100.0)
    try:
        with restored():
            pass
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def test_a_job_in_another_thread_gives_back_what_it_can() -> None:
    """Where no signal handler can be set, and gradients are the thread's own."""
    seen = []

    def run() -> None:
        with restored():
            os.chdir("/")
            torch.set_grad_enabled(False)
        seen.append(torch.is_grad_enabled())

    folder = Path.cwd()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [True]
    assert Path.cwd() == folder


class _SetsUp(Task):
    """Its set-up is for all jobs."""

    space = jobs.SPACE

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    def setup(self, device: str) -> None:
        os.chdir("/")
        if self.fails:
            raise TaskError("no such data")

    def run(self, trial: Trial) -> None:
        trial.report(float(os.getcwd() == "/"))
        os.chdir("/usr")


def test_set_up_is_for_all_jobs_and_not_for_who_runs_them_inline(inline: Make) -> None:
    folder = Path.cwd()
    executor = inline(_SetsUp())
    for number in range(2):
        [report] = finish(executor, jobs.job(trial=number, until=1))
        assert isinstance(report, Report)
        assert report.value == 1.0
    os.environ["ASHA_TEST_NEW"] = "an observer's"
    executor.close()
    assert Path.cwd() == folder
    assert os.environ.pop("ASHA_TEST_NEW") == "an observer's"
    with pytest.raises(TaskError):
        inline(_SetsUp(fails=True))
    assert Path.cwd() == folder


class _SetsModes(Task):
    """In its first jobs, or in all: as one whose first job loads a module that does."""

    space = jobs.SPACE

    def __init__(self, until_trial: int) -> None:
        self.until_trial = until_trial

    def run(self, trial: Trial) -> None:
        if trial.id < self.until_trial:
            torch.set_default_dtype(torch.float64)
            np.seterr(all="raise")
        if trial.id == 1:
            raise ValueError("it has no say")
        trial.report(0.0)


@pytest.mark.parametrize(("until_trial", "told"), [(0, []), (1, [2]), (3, [3]), (9, [])])
def test_modes_that_one_trial_has_set_and_the_next_has_not_are_told_once(
    until_trial: int, told: list[int], inline: Make
) -> None:
    executor = inline(_SetsModes(until_trial))
    notices = []
    for number in range(6):
        executor.submit(jobs.job(trial=number, until=1), 0)
        events = executor.wait(0.0)
        notices += [(number, each.text.split()[0]) for each in events if isinstance(each, Notice)]
    assert notices == [
        (number, name) for number in told for name in ("numpy.seterr", "torch.set_default_dtype")
    ]


@pytest.fixture
def inline(tmp_path: Path) -> Iterator[Make]:
    yield from maker("inline", tmp_path)


@pytest.mark.processes
@pytest.mark.long
def test_a_worker_s_next_trial_finds_nothing_of_the_last(tmp_path: Path) -> None:
    """Nor of one that was the first to load torch, or has closed its output."""
    for pool in maker("pool", tmp_path):
        executor = pool(jobs.leaves_its_mark)
        for number, kind in enumerate((Report, Failed, Report)):
            *_, last = finish(executor, jobs.job(trial=number, until=1))
            assert isinstance(last, kind)
        log = tmp_path / "run" / "trials"
        first, second, third = ((log / str(number) / "log.txt").read_text() for number in range(3))
        assert first.startswith("found: ")
        assert third == first
        assert second.startswith(first)
        assert "ValueError: for the log" in second
        assert last.value == 1.0
