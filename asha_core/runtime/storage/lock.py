"""One engine a results directory: the lock, and what the engine that held it before left behind."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asha_core.errors import ResultsError

_HELD = (errno.EAGAIN, errno.EACCES)


class RunLock:
    """Holds a results directory for this process, until ``release`` or the process's end, however it ends.

    The kernel forgets the lock of a dead process, so a lock is never stale; what the file says is for
    people, and for ending the workers of an engine that was killed.

    Args:
        path: the lock's file.
        token: what this engine's workers carry in their environment.
    Raises:
        ResultsError: a running engine holds it.

    Attributes:
        before: the token of the engine that held it before; None if there was none.
    """

    def __init__(self, path: Path, token: str) -> None:
        self._path = path
        self._file = _opened(path)
        try:
            self._take()
            there, here = self._read(), self._identity()
            # in a copy of a results directory it is of an engine that searches elsewhere
            token_before = there.get("token") if there.get("file") == here else None
            self.before = token_before if isinstance(token_before, str) else None
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "token": token, "file": here}
            self._write(holder)
        except OSError as error:
            os.close(self._file)
            raise ResultsError(f"{path} cannot be written: {error.strerror}") from None
        except BaseException:
            os.close(self._file)
            raise

    def _take(self) -> None:
        if not _taken(self._file, self._path):
            holder = self._read()
            raise ResultsError(
                f"results directory {self._path.parent} is in use by process {holder.get('pid', '?')} on "
                f"{holder.get('host', '?')}: wait for it, or end it; --resume then goes on where it was"
            )

    def _identity(self) -> list[int]:
        """Which file this is, by device and inode."""
        stat = os.fstat(self._file)
        return [stat.st_dev, stat.st_ino]

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(os.pread(self._file, 4096, 0))
        except (ValueError, RecursionError):  # empty: it is new; torn: its engine died while it wrote
            return {}
        return content if isinstance(content, dict) else {}

    def _write(self, content: dict[str, Any]) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(content).encode() + b"\n", 0)

    def release(self) -> None:
        """Let others have it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@contextlib.contextmanager
def held(
    path: Path, by: str = "its search is still running, or another process measures it"
) -> Iterator[None]:
    """Keep engines, and others who do this, out of a results directory for a while.

    The file's content stays: what the engine before left behind is for the next one to end.

    Args:
        by: who may hold it, for the error.

    Raises:
        ResultsError: a running engine, or somebody else, holds it.
    """
    file = _opened(path)
    try:
        if not _taken(file, path):
            raise ResultsError(f"results directory {path.parent} is in use: {by}; wait for that")
        yield
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    """The lock's file, made if need be, never through a link."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise ResultsError(f"{path} cannot be opened: {error.strerror}") from None


def _taken(file: int, path: Path) -> bool:
    """Take the lock; False: somebody else holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            raise ResultsError(f"{path} cannot be locked: {error.strerror}") from None
        return False
    return True
