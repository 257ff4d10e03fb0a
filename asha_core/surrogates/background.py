"""A computation of torch's beside the search; and torch held to one thread without anybody noticing.

torch keeps how many threads it takes in two places: for the thread that set it, and as what threads that
begin later take. Both are as before when a function of this module has returned. Results depend on how
sums are split among threads, so one thread makes them the same on any number of cores.
"""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SETTING = threading.Lock()  # whoever reads the number of threads reads nobody's 1 that is put back soon

_LOADING = threading.Lock()


def load_torch() -> Any:
    """torch, which is loaded when it is first asked for."""
    import torch

    return torch


def load_gpytorch() -> Any:
    """gpytorch, likewise, and whole: a fit of another search may be at it just now."""
    with _LOADING:
        if "gpytorch" not in sys.modules:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # linear_operator uses what torch is about to drop
                importlib.import_module("gpytorch")
        return importlib.import_module("gpytorch")


@contextmanager
def one_thread() -> Iterator[None]:
    """What this thread computes by torch meanwhile, it computes alone."""
    torch = load_torch()
    with _SETTING:
        before = torch.get_num_threads()
        if before != 1:
            torch.set_num_threads(1)
        try:
            with torch.no_grad():
                yield
        finally:
            if before != 1:
                torch.set_num_threads(before)


def take_one_thread() -> None:
    """What the thread that calls this computes by torch from now on, it computes alone."""
    torch = load_torch()
    with _SETTING:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        # for threads that begin later it is as before; a thread of its own, for this one stays at 1
        other = threading.Thread(target=torch.set_num_threads, args=(before,))
        other.start()
        other.join()


class Beside:
    """A function that runs in a thread of its own, in which torch takes one thread.

    Args:
        compute: given a function that says whether nobody waits for it any more.
    """

    def __init__(self, compute: Callable[[Callable[[], bool]], Any]) -> None:
        self._compute = compute
        self._dropped = threading.Event()
        # waited for in place of the thread: Ctrl-C in ``Thread.join`` makes Python 3.11 take a thread that
        # runs for one that has ended, and end under it
        self._ended = threading.Event()
        self._found: Any = None
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="surrogate-fit").start()

    def _run(self) -> None:
        try:
            take_one_thread()
            self._found = self._compute(self._unwanted)
        except BaseException as error:  # raised where it is waited for
            self._error = error
        finally:
            self._ended.set()

    def _unwanted(self) -> bool:
        return self._dropped.is_set() or not threading.main_thread().is_alive()

    @property
    def ready(self) -> bool:
        """Whether ``result`` would not wait."""
        return self._ended.is_set()

    def result(self) -> Any:
        """What the function found, or what it raised."""
        self._ended.wait()
        if self._error is not None:
            raise self._error
        return self._found

    def drop(self) -> None:
        """Nobody will ask for its result."""
        self._dropped.set()
