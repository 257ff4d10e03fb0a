"""Where what a worker prints goes: to a file of its own, and to that of the trial which it trains."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.runtime.terminal.streams import flush


@contextlib.contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Everything that this process prints, C libraries included, goes to the end of a file.

    Where the file cannot be opened, it goes where it went before: a full disk costs the log, not the job.
    """
    _flush()
    try:
        path.parent.mkdir(exist_ok=True)  # but no results directory that is gone
        target = not_through_links(str(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:
        yield
        return
    kept = os.dup(1), os.dup(2)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        os.close(target)
        _open_again()
        yield
    finally:
        _flush()
        for number, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


def print_utf8() -> None:
    """From now on this process prints UTF-8, whatever the locale: it prints into files that are ours."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]


def _open_again() -> None:
    """Streams that an earlier job has closed."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(getattr(sys, name), "closed", False):
            file = open(number, "wb", closefd=False)  # noqa: SIM115
            text = io.TextIOWrapper(file, "utf-8", errors="backslashreplace", line_buffering=True)
            setattr(sys, name, text)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        flush(stream)  # the disk may be full; the task may have closed it, or put something else there


def not_through_links(path: str, flags: int) -> int:
    """For ``open(opener=...)``: what a link points to is not written."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def worker_log(results: Path, slot: int) -> Path:
    """Where a worker's output goes that belongs to no trial."""
    return RunDirectory(results).workers / f"{slot}.log"
