"""Read many runs at once, in processes of their own."""

from __future__ import annotations

import gc
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from analysis.problems import Problem
from analysis.replicate import Planned, Replicate, read_replicate
from analysis.together import cores
from asha_core.errors import AshaError

_ENOUGH = 40  # runs for which another process, which first loads numpy, is worth its while
_MOST = 8
_CHILD = "import sys; sys.path[:] = {path!r}; from analysis.reading import serve; serve()"


def read_all(runs: Sequence[Planned], processes: int | None = None) -> tuple[list[Replicate], list[Problem]]:
    """Those that can be read, in the order of ``runs``, and what is wrong with the others.

    Args:
        processes: how many read, this one included; by default as many as there are cores, if there is enough
            to read.
    """
    if processes is None:
        processes = min(cores(), _MOST, max(len(runs) // _ENOUGH, 1))
    if not sys.executable:  # Python inside of another program
        processes = 1
    shares = [list(range(first, len(runs), processes)) for first in range(processes)]
    results: dict[int, Replicate | Problem] = {}
    readers = [_Reader([runs[i] for i in share]) for share in shares[1:] if share]
    try:
        with _uncollected():
            results.update((index, read(runs[index])) for index in shares[0])
        for share, reader in zip(shares[1:], readers, strict=False):
            results.update(zip(share, reader.results(), strict=False))
    finally:
        for reader in readers:
            reader.close()
    for index in range(len(runs)):  # a reader that died, as for want of memory, has left some
        if index not in results:
            results[index] = read(runs[index])
    ordered = [results[index] for index in range(len(runs))]
    return (
        [each for each in ordered if isinstance(each, Replicate)],
        [each for each in ordered if isinstance(each, Problem)],
    )


def read(planned: Planned) -> Replicate | Problem:
    """One run, or why it cannot be read."""
    directory = planned.directory
    status, line = _ended(directory)
    if not (directory / "run.json").exists() and not (directory / "journal.jsonl").exists():
        if status not in (None, 0):
            return Problem("failed", planned.id, f"asha-run ended with status {status}{line}", planned.group)
        return Problem("missing", planned.id, "planned, and has not been run", planned.group)
    try:
        return read_replicate(planned)
    except (AshaError, OSError) as error:
        begun = (directory / "journal.jsonl").exists()
        if not begun and status not in (None, 0):
            return Problem("failed", planned.id, f"asha-run ended with status {status}{line}", planned.group)
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


def _ended(directory: Path) -> tuple[int | None, str]:
    """Exit status of the run's process by outcome.json, or None, and what it said last."""
    try:
        status = json.loads((directory / "outcome.json").read_text(encoding="utf-8"))["status"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, ""
    return (status if type(status) is int else None), last_line(directory)


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


class _Reader:
    """A process that reads a share of the runs.

    A fresh interpreter rather than a fork, which a caller's threads could harm, and rather than
    multiprocessing's spawn, which would run the caller's script again.
    """

    def __init__(self, runs: list[Planned]) -> None:
        self._found: list[Replicate | Problem] = []
        here = str(Path(__file__).resolve().parent.parent)
        code = _CHILD.format(path=[here, *sys.path])
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the one that asked, which then ends it
        )
        self._thread = threading.Thread(target=self._listen, args=(runs,), daemon=True)
        self._thread.start()

    def _listen(self, runs: list[Planned]) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            with stdin:
                pickle.dump(runs, stdin)
            for _ in runs:
                self._found.append(pickle.load(stdout))
        except (OSError, EOFError, pickle.UnpicklingError):
            return  # it died

    def results(self) -> list[Replicate | Problem]:
        """What it read, when it has read all; fewer than it was given if it died."""
        self._thread.join()
        return self._found

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._thread.join()
        if self._process.stdout is not None:
            self._process.stdout.close()


def serve() -> None:
    """Read the runs that standard input names; for ``_Reader``."""
    try:
        runs: list[Planned] = pickle.load(sys.stdin.buffer)
        with _uncollected():
            _answer(runs, sys.stdout.buffer)
    except (BrokenPipeError, EOFError):
        os._exit(1)  # the one that asked is gone


def _answer(runs: Sequence[Planned], output: BinaryIO) -> None:
    for run in runs:
        pickle.dump(read(run), output, protocol=pickle.HIGHEST_PROTOCOL)
        output.flush()
