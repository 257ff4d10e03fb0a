"""Tasks and helpers for the executor tests; a module of its own, so that worker processes can import it."""

from __future__ import annotations

import atexit
import ctypes
import io
import json
import operator
import os
import signal
import subprocess
import sys
import threading
import time
import types
from multiprocessing.resource_tracker import ResourceTracker
from pathlib import Path
from typing import Any

from asha_core import ASHA, Float, Job, SearchSpace
from asha_core.errors import TaskError
from trials.task import FunctionTask, Task
from trials.trial import Trial
from warmstart.base import Outcome

SPACE = SearchSpace({"x": Float(0.0, 1.0)})


def work(trial: Trial) -> None:
    """Adds x a unit; keeps the sum in its checkpoint, so that a resume shows."""
    state = trial.resume_from() or {"sum": 0.0}
    for _ in trial.units():
        state["sum"] += trial.config["x"]
        trial.save(state)
        trial.report(state["sum"], doubled=2 * state["sum"])


def work_with(thing: Any, trial: Trial) -> None:
    """The same, and has something with it."""
    work(trial)


def fails_at_unit_two(trial: Trial) -> None:
    for unit in trial.units():
        if unit == 2:
            print("about to fail")
            raise ValueError("no such luck")
        trial.report(unit)


def never_reports(trial: Trial) -> None:
    return


def saves_late(trial: Trial) -> None:
    """Saves after the report: the checkpoint must still be there for the next job."""
    state = trial.resume_from() or {"units": 0}
    for _ in trial.units():
        state["units"] += 1
        trial.report(state["units"])
        time.sleep(0.05)
        trial.save(state)


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
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends while it is read
        return False


def spoils_its_gpu(trial: Trial) -> None:
    """Trial 0 leaves a stand-in for torch whose GPU fails every order from then on."""
    print(f"process {os.getpid()}")
    if trial.id == 0:
        sys.modules["torch"] = types.SimpleNamespace(  # type: ignore[assignment]
            cuda=types.SimpleNamespace(is_initialized=lambda: True, synchronize=lambda: 1 / 0)
        )
        raise RuntimeError("CUDA error: device-side assert triggered")
    for _ in trial.units():
        trial.report(os.getpid())


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


def tells_its_surroundings(trial: Trial) -> None:
    for _ in trial.units():
        told = {name: os.environ.get(name) for name in ("ASHA_TEST_SET_LATER", "HOME")}
        room = any(name.startswith("ASHA_ROOM") for name in os.environ)
        print(f"set={told['ASHA_TEST_SET_LATER']} home={told['HOME']} cwd={Path.cwd()} room={room}")
        trial.report(0.0)


def tells_who_loaded(trial: Trial) -> None:
    import slow_to_load  # type: ignore[import-not-found]  # the test writes it

    for _ in trial.units():
        trial.report(slow_to_load.loaded_by)


def leaves_something_to_the_end(trial: Trial) -> None:
    """What is to be done when Python ends, in reverse order: the thread is waited for before."""
    flag = Path(os.environ["ASHA_TEST_FLAG"])
    atexit.register(lambda: flag.with_name("at_the_end").write_text(flag.read_text()))
    threading.Thread(target=lambda: (time.sleep(0.2), flag.write_text("the thread is done"))).start()
    reports(trial)


def draws_with_numpy(trial: Trial) -> None:
    """Reports a random number."""
    import numpy

    for _ in trial.units():
        trial.report(numpy.random.rand())


def draws_with_torch(trial: Trial) -> None:
    """Likewise."""
    import torch

    for _ in trial.units():
        trial.report(torch.rand(()).item())


def reports(trial: Trial) -> None:
    """The quickest of all: its worker does not load torch."""
    for unit in trial.units():
        trial.report(unit)


def slow_units(trial: Trial) -> None:
    for unit in trial.units():
        time.sleep(0.02)
        trial.report(unit)


def slow_units_saved(trial: Trial) -> None:
    trial.resume_from()
    for unit in trial.units():
        time.sleep(0.02)
        trial.save({"unit": unit})
        trial.report(unit)


def long_unit(trial: Trial) -> None:
    for unit in trial.units():
        time.sleep(0.5)
        trial.report(unit)


def whichever(trial: Trial) -> None:
    """The function whose name is in a file: so one worker serves many tests."""
    globals()[Path(os.environ["ASHA_TEST_FUNCTION"]).read_text()](trial)


class OutOfMemoryError(RuntimeError):
    """As torch's, by its name."""


class Odd(BaseException):
    """As what some libraries raise to get through ``except Exception``."""


def _fine_for_big_x(trial: Trial) -> bool:
    if trial.config["x"] < 1.0:
        return False
    trial.report(1.0)
    return True


def memory_error(trial: Trial) -> None:
    if not _fine_for_big_x(trial):
        raise MemoryError


def torch_out_of_memory(trial: Trial) -> None:
    if not _fine_for_big_x(trial):
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def cublas_out_of_memory(trial: Trial) -> None:
    if not _fine_for_big_x(trial):
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


def disk_full(trial: Trial) -> None:
    if not _fine_for_big_x(trial):
        try:
            with open("/dev/full", "w") as file:
                file.write("x" * 100_000)
        except OSError:
            raise ValueError("the checkpoint cannot be written")  # noqa: B904 - implicitly


def stops_oddly(trial: Trial) -> None:
    if not _fine_for_big_x(trial):
        if "pytest" in sys.modules:  # inline, where these are the debugger's own
            raise ValueError("Odd: \udc80")
        raise Odd("\udc80")


class Unjournalable:
    """A warm start whose diagnostics JSON cannot hold."""

    name = "odd"
    needs_losses = False

    def refine(self, problem: Any, configuration: Any, seed: int) -> Outcome:
        return Outcome(configuration, {"step": {}, "what": object()})


class Recalls:
    """A warm start that says what it was told of earlier trials, and spoils it.

    Attributes:
        leaves: what it leaves to later ones.
    """

    name = "recalls"
    needs_losses = False
    learns = True

    def __init__(self, leaves: Any = None) -> None:
        self.leaves = leaves

    def refine(self, problem: Any, configuration: Any, seed: int, earlier: Any = ()) -> Outcome:
        told = json.dumps(earlier)
        for each in earlier:
            each.clear()
        return Outcome(configuration, {"strategy": "recalls", "told": told, "learned": self.leaves})


def freezes_once(trial: Trial) -> None:
    """Stopped as by SIGSTOP, with a child of its own."""
    flag = Path(os.environ["ASHA_TEST_FLAG"])
    for unit in trial.units():
        if unit == 2 and not flag.exists():
            child = subprocess.Popen(["sleep", "300"], start_new_session=True)
            flag.write_text(f"{os.getpid()} {child.pid}")
            os.kill(os.getpid(), signal.SIGSTOP)
        trial.report(unit)


def computes_in_c(trial: Trial) -> None:
    """About four seconds in which no other thread gets a turn, and all of them at work."""
    for unit in trial.units():
        began = time.perf_counter()
        sum(range(10**7))
        sum(range(int(4.0 / (time.perf_counter() - began) * 10**7)))
        trial.report(unit)


def deadlocks(trial: Trial) -> None:
    """Asleep with Python's lock in its hands."""
    ctypes.PyDLL(None).sleep(300)


def silent_by_number(trial: Trial) -> None:
    """Trial 0 freezes, 1 sleeps with the lock, 2 computes with it, 3 reports."""
    (freezes_once, deadlocks, computes_in_c, reports)[trial.id](trial)


SHARED_MEMORY = Path("/dev/shm")
_TRACKER = ResourceTracker()


def left_in_shared_memory(worker: int) -> Path:
    """What a worker with a family has left there for its tracker to remove."""
    return SHARED_MEMORY / f"asha_test_{worker}"


def has_a_family(trial: Trial) -> None:
    """Starts children that leave its session in every way, and a tracker; and goes on training."""
    left = left_in_shared_memory(os.getpid())
    left.write_bytes(b"x" * 1000)
    _TRACKER.register(f"/{left.name}", "shared_memory")  # not multiprocessing's own, which is the engine's
    program = "import os, time; os.setsid(); os.fork(); time.sleep(300)"
    children = [
        subprocess.Popen(["sleep", "300"]).pid,
        subprocess.Popen(["sleep", "300"], start_new_session=True).pid,
        subprocess.Popen([sys.executable, "-I", "-S", "-c", program]).pid,
    ]
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:  # nobody's child any more, when the one in between is gone
            time.sleep(300)
        os._exit(0)
    os.waitpid(child, 0)
    time.sleep(0.3)
    Path(f"{os.environ['ASHA_TEST_FLAG']}.{trial.id}").write_text(" ".join(map(str, children)))
    slow_units(trial)


def eats_memory(trial: Trial) -> None:
    """Moves into a memory group of its own, and fills it."""
    group = Path(os.environ["ASHA_TEST_FLAG"])
    (group / "cgroup.procs").write_text(str(os.getpid()))
    trial.report(1.0)
    kept = []
    while True:
        kept.append(b"x" * 10_000_000)


def forks(trial: Trial) -> None:
    """Reports 1.0 if a forked child ends with SIGTERM, as a data loader's must."""
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    time.sleep(0.2)
    os.kill(child, signal.SIGTERM)
    began = time.monotonic()
    os.waitpid(child, 0)
    trial.report(float(time.monotonic() - began < 30))


class Unreadable:
    """Pickles, and cannot be unpickled."""

    resource = 0

    def __reduce__(self) -> Any:
        return operator.truediv, (1, 0)


def sends_what_cannot_be_read(trial: Trial) -> None:
    if trial.config["x"] < 1.0:
        trial._send(Unreadable())  # type: ignore[arg-type]
        time.sleep(60)
    trial.report(1.0)


class DiesWhere(Task):
    """Cannot be set up in slots whose environment says so: with "exit", "mistake" or "exception"."""

    space = SPACE

    def setup(self, device: str) -> None:
        how = os.environ.get("ASHA_TEST_HOW", "")
        if how == "exit":
            print("the driver is not there", flush=True)
            os._exit(3)
        if how == "mistake":
            raise TaskError("this GPU is too old")
        if how == "exception":
            raise RuntimeError("no memory yet")

    def run(self, trial: Trial) -> None:
        reports(trial)


class SlowToSetUp(Task):
    space = SPACE

    def setup(self, device: str) -> None:
        flag = Path(os.environ["ASHA_TEST_FLAG"])
        if not flag.exists():
            flag.touch()
            time.sleep(30)

    def run(self, trial: Trial) -> None:
        reports(trial)


def _raises() -> None:
    raise ValueError("not here")


class ReadNowhere(Task):
    """Pickles; what comes of it is an error."""

    space = SPACE

    def run(self, trial: Trial) -> None:
        """Never."""

    def __reduce__(self) -> Any:
        return _raises, ()


class CannotSetUp(Task):
    space = SPACE

    def setup(self, device: str) -> None:
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


def converges_after_two(trial: Trial) -> None:
    """Ends after two units, wherever its job does."""
    state = trial.resume_from() or {"unit": 0}
    for unit in trial.units():
        state["unit"] = unit
        trial.save(state)
        trial.report(trial.config["x"], twice=2.0)
        if unit == 2:
            trial.stop_early()


def converges_before_it_reports(trial: Trial) -> None:
    for unit in trial.units():
        if unit == 2:
            trial.stop_early()
        trial.report(float(unit))


def breaks_off(trial: Trial) -> None:
    for unit in trial.units():
        if unit == 3:
            trial.stop_early()
            break
        trial.report(float(unit))


def notices_after_a_resume(trial: Trial) -> None:
    if trial.resume_from():
        trial.stop_early()
        return
    for unit in trial.units():
        trial.save({"unit": unit})
        trial.report(float(unit))


def has_converged_at_nothing(trial: Trial) -> None:
    trial.stop_early()


def converges_and_fails(trial: Trial) -> None:
    trial.report(1.0)
    trial.stop_early()
    raise ValueError("no such luck")


def hurries(trial: Trial) -> None:
    """Units that take no time, each saved and reported."""
    state = trial.resume_from() or {"units": 0}
    for unit in trial.units():
        state["units"] = unit
        trial.save(state)
        trial.report(unit)


def closes_its_files(trial: Trial) -> None:
    """Goes on living, without a word to anybody."""
    os.closerange(3, 64)
    time.sleep(60)


def _sleeps_in_unit_two(trial: Trial) -> None:
    trial.report(1.0)
    time.sleep(60)


def leaves_at_sigterm(trial: Trial) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _sleeps_in_unit_two(trial)


def raises_at_sigterm(trial: Trial) -> None:
    signal.signal(signal.SIGTERM, lambda *_: operator.truediv(1, 0))
    _sleeps_in_unit_two(trial)


def interrupts_itself_at_sigterm(trial: Trial) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    _sleeps_in_unit_two(trial)


def returns_at_sigterm(trial: Trial) -> None:
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    trial.report(1.0)
    while not asked:
        time.sleep(0.01)


def ends_at_once_at_sigterm(trial: Trial) -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    _sleeps_in_unit_two(trial)


def dies_of_sigterm(trial: Trial) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _sleeps_in_unit_two(trial)


def loses_a_reader_to_sigterm(trial: Trial) -> None:
    """As torch tells of a data loader's process that had the signal as well."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = subprocess.Popen(["sleep", "60"])
    trial.report(1.0)
    if child.wait():
        raise RuntimeError(f"DataLoader worker (pid {child.pid}) is killed by signal: Terminated.")


ANSWERS_TO_SIGTERM = (
    leaves_at_sigterm,
    raises_at_sigterm,
    interrupts_itself_at_sigterm,
    returns_at_sigterm,
    loses_a_reader_to_sigterm,
)
DEATHS_OF_SIGTERM = (ends_at_once_at_sigterm, dies_of_sigterm)


def leaves_its_mark(trial: Trial) -> None:
    """Says what it finds, and changes all of it; every second trial fails, its errors going elsewhere."""
    import torch

    found = [
        os.getcwd() != "/",
        "ASHA_TEST_LEFT" not in os.environ,
        torch.is_grad_enabled(),
        torch.get_default_dtype() == torch.float32,
        signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
    ]
    print(f"found: {found}")
    trial.report(float(all(found)))
    os.chdir("/")
    os.environ["ASHA_TEST_LEFT"] = "1"
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout.close()
    sys.stderr = io.StringIO()
    if trial.id % 2:
        raise ValueError("for the log")


class OnlyWrites:
    """What a task may put in the place of a stream."""

    def write(self, text: str) -> None:
        pass


def replaces_its_output(trial: Trial) -> None:
    for unit in trial.units():
        trial.report(unit)
    sys.stdout = sys.stderr = OnlyWrites()  # type: ignore[assignment]


def takes_its_output_away(trial: Trial) -> None:
    for unit in trial.units():
        trial.report(unit)
    sys.stdout = sys.stderr = None  # type: ignore[assignment]
