"""The standard streams, whatever stands in their place.

A service has none of them (``None``), some are closed, and a notebook, a logger or a test has put an object
there that may do no more than ``write``. None of this is a reason for a search to end.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from functools import cache
from typing import TextIO

# what using a stream raises that is none, is closed, or is no file; or that nobody reads, or on a full disk
UNUSABLE = (AttributeError, OSError, ValueError)


class Nowhere(io.TextIOBase):
    """A stream that nobody reads."""

    def write(self, text: str) -> int:
        """Take it for written."""
        return len(text)


def say(text: str, stream: TextIO | None = None) -> None:
    """A line on ``stream``, by default on standard error, at once; where that cannot be, nothing happens.

    In a notebook by default on standard output: the other is shown there as if something were wrong.
    """
    if stream is None:
        stream = sys.stdout if in_notebook() else sys.stderr
    with suppress(*UNUSABLE):
        stream.write(f"{text}\n")
        stream.flush()


def flush(stream: TextIO | None) -> None:
    """Flush it, if it can be."""
    with suppress(*UNUSABLE):
        stream.flush()  # type: ignore[union-attr]


def is_terminal(stream: TextIO | None) -> bool:
    """Whether it is one."""
    try:
        return bool(stream.isatty())  # type: ignore[union-attr]
    except UNUSABLE:
        return False


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, whose cells show HTML."""
    return "IPython" in sys.modules and _is_kernel()


@cache
def _is_kernel() -> bool:
    from rich.console import Console

    return Console(file=io.StringIO()).is_jupyter


def is_live_terminal(stream: TextIO | None) -> bool:
    """Whether it is a terminal that can be drawn on."""
    return is_terminal(stream) and os.environ.get("TERM", "dumb") != "dumb"


def descriptor(stream: TextIO | None) -> int | None:
    """The number of its file; None: it has none."""
    try:
        return int(stream.fileno())  # type: ignore[union-attr]
    except UNUSABLE:
        return None


def fill_descriptors() -> None:
    """Open what is closed of the descriptors 0, 1 and 2, as some services start a process.

    Else the next files that are opened get these numbers, such as a pipe to a worker, and the worker puts its
    log in their place.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            if null != number:  # another thread has taken it
                os.close(null)
            else:
                os.set_inheritable(null, True)
