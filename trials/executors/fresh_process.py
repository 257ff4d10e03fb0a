"""A process of a fresh Python that does not run this one's main module, as ``multiprocessing``'s own does.

A script may then begin a search wherever it likes, and nothing that it does is done again in its workers.
"""

from __future__ import annotations

import copyreg
import io
import os
from multiprocessing import popen_spawn_posix, reduction, resource_tracker, spawn, util
from multiprocessing.context import SpawnProcess, set_spawning_popen
from multiprocessing.process import BaseProcess
from typing import Any


class FreshProcess(SpawnProcess):
    """One that knows its parent's ``sys.path``, ``sys.argv`` and working folder, and gets its arguments."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:
        return _Popen(process_obj)

    def __reduce__(self) -> tuple[Any, ...]:  # as one that is there before our packages can be found
        return copyreg._reconstructor, (SpawnProcess, object, None), vars(self)  # type: ignore[attr-defined]


def message(process_obj: BaseProcess, popen: Any) -> memoryview:
    """What the process reads first: where it is, and itself.

    Args:
        popen: which starts it.
    """
    prepared = spawn.get_preparation_data(process_obj.name)
    for main in ("init_main_from_name", "init_main_from_path"):
        prepared.pop(main, None)
    content = io.BytesIO()
    set_spawning_popen(popen)
    try:
        reduction.dump(prepared, content)
        reduction.dump(process_obj, content)
    finally:
        set_spawning_popen(None)
    return content.getbuffer()


def close(*numbers: int) -> None:
    """Close descriptors."""
    for number in numbers:
        os.close(number)


class _Popen(popen_spawn_posix.Popen):
    """Starts the process."""

    _fds: list[int]

    def _launch(self, process_obj: BaseProcess) -> None:
        tracker = resource_tracker.getfd()
        assert tracker is not None
        content = message(process_obj, self)
        # the process holds the far end of the first as long as it lives; from the second it reads its
        # message, and hears of this process's end
        self.sentinel, alive = os.pipe()
        orders, writes = os.pipe()
        self.finalizer = util.Finalize(self, close, (self.sentinel, writes))
        try:
            python: Any = spawn.get_executable()
            command: Any = spawn.get_command_line(tracker_fd=tracker, pipe_handle=orders)
            self._fds += [tracker, alive, orders]
            self.pid = util.spawnv_passfds(python, command, self._fds)
        finally:
            os.close(alive)
            os.close(orders)
        with open(writes, "wb", closefd=False) as pipe:
            pipe.write(content)
