"""Read many runs at once, and say what is wrong with those that cannot be read."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from analysis.journals.replicate import Planned, Replicate, exit_status, read_replicate
from analysis.study.parallel import do_all
from analysis.study.problems import Problem
from asha_core.errors import AshaError

_ENOUGH = 40  # runs for which another process, which first loads numpy, is worth its while


def read_all(runs: Sequence[Planned], processes: int | None = None) -> tuple[list[Replicate], list[Problem]]:
    """Those that can be read, in the order of ``runs``, and what is wrong with the others.

    Args:
        processes: how many read, this one included; by default as many as there are cores, if there is enough
            to read.
    """
    found = do_all([partial(read, run) for run in runs], processes, _ENOUGH)
    return (
        [each for each in found if isinstance(each, Replicate)],
        [each for each in found if isinstance(each, Problem)],
    )


def read(planned: Planned) -> Replicate | Problem:
    """One run, or why it cannot be read."""
    directory = planned.directory
    if not (directory / "journal.jsonl").exists():
        status = exit_status(directory)
        if status not in (None, 0):
            text = f"asha-run ended with status {status}{last_line(directory)}"
            return Problem("failed", planned.id, text, planned.group)
        if not (directory / "run.json").exists():
            return Problem("missing", planned.id, "planned, and has not been run", planned.group)
    try:
        with _uncollected():
            return read_replicate(planned)
    except (AshaError, OSError) as error:
        return Problem("damaged", planned.id, f"cannot be read: {error}", planned.group)


def last_line(directory: Path) -> str:
    """``": ..."`` with the last line of the run's stderr.log; empty if there is none."""
    try:
        with open(directory / "stderr.log", "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - 4096, 0))
            lines = file.read().decode("utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    told = [line.strip() for line in lines if line.strip()]
    return f": {told[-1][:300]}" if told else ""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection, a third of the time: journals are many small objects and no cycles."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
