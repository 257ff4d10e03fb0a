"""One run as a child process: what it prints goes to its logs and, line by line, to who listens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

Listener = Callable[[str, str], None]  # (stream: "stdout" or "stderr", one line)

_CHILD = Path(__file__).parents[1] / "cli" / "study_child.py"  # a program of its own: the command and this
_CHUNK = 1 << 16
_PATIENCE = 5.0  # seconds for what a grandchild still holds open
_LONGEST = 4000  # characters of a line that is passed on; the log has all of it


class RunProcess:
    """A running ``asha-run``.

    Both streams are read at all times, each by a thread, so a full pipe cannot stop the run.

    Args:
        arguments: of ``asha-run``.
        logs: files for standard output and standard error; appended to.
        heading: lines that its output begins with.
        listener: called with each line, by two threads.
        environment: of the child, above this process's own.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        logs: Sequence[Path],
        heading: Sequence[str],
        listener: Listener,
        environment: Mapping[str, str],
    ) -> None:
        self.began = time.monotonic()
        self._signals = 0
        # -P: a user's ./queue.py is no module of Python's here, as little as for asha-run
        command = [sys.executable, "-P", "-u", str(_CHILD), str(os.getpid()), *arguments]
        outputs = [path.open("ab", buffering=0) for path in logs]
        try:
            for line in heading:
                outputs[0].write(f"{line}\n".encode(errors="backslashreplace"))
                listener("stdout", line)
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C at the terminal comes through the study, once
            )
        except BaseException:
            for output in outputs:
                output.close()
            raise
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self._pumps = [
            threading.Thread(target=_pump, args=(pipe, output, name, listener), daemon=True)
            for pipe, output, name in zip(
                (self._child.stdout, self._child.stderr), outputs, ("stdout", "stderr"), strict=True
            )
        ]
        for pump in self._pumps:
            pump.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def poll(self) -> int | None:
        """Its exit status, once it has ended and its output is in the logs; else None."""
        status = self._child.poll()
        if status is None:
            return None
        deadline = time.monotonic() + _PATIENCE
        for pump in self._pumps:
            pump.join(max(deadline - time.monotonic(), 0.0))
        return status

    def stop(self) -> None:
        """Ask it to stop; the second time, to stop at once; the third time it is killed."""
        self._signals += 1
        number = signal.SIGINT if self._signals < 3 else signal.SIGKILL
        with suppress(ProcessLookupError):
            self._child.send_signal(number)


def _pump(pipe: BinaryIO, output: BinaryIO, name: str, listener: Listener) -> None:
    """Everything from a pipe into a log, and line by line to the listener."""
    rest = b""
    with pipe, output:
        while chunk := os.read(pipe.fileno(), _CHUNK):
            with suppress(OSError):  # the disk is full: the run goes on
                output.write(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[-_LONGEST * 4 :]
            for line in lines:
                listener(name, _text(line))
    if rest:
        listener(name, _text(rest))


def _text(line: bytes) -> str:
    """What a terminal would show of a line: after the last carriage return, without control characters."""
    text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace")[:_LONGEST]
    return "".join(character if character.isprintable() or character == "\t" else "?" for character in text)
