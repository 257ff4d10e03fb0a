"""The program of a fork server: it loads what its workers will need, says so, and forks them."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.forkserver import main
from pathlib import Path
from typing import NoReturn

from asha_core.runtime.terminal.streams import flush
from trials.worker import entrance, processes

READY = "ready"
GPUS = ("/dev/nvidia", "/dev/kfd")
# what every worker loads, and what it is made of
_OURS = ("trials.worker.main", "trials.executors.worker_process")


def serve(listener: int, alive: int, speaker: int, modules: Sequence[str], with_parent: bool) -> NoReturn:
    """Load the modules, and fork workers until nobody is left who could ask for one.

    Args:
        listener: descriptor of the socket at which workers are asked for.
        alive: descriptor that has an end when all are gone who could ask.
        speaker: descriptor to which ``READY`` is written, or why no worker can be forked.
        modules: their names. One that cannot be imported is imported again in each worker, whose log then
            has the reason.
        with_parent: the system may end it with the thread that started it.
    """
    if with_parent:
        processes.die_with_parent()
    with _silence():
        for name in (*_OURS, *modules):
            with suppress(BaseException):
                importlib.import_module(name)
    try:
        os.write(speaker, (why_unfit() or READY).encode())
        os.close(speaker)
        main(listener, alive, ())
    except BrokenPipeError:  # nobody hears it any more
        pass
    finally:  # workers never come here; and there is nothing to clean up
        os._exit(0)


@contextmanager
def _silence() -> Iterator[None]:
    kept = [os.dup(number) for number in (1, 2)]
    with open(os.devnull, "w") as nowhere:
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):  # or each worker would print what is left in them
            flush(stream)
        for number, copy in enumerate(kept, 1):
            os.dup2(copy, number)
            os.close(copy)


def why_unfit() -> str:
    """Why no worker can be forked from this process; empty: they can."""
    if not entrance.can_be_marked():
        return "its environment cannot be written to"
    if threading.active_count() > 1:
        return "a thread runs in it"
    if any(str(link.resolve()).startswith(GPUS) for link in Path("/proc/self/fd").iterdir()):
        return "a GPU is in use in it"
    return ""
