"""A process that has loaded the large modules, from which workers are forked: they begin at once.

It is Python's own (``multiprocessing.forkserver``), and there is one for this process: the next search finds
it ready, if the surroundings are the same. Nothing runs in it but imports, no GPU is touched in it, and it
ends with this process. Without one workers import for themselves: where the system lacks what it needs, where
it does not start, where something in it would not survive a fork.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import popen_forkserver, util
from multiprocessing.forkserver import MAXFDS_TO_SEND, ForkServer, read_signed
from pathlib import Path
from typing import Any

from trials.executors.fresh_process import FreshProcess, close, message
from trials.executors.surroundings import environment, in_main_thread, no_interrupts
from trials.worker import entrance, preloading, processes

SWITCH = "ASHA_FORK_SERVER"  # in the environment: 0 for workers that each import for themselves
UNKNOWN = 255  # Python's word for the status of a process whose server is gone
_GONE = "the process that workers are forked from has ended"
_OF_PYTHON = 4  # descriptors that Python adds to what a worker is handed
_MOST = 2  # servers at a time: each holds what it has loaded
_PATIENCE = 60.0  # seconds that it may take; beyond, workers import for themselves
_PROGRAM = (
    "import sys; import json; path, ends, *rest = map(json.loads, sys.argv[1:]); sys.path[:] = path; "
    "from trials.worker.preloading import serve; serve(*ends, *rest)"
)
# how the names begin of what libraries read when they are imported, and never again
_READ_AT_IMPORT = (
    *("OMP_", "MKL_", "OPENBLAS_", "KMP_", "GOMP_", "GOTO_", "BLIS_", "DNNL_", "ONEDNN_"),
    *("NPY_", "NUMEXPR_", "NUMBA_", "MPL", "JAX_", "XLA_", "TF_", "KERAS_"),
    *("TORCH", "PYTORCH_", "ATEN_", "TRITON_", "HF_", "TRANSFORMERS_"),
    *("CUDA_", "NVIDIA_", "NCCL_", "CUBLAS_", "CUDNN_", "HIP_", "ROCR_", "HSA_"),
    *("LD_", "PYTHON", "LC_", "LANG", "HOME", "XDG_", "TMPDIR", "TEMP", "TMP"),
)
_INHERITED = ("Umask:", "Uid:", "Gid:", "Groups:", "CapEff:", "Cpus_allowed:", "Mems_allowed:")


class Server(ForkServer):
    """A fork server, started here and not by Python: with this process's path, and with room for a mark.

    Args:
        modules: what it loads; a failing import is the workers' to tell.
        variables: of the environment, that all workers share.
        clock: monotonic.
    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        modules: Sequence[str],
        variables: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._deadline = clock() + _PATIENCE
        self._answer = ""
        self._hears, speaker = os.pipe()
        os.set_blocking(self._hears, False)
        alive, self._forkserver_alive_fd = os.pipe()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("")  # the system chooses a name, which no file has
            listener.listen()
            self._forkserver_address = listener.getsockname()
            ends = (listener.fileno(), alive, speaker)
            path = [entry for entry in sys.path if isinstance(entry, str)]  # import passes over others
            # no script's folder in the path before it is this process's
            command = [sys.executable, *util._args_from_interpreter_flags(), "-P", "-c", _PROGRAM]  # type: ignore[attr-defined]
            command += map(json.dumps, (path, ends, list(modules), in_main_thread()))
            try:
                with no_interrupts(), environment({**variables, **entrance.room_for_a_mark()}):
                    self._process = subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, pass_fds=ends, start_new_session=True
                    )
            finally:
                os.close(alive)
                os.close(speaker)

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def ready(self) -> bool | None:
        """Whether workers can be forked from it; None: it is not known yet."""
        if not self._answer:
            with suppress(BlockingIOError):
                self._answer = os.read(self._hears, 1000).decode() or "it has ended"
        if not self._answer and self._clock() > self._deadline:
            self._answer = "it takes too long"
        return self._answer == preloading.READY if self._answer else None

    def alive(self) -> bool:
        """Whether it is there, and this process's own: not that of one which this was forked from."""
        return self._process.poll() is None and processes.is_own_child(self.pid)

    def ensure_running(self) -> None:
        """Nothing: Python would start one of its own."""

    def release(self) -> None:
        """It ends, as soon as the last of its workers has."""
        close(self._hears, self._forkserver_alive_fd)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)


def started(server: int | None, **arguments: Any) -> FreshProcess:
    """A process that a server forks, by its number; None: a Python of its own. Arguments: Python's own.

    It is one of its own, too, if more is to be handed to it than a server takes, such as many tensors.

    Raises:
        OSError: it cannot be started.
    """
    if server is not None:
        forked = _ForkedProcess(**arguments)
        forked.server = server
        with suppress(_TooMany):
            forked.start()
            return forked
    fresh = FreshProcess(**arguments)
    fresh.start()
    return fresh


class _TooMany(Exception):
    """Descriptors for one message to a server."""


class _ForkedProcess(FreshProcess):
    """With the server's number, because a server cannot be pickled."""

    server: int

    @staticmethod
    def _Popen(process_obj: _ForkedProcess) -> _Popen:  # type: ignore[override]
        return _Popen(process_obj)


class _Popen(popen_forkserver.Popen):
    """As Python's own, but with our server."""

    _fds: list[int]  # for the worker

    def _launch(self, process_obj: _ForkedProcess) -> None:
        content = message(process_obj, self)
        if len(self._fds) + _OF_PYTHON >= MAXFDS_TO_SEND:
            raise _TooMany
        self.sentinel, far = _SERVERS.numbered(process_obj.server).connect_to_new_process(self._fds)
        # the copy is how the worker sees that this process has ended
        self.finalizer = util.Finalize(self, close, (os.dup(far), self.sentinel))
        with open(far, "wb") as pipe:
            pipe.write(content)
        self.pid = pid_from(self.sentinel)


def pid_from(sentinel: int) -> int:
    """The worker's number, which the server tells.

    Raises:
        OSError: it has ended.
    """
    try:
        pid: int = read_signed(sentinel)
    except EOFError:
        raise OSError(_GONE) from None
    return pid


class _Servers:
    """The servers in use, and those before them, which end when their workers do. For all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_use: list[tuple[object, Server]] = []
        self._released: list[Server] = []
        atexit.register(self._keep, 0)

    def find(self, modules: Sequence[str], variables: Mapping[str, str]) -> Server:
        surroundings = (list(modules), variables, _surroundings())
        with self._lock:
            for known, server in self._in_use:
                # one that ended before it was ready would do so again
                if known == surroundings and (server.alive() or not server.ready()):
                    return server
            self._release([each for each in self._in_use if each[0] == surroundings])
            self._keep(_MOST - 1)
            server = Server(modules, variables)
            self._in_use.append((surroundings, server))
        return server

    def numbered(self, pid: int) -> Server:
        """The one with that process.

        Raises:
            OSError: another search has taken its place.
        """
        for _, server in self._in_use:
            if server.pid == pid:
                return server
        raise OSError(_GONE)

    def _keep(self, most: int) -> None:
        """Release all but the latest, and those that are loading: a search waits for each of these."""
        earlier = self._in_use[:-most] if most else self._in_use
        self._release([each for each in earlier if not most or each[1].ready() is not None])

    def _release(self, which: Sequence[tuple[object, Server]]) -> None:
        self._in_use = [each for each in self._in_use if each not in which]
        for _, server in which:
            server.release()
            self._released.append(server)


_SERVERS = _Servers()


def server(modules: Sequence[str], shared: Mapping[str, str]) -> Server | None:
    """The server in use, or a new one if that is of other surroundings; None: there can be none.

    Args:
        modules: that take long to import.
        shared: what all workers have in their environments, beyond what this process has.
    """
    if not processes.HAVE_PROC or sys.platform != "linux" or os.environ.get(SWITCH) == "0":
        return None
    variables = {name: value for name, value in shared.items() if name.startswith(_READ_AT_IMPORT)}
    try:
        return _SERVERS.find(modules, variables)
    except OSError:
        return None


def _surroundings() -> object:
    """What a server keeps of the moment in which it was started, and hands down."""
    with environment({}):  # and not while another thread starts a worker, for which it is changed
        variables = {name: value for name, value in os.environ.items() if name.startswith(_READ_AT_IMPORT)}
    system = [Path(f"/proc/self/{name}").read_text() for name in ("limits", "cgroup")]
    status = Path("/proc/self/status").read_text().splitlines()
    system += [line for line in status if line.startswith(_INHERITED)]
    return variables, list(sys.path), system, os.nice(0)
