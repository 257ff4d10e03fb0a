"""Each thing of a process that a job may change: how it is read, and how it is set again.

Results may depend on those that have a name. Not here, because it cannot be given back, or because something
that was set up once may rely on it: modules and all that is in them, ``sys.path``, threads, child processes
and open files, limits of the system, the umask, torch's handler for its data loaders, and how far random
generators have got.
"""

from __future__ import annotations

import gc
import locale
import logging
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from operator import attrgetter
from typing import Any, NamedTuple

UNKNOWN: Any = object()
UNLOADED: Any = object()


class State(NamedTuple):
    """One such thing.

    Attributes:
        read: how it is. Not the thing itself, if that can be changed in place.
        write: make it so.
        module: that must be loaded.
        initial: how it is when the module has just been loaded; if unknown, it stays as the job that loaded
            the module has left it.
        name: for people, of what results may depend on.
    """

    read: Callable[[], Any]
    write: Callable[[Any], object]
    module: str = "sys"
    initial: Callable[[], Any] = lambda: UNKNOWN
    name: str = ""


def _stream(name: str) -> State:
    def write(before: Any) -> None:
        with suppress(Exception):  # whatever the job has put there
            getattr(sys, name).flush()
        setattr(sys, name, before)

    return State(lambda: getattr(sys, name), write)


def _set_environment(before: dict[str, str]) -> None:
    for name in set(os.environ).difference(before):
        del os.environ[name]
    os.environ.update(before)


_SIGNALS = [
    getattr(signal, f"SIG{name}")
    for name in ("INT", "TERM", "HUP", "QUIT", "ALRM", "USR1", "USR2", "CHLD", "PIPE", "ABRT")
    if hasattr(signal, f"SIG{name}")
]


def _handlers() -> list[Any]:
    if threading.current_thread() is not threading.main_thread():  # which alone may set them
        return []
    return [signal.getsignal(number) for number in _SIGNALS]


def _set_handlers(before: list[Any]) -> None:
    for number, handler in zip(_SIGNALS, before, strict=True):
        if handler is not None and not _is_of_loaders(number):  # None: not of Python's making
            signal.signal(number, handler)


def _is_of_loaders(number: int) -> bool:
    """Whether it is torch's, of a killed data loader's process: set once in a process, for all loaders."""
    return getattr(signal.getsignal(number), "__module__", None) == "torch.utils.data._utils.signal_handling"


def _wakeup_file() -> int:
    """That Python writes the numbers of signals to; it must be set to be read."""
    if threading.current_thread() is not threading.main_thread():
        return -1
    number = signal.set_wakeup_fd(-1)
    _set_wakeup_file(number)
    return number


def _set_wakeup_file(number: int) -> None:
    with suppress(OSError, ValueError):  # it has been closed
        signal.set_wakeup_fd(number, warn_on_full_buffer=False)


def _stop_alarm(before: bool) -> None:
    if not before:  # else it is another's, whatever the job has made of it
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _set_filters(before: list[Any]) -> None:
    warnings.resetwarnings()  # so that what was decided by the job's is forgotten
    filters: Any = warnings.filters
    filters[:] = before


def _set_logging(before: tuple[int, list[Any], int]) -> None:
    level, logging.root.handlers[:], disabled = before
    logging.root.setLevel(level)
    logging.disable(disabled)


PYTHON = [
    State(os.getcwd, os.chdir),
    State(lambda: dict(os.environ), _set_environment),
    _stream("stdin"),
    _stream("stdout"),
    _stream("stderr"),
    State(lambda: sys.excepthook, lambda before: setattr(sys, "excepthook", before)),
    State(lambda: list(sys.argv), lambda before: setattr(sys, "argv", before)),
    State(sys.getrecursionlimit, sys.setrecursionlimit),
    # the alarm first, while there is somebody to hear it
    State(lambda: signal.getitimer(signal.ITIMER_REAL) != (0.0, 0.0), _stop_alarm),
    State(_handlers, _set_handlers),
    State(_wakeup_file, _set_wakeup_file),
    State(
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda before: signal.pthread_sigmask(signal.SIG_SETMASK, before),
    ),
    State(gc.isenabled, lambda before: gc.enable() if before else gc.disable()),
    State(lambda: list(warnings.filters), _set_filters),
    State(
        lambda: (logging.root.level, list(logging.root.handlers), logging.root.manager.disable), _set_logging
    ),
    State(lambda: locale.setlocale(locale.LC_ALL), lambda before: locale.setlocale(locale.LC_ALL, before)),
    State(
        lambda: multiprocessing.get_start_method(allow_none=True),
        lambda before: multiprocessing.set_start_method(before, force=True),
    ),
]


def _numpy() -> Any:
    return sys.modules["numpy"]


NUMPY = [
    State(
        lambda: _numpy().geterr(),
        lambda before: _numpy().seterr(**before),
        "numpy",
        lambda: {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"},
        "numpy.seterr",
    ),
]


def _torch() -> Any:
    return sys.modules["torch"]


def _of_torch(read: str, write: str, initial: Callable[[], Any] = lambda: UNKNOWN) -> State:
    """A pair of functions of torch's."""

    def get() -> Any:
        return attrgetter(read)(_torch())()

    def put(before: Any) -> None:
        attrgetter(write)(_torch())(before)

    return State(get, put, "torch", initial, f"torch.{write}")


def _autocast(device: str) -> State:
    return State(
        lambda: _torch().is_autocast_enabled(device),
        lambda before: _torch().set_autocast_enabled(device, before),
        "torch",
        lambda: False,
        "torch.autocast",
    )


def _cudnn(name: str, initial: object) -> State:
    return State(
        lambda: getattr(_torch().backends.cudnn, name),
        lambda before: setattr(_torch().backends.cudnn, name, before),
        "torch",
        lambda: initial,
        f"torch.backends.cudnn.{name}",
    )


def _set_deterministic(mode: int) -> None:
    _torch().set_deterministic_debug_mode(mode)
    compiler = sys.modules.get("torch._inductor.config")
    if compiler is not None:  # which ``use_deterministic_algorithms`` tells, too
        compiler.deterministic = mode > 0  # type: ignore[attr-defined]


def _matmul_precision() -> tuple[str | None, str | None]:
    """As the older functions have it, and as the newer ones; None where that cannot be told."""
    older = newer = None
    with suppress(Exception):  # the newer ones have been used
        older = _torch().get_float32_matmul_precision()
    with suppress(Exception):  # there are none yet
        newer = _torch().backends.cuda.matmul.fp32_precision
    return older, newer


def _set_matmul_precision(before: tuple[str | None, str | None]) -> None:
    older, newer = before
    if older is not None:
        _torch().set_float32_matmul_precision(older)  # sets the newer one, too
    if newer is not None:
        _torch().backends.cuda.matmul.fp32_precision = newer


TORCH = [
    _of_torch("is_grad_enabled", "set_grad_enabled", lambda: True),
    _of_torch("get_default_dtype", "set_default_dtype", lambda: _torch().float32),
    State(
        lambda: _torch().get_default_device(),
        # none has been set: to set the CPU would make every tensor pass through Python
        lambda before: _torch().set_default_device(None if before.type == "cpu" else before),
        "torch",
        lambda: _torch().device("cpu"),
        "torch.set_default_device",
    ),
    State(
        lambda: _torch().get_deterministic_debug_mode(),
        _set_deterministic,
        "torch",
        lambda: 0,
        "torch.use_deterministic_algorithms",
    ),
    _of_torch("is_anomaly_enabled", "autograd.set_detect_anomaly", lambda: False),
    _of_torch("get_num_threads", "set_num_threads"),
    _autocast("cpu"),
    _autocast("cuda"),
    _cudnn("enabled", True),
    _cudnn("benchmark", False),
    _cudnn("deterministic", False),
    _cudnn("allow_tf32", True),
    State(
        lambda: _torch().backends.fp32_precision,
        lambda before: setattr(_torch().backends, "fp32_precision", before),
        "torch",
        lambda: "none" if hasattr(_torch().backends, "fp32_precision") else UNKNOWN,
        "torch.backends.fp32_precision",
    ),
    State(
        _matmul_precision,
        _set_matmul_precision,
        "torch",
        lambda: ("highest", _matmul_precision()[1] and "none"),
        "torch.set_float32_matmul_precision",
    ),
]
