"""What a worker is told, on its way from the engine: what cannot be sent or read is told in a line.

A task is pickled with everything that it holds. Python's own way of sending it to a new process has no words
for one that cannot be read there, and leaves out what is defined in a ``__main__.py``: it does not know
whether that may be run again. If the task needs it, it must be, as any script that calls ``tune``.
"""

from __future__ import annotations

import io
import os
import pickle
import runpy
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import process
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import ModuleType
from typing import Any

from asha_core.errors import AshaError, TaskError, WorkerError
from trials.worker.job_runner import WorkerSettings


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What arrives in the place of settings that cannot be read; ``error`` says why."""

    error: str


class Parcel:
    """Settings that become themselves again in another process, or ``Unreadable``.

    Raises:
        WorkerError: when it is pickled: they cannot be.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings

    def __reduce__(self) -> tuple[Callable[..., WorkerSettings | Unreadable], tuple[Any, ...]]:
        _check_script()
        try:
            return _unpack, (_pickled(self._settings), _MainFile.of_this_process())
        except OSError:  # such as too many open files: another try may do
            raise
        except Exception as error:
            raise WorkerError(_why_not_sent(self._settings.task, error)) from error


def _pickled(thing: Any) -> bytes:
    buffer = io.BytesIO()
    ForkingPickler(buffer, pickle.HIGHEST_PROTOCOL).dump(thing)
    return buffer.getvalue()


def _unpack(pickled: bytes, main_file: _MainFile | None) -> WorkerSettings | Unreadable:
    try:
        settings: WorkerSettings = _Unpickler(io.BytesIO(pickled), main_file).load()
    except AshaError as error:
        return Unreadable(str(error))
    except Exception as error:
        return Unreadable(_why_not_read(error))
    return settings


class _Unpickler(pickle.Unpickler):
    """Runs the ``__main__.py`` that the engine was started with, if what is read refers to it."""

    def __init__(self, file: io.BytesIO, main_file: _MainFile | None) -> None:
        super().__init__(file)
        self._main_file = main_file

    def find_class(self, module: str, name: str) -> Any:
        if module == "__main__" and self._main_file is not None:
            self._main_file.run()
            self._main_file = None
        return super().find_class(module, name)


@dataclass(frozen=True, slots=True)
class _MainFile:
    """The ``__main__.py`` of a package, a directory or a zip application.

    Attributes:
        module: its name, for ``python -m package``; None otherwise.
        folder: it lies in.
    """

    module: str | None
    folder: str

    @classmethod
    def of_this_process(cls) -> _MainFile | None:
        """The one that this process was started with, if it was."""
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        if spec is None or spec.origin is None or spec.name.rpartition(".")[2] != "__main__":
            return None
        folder = os.path.join(process.ORIGINAL_DIR or "", Path(spec.origin).parent)  # type: ignore[attr-defined]
        return cls(None if spec.name == "__main__" else spec.name, folder)

    def run(self) -> None:
        """Make it the main module of this process, under the name that keeps its guarded part from running.

        As multiprocessing does with a script.

        Raises:
            TaskError: it cannot be run.
        """
        try:
            if self.module is not None:
                content = runpy.run_module(self.module, run_name="__mp_main__", alter_sys=True)
            else:
                content = runpy.run_path(self.folder, run_name="__mp_main__")
        except (Exception, SystemExit) as error:
            raise TaskError(
                f"{Path(self.folder, '__main__.py')} defines the task, so every worker process runs it; that "
                f"fails there ({_in_a_line(error)}). What is not for them, such as the call of tune(), must "
                'be under `if __name__ == "__main__":`; or define the task in another module'
            ) from error
        module = ModuleType("__mp_main__")
        vars(module).update(content)
        sys.modules["__main__"] = sys.modules["__mp_main__"] = module


def _check_script() -> None:
    """See that worker processes will find the script that this process was started with, if it was."""
    main = sys.modules["__main__"]
    script = getattr(main, "__file__", None)
    if script is None or getattr(main, "__spec__", None) is not None:
        return
    path = Path(process.ORIGINAL_DIR or "", script)  # type: ignore[attr-defined]
    if not path.exists():
        raise WorkerError(
            f"worker processes cannot be started: they run the script, and {path} is not there (one that "
            'is read from standard input must be saved to a file first); or run it here, with gpus="inline"'
        )


def _why_not_sent(task: Any, error: Exception) -> str:
    culprit = next(filter(_fails, getattr(task, "__dict__", {}).items()), None)
    what = "" if culprit is None else f", because of its {culprit[0]}"
    return (
        f"the task cannot be sent to worker processes{what} ({_in_a_line(error)}): define functions and "
        "classes at the top level of a module, and make what cannot be pickled, such as an open file or a "
        'lock, in the worker (in setup, or in the function); or run it here, with gpus="inline"'
    )


def _fails(attribute: tuple[str, Any]) -> bool:
    try:
        _pickled(attribute[1])
    except Exception:
        return True
    return False


def _why_not_read(error: Exception) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    where = f", {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return (
        f"the task cannot be read by worker processes ({_in_a_line(error)}{where}): they must be able to "
        "import what it refers to (nothing that is defined in a notebook or in python -c), and to unpickle "
        'what it holds; or run it here, with gpus="inline"'
    )


def _in_a_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
