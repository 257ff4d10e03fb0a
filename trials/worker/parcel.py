"""What a worker is told, on its way from the engine: what cannot be sent or read is told in a line.

It is written to a file without a name, whose number the worker inherits: so nobody waits until a worker has
read what may be large, and it is read where a worker's output goes to its log.
"""

from __future__ import annotations

import io
import os
import threading
import traceback
from collections.abc import Callable
from multiprocessing.context import set_spawning_popen
from multiprocessing.reduction import DupFd
from pathlib import Path
from types import GeneratorType
from typing import Any

from asha_core.errors import AshaError, TaskError, WorkerError
from asha_core.user_files import importing
from trials.task import FunctionTask
from trials.worker import by_value
from trials.worker.by_value import MainModule, is_compiled, pickled, read
from trials.worker.job_runner import WorkerSettings
from trials.worker.nameless import nameless_file
from trials.worker.where_held import Held, innermost

_LOCKS = (type(threading.Lock()), type(threading.RLock()))


class Parcel:
    """Settings on their way: pickled when a process is being started, they are ``Sent`` there.

    Raises:
        WorkerError: when it is pickled: they cannot be.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._file = -1

    def check(self) -> None:
        """Whether they can be sent, before there is a process to which they are."""
        set_spawning_popen(_Rehearsal())  # type: ignore[arg-type]
        try:
            self._content()
        finally:
            set_spawning_popen(None)

    def _content(self) -> bytes:
        try:
            return pickled(self._settings)
        except OSError:  # such as too many open files: another try may do
            raise
        except Exception as error:
            raise WorkerError(_why_not_sent(self._settings.task, error)) from error

    def __reduce__(self) -> tuple[Callable[..., Sent], tuple[Any, ...]]:
        content = self._content()
        self.close()
        self._file = nameless_file("asha-settings", len(content))
        with open(self._file, "wb", closefd=False) as file:
            file.write(content)
        return Sent, (self._settings.results, DupFd(self._file), MainModule.of_this_process())

    def close(self) -> None:
        """The worker has it: the engine needs the file no more."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class _Rehearsal:
    """Stands for a process that is being started, to which tensors and queues are handed on."""

    def DupFd(self, number: int) -> int:
        return number

    def duplicate_for_child(self, number: int) -> int:
        return number


class Sent:
    """What arrived in a worker.

    Attributes:
        results: the results directory, where the worker's log is.
    """

    def __init__(self, results: str, handle: Any, main: MainModule) -> None:
        self.results = results
        self._file: int = handle.detach()
        self._main = main

    def settings(self) -> WorkerSettings:
        """The settings. What they refer to is imported.

        Raises:
            AshaError: they cannot be read.
        """
        with open(self._file, "rb") as file:
            file.seek(0)
            content = file.read()
        try:
            with importing("the module of the task"):
                settings: WorkerSettings = read(content, self._main)
        except AshaError:
            raise
        except Exception as error:
            raise TaskError(_why_not_read(error)) from error
        return settings


def _why_not_sent(task: Any, error: Exception) -> str:
    culprit = innermost(_whole(task), _fails)
    return (
        f"the task cannot be sent to worker processes: {culprit} is {_what(culprit.thing)} "
        f"({_in_a_line(error)}). Make it in the worker: in the function, or in the task's setup; or run it "
        'here, with gpus="inline"'
    )


def _whole(task: Any) -> Held:
    if type(task) is FunctionTask:
        function = task.function
        return Held(function, getattr(function, "__qualname__", type(function).__qualname__))
    return Held(task, "self", f"the task {type(task).__qualname__}")


def _what(thing: Any) -> str:
    if isinstance(thing, GeneratorType):
        return "a generator"
    if is_compiled(thing):
        return "a function of torch.compile"
    if isinstance(thing, io.IOBase):
        return "an open file"
    if isinstance(thing, _LOCKS):
        return "a lock"
    if hasattr(thing, "device") and hasattr(thing, "requires_grad"):
        return f"a tensor on {thing.device}"
    return f"of type {type(thing).__qualname__}"


def _fails(thing: Any) -> bool:
    try:
        pickled(thing)
    except Exception:
        return True
    return False


def _why_not_read(error: Exception) -> str:
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if f.filename not in (__file__, by_value.__file__)
    ]
    where = f", {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return (
        f"the task cannot be read by worker processes ({_in_a_line(error)}{where}): they must be able to "
        'import what it refers to, and to unpickle what it holds; or run it here, with gpus="inline"'
    )


def _in_a_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
