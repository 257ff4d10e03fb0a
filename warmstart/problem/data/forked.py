"""A function computed in a process of its own, forked from this one: whatever it changes, it changes there.

The process begins with a call, sees everything as it was then, and stays for further calls. It ends with
the object, with ``close``, with the process that it was forked from, or when it has had nothing to do for a
while; then the next call begins another.
"""

from __future__ import annotations

import fcntl
import gc
import io
import multiprocessing.util
import os
import pickle
import select
import signal
import socket
import stat
import struct
import sys
import threading
import time
import traceback
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from asha_core.errors import AshaError, TaskError

IDLE = 5.0  # seconds without a call after which the child ends: whose it is may be gone, or not yet collected
SAID_AFTER = 60.0  # seconds without an answer after which a user is told what may be wrong
TO_END = 0.5  # seconds for the child to end by itself

_forking = threading.Lock()  # warnings are filtered while it is held
_children: weakref.WeakSet[_Child] = weakref.WeakSet()


class CannotFork(Exception):
    """The function cannot be computed in a process of its own; the text says why."""


class ForkedFunction:
    """``function``, computed in a forked process.

    Raises:
        CannotFork: there can be no such process, it cannot do what is asked of it (such as using a GPU that
            this process has open), or what the function gives cannot be sent.
        TaskError: the process ended.
        Exception: what the function raised, with a note of where.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._child: _Child | None = None

    def __call__(self, *arguments: Any) -> Any:
        """What the function gives for these."""
        return self._asked(arguments, again=self._child is not None).value()

    def _asked(self, arguments: tuple[Any, ...], again: bool) -> Any:
        if self._child is None or self._child.owner != os.getpid():
            self._child = _begun(self._function)
            weakref.finalize(self, _end, self._child)
        try:
            _send(self._child.socket, arguments)
            return _answer(self._child.socket)
        except (OSError, EOFError) as error:
            child, self._child = self._child, None
            status = _end(child)
            if status == 0 and again:  # it had waited long enough
                return self._asked(arguments, again=False)
            how = f"{error}" if status is None else _in_words(status)
            raise TaskError(
                f"the process that reads the data ended ({how}) before it gave a mini-batch"
            ) from None
        except BaseException:  # Ctrl-C: an answer would still come, and be taken for the next one
            self.close(at_once=True)
            raise

    def close(self, *, at_once: bool = False) -> None:
        """End the process, if there is one; the next call begins another."""
        if self._child is not None:
            _end(self._child, at_once)
            self._child = None


# -- the parent's side -----------------------------------------------------------------------------


@dataclass(eq=False, slots=True, weakref_slot=True)
class _Child:
    owner: int
    pid: int
    socket: socket.socket
    status: int | None = None  # once it has been waited for


def _begun(function: Callable[..., Any]) -> _Child:
    if sys.platform != "linux":
        raise CannotFork(f"a process cannot be forked safely on {sys.platform}")
    ours, theirs = socket.socketpair()
    for stream in (sys.stdout, sys.stderr):  # or what waits there would be written twice
        if stream is not None:
            stream.flush()
    owner = os.getpid()
    for child in list(_children):  # those that ended by themselves
        _reap(child)
    try:
        pid = _forked()
    except OSError as error:
        ours.close()
        theirs.close()
        raise CannotFork(f"no process can be forked ({error.strerror})") from error
    if pid == 0:
        ours.close()
        _serve(function, theirs)
    theirs.close()
    begun = _Child(owner, pid, ours)
    _children.add(begun)
    return begun


def _forked() -> int:
    if sys.version_info < (3, 12) or threading.active_count() == 1:
        return os.fork()
    with _forking, warnings.catch_warnings():
        # Python warns of forks beside threads. The child takes no lock of ours, and torch computes in one
        # thread there; it is what a DataLoader with workers does
        warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
        return os.fork()


def _not_ours() -> None:
    """In whatever is forked from here: a descriptor that it held would keep a child from seeing our end."""
    for child in list(_children):
        child.socket.close()


os.register_at_fork(after_in_child=_not_ours)


def _end(child: _Child, at_once: bool = False) -> int | None:
    """Its exit status, as ``os.waitpid`` gives it; None: it is not known, or is not this process's child."""
    if child.owner != os.getpid() or child.socket.fileno() < 0:
        return None
    with suppress(OSError):  # it has ended
        child.socket.shutdown(socket.SHUT_RDWR)
    child.socket.close()
    if child.status is not None:
        return child.status
    until = time.monotonic() + (0.0 if at_once else TO_END)
    try:
        while True:
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                return status
            if time.monotonic() >= until:
                os.kill(child.pid, signal.SIGKILL)
                return os.waitpid(child.pid, 0)[1]
            time.sleep(0.001)
    except ChildProcessError:  # somebody waited for it
        return None


def _reap(child: _Child) -> None:
    if child.owner == os.getpid() and child.socket.fileno() >= 0 and child.status is None:
        with suppress(ChildProcessError):
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            child.status = status if pid else None


def _in_words(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:
        return "killed: out of memory?"
    return f"exit status {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def _answer(connection: socket.socket) -> Any:
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    if not waiting.poll(1000 * SAID_AFTER):
        warnings.warn(
            f"reading a mini-batch has taken {SAID_AFTER:.0f} s so far. It is read in a forked process, in "
            "which threads of the data set do not run: if it waits for one, give data= as a mini-batch or as "
            "a function of a draw number",
            stacklevel=2,
        )
    return _received(connection)


# -- the child's side ------------------------------------------------------------------------------


def _serve(function: Callable[..., Any], connection: socket.socket) -> NoReturn:
    """Answer until the parent has had enough; nothing of the parent's is finished, flushed or run here."""
    try:
        gc.freeze()  # what the parent has left lying about is not for us to finalize
        _settle()
        _end_with_the_parent(connection)
        waiting = select.poll()
        waiting.register(connection, select.POLLIN)
        wait = 60.0  # for the first call, which is under way
        while waiting.poll(1000 * wait):
            wait = IDLE
            arguments = _received(connection)
            try:
                answer: Any = _Given(function(*arguments))
            except BaseException as error:  # SystemExit as well
                answer = _raised(error)
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
            try:
                _send(connection, answer)
            except (OSError, MemoryError):
                raise
            except Exception as error:
                _send(connection, _Impossible(f"a mini-batch cannot be sent ({_named(error)})"))
            del answer
        os._exit(0)
    except EOFError:  # the parent has ended, or let go of it
        os._exit(0)
    finally:
        os._exit(1)


def _settle() -> None:
    """Signals, threads and files as they should be in a process that only reads."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent tells us to end
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    multiprocessing.util._finalizer_registry.clear()  # type: ignore[attr-defined]
    multiprocessing.util._run_after_forkers()  # type: ignore[attr-defined]
    torch.set_num_threads(1)  # those of a forked OpenMP would never come
    for path in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):  # closed, or not to be opened again
            _own_offset(int(path.name))


def _end_with_the_parent(connection: socket.socket) -> None:
    """In the middle of a mini-batch, too: a parent's pipes stay open as long as this lives."""

    def ended() -> bool:
        waiting = select.poll()
        waiting.register(connection, 0)
        return any(events & select.POLLHUP for _, events in waiting.poll(0))

    def asked(*_: object) -> None:
        if ended():
            os._exit(0)

    signal.signal(signal.SIGIO, asked)
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC)
    asked()


def _own_offset(descriptor: int) -> None:
    """A file that is read gets a position of its own: a fork shares it with the parent."""
    how = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    if how & os.O_ACCMODE == os.O_WRONLY or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return
    if descriptor < 3:
        return  # standard streams
    again = os.open(f"/proc/self/fd/{descriptor}", (how & ~(os.O_CREAT | os.O_TRUNC)) | os.O_CLOEXEC)
    try:
        os.lseek(again, os.lseek(descriptor, 0, os.SEEK_CUR), os.SEEK_SET)
        os.dup2(again, descriptor, inheritable=os.get_inheritable(descriptor))
    finally:
        os.close(again)


def _raised(error: BaseException) -> _Raised | _Impossible:
    # the one where PyTorch asks for the GPU, the other where a tensor that is there already is used
    if any(sign in str(error) for sign in ("CUDA in forked subprocess", "CUDA error: initialization error")):
        return _Impossible("its data set uses the GPU, which a forked process cannot")
    text = "".join(traceback.format_exception(error)).rstrip()
    try:
        pickled = pickle.dumps(error)
        if not isinstance(error, Exception) or type(pickle.loads(pickled)) is not type(error):
            pickled = b""
    except Exception:  # whatever its class does when it is made again
        pickled = b""
    return _Raised(pickled, _named(error), text)


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


# -- what goes between them ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Given:
    given: Any

    def value(self) -> Any:
        return self.given


@dataclass(frozen=True, slots=True)
class _Impossible:
    why: str

    def value(self) -> NoReturn:
        raise CannotFork(self.why)


@dataclass(frozen=True, slots=True)
class _Raised:
    pickled: bytes
    name: str
    traceback: str

    def value(self) -> NoReturn:
        error: Exception = pickle.loads(self.pickled) if self.pickled else TaskError(self.name)
        if not isinstance(error, AshaError) or not self.pickled:  # ours say all that there is to say
            error.add_note(f"It was raised where the data are read, in a forked process:\n{self.traceback}")
        raise error


class _Pickler(pickle.Pickler):
    """Tensors go as their bytes: torch's own way copies them several times."""

    def reducer_override(self, value: Any) -> Any:
        if (
            type(value) is Tensor and value.layout is torch.sparse_coo
        ):  # torch's way leaves it in a list of torch's
            parts = value.detach()._indices(), value.detach()._values()
            return _sparse, (*parts, value.shape, value.is_coalesced())
        plain = (
            type(value) is Tensor
            and (value.device.type, value.layout) == ("cpu", torch.strided)
            and not (value.requires_grad or value.is_quantized or value.is_conj() or value.is_neg())
        )
        if not plain or not value.numel() or value.__dict__:
            return NotImplemented
        raw = value.contiguous().reshape(-1).view(torch.uint8).numpy()
        return _tensor, (pickle.PickleBuffer(raw), value.dtype, value.shape)


def _tensor(raw: Any, dtype: torch.dtype, shape: Any) -> Tensor:
    return torch.frombuffer(raw, dtype=dtype).reshape(shape)


def _sparse(indices: Tensor, values: Tensor, shape: Any, coalesced: bool) -> Tensor:
    return torch.sparse_coo_tensor(indices, values, shape, is_coalesced=coalesced, check_invariants=False)


def _send(connection: socket.socket, value: Any) -> None:
    buffers: list[pickle.PickleBuffer] = []
    head = io.BytesIO()
    _Pickler(head, 5, buffer_callback=buffers.append).dump(value)
    parts = [memoryview(head.getbuffer()), *(buffer.raw() for buffer in buffers)]
    connection.sendall(struct.pack(f"<{1 + len(parts)}Q", len(parts), *(part.nbytes for part in parts)))
    for part in parts:
        connection.sendall(part)


def _received(connection: socket.socket) -> Any:
    (count,) = struct.unpack("<Q", _read(connection, 8))
    sizes = struct.unpack(f"<{count}Q", _read(connection, 8 * count))
    head, *buffers = [_read(connection, size) for size in sizes]
    return pickle.loads(head, buffers=buffers)


def _read(connection: socket.socket, size: int) -> bytearray:
    found = bytearray(size)
    view = memoryview(found)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise EOFError("no answer")
        view = view[count:]
    return found
