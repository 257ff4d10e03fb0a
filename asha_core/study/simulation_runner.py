"""Run what is left of a study's simulated runs: in batches, by a few processes, into one file."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from pathlib import Path
from queue import SimpleQueue

from analysis.study.simulated_runs import KIND, SimulatedRun, packed
from asha_core.runtime.interrupts import stop_signals
from asha_core.runtime.storage.frames import FrameWriter
from asha_core.study.directory import StudyDirectory
from asha_core.study.planned_runs import PlannedRun, in_order
from asha_core.study.progress_view import View
from asha_core.study.simulated_plan import table_path
from asha_core.study.simulated_search import LoadedTable, simulated_run

_AHEAD = 3  # batches for each process that are begun before the first of them is kept
BATCH = 32  # runs: about a second or two
_POLL = 0.05
_CHILD = "import sys; sys.path[:] = {path!r}; from asha_core.study.simulation_runner import serve; serve()"

Batch = tuple[list[PlannedRun], list[LoadedTable]]


class SimulationRunner:
    """Simulates runs, and keeps them in their order, whichever process is done first.

    Args:
        directory: where the study is kept.
        runs: those to run, in any order.
        processes: how many simulate; of one it is this one.
        view: is told what happens.
    """

    def __init__(
        self, directory: StudyDirectory, runs: Sequence[PlannedRun], processes: int, view: View
    ) -> None:
        self._directory = directory
        ordered = in_order(runs)
        self._batches = [ordered[first : first + BATCH] for first in range(0, len(ordered), BATCH)]
        self._processes = min(processes, len(self._batches))
        self._view = view
        view.slots = max(self._processes, 1)

    def run(self) -> bool:
        """Run them all; False if it was interrupted before, with the batches that were done."""
        if not self._batches:
            return True
        path, index = self._directory.simulated, self._directory.index()
        with closing(FrameWriter(path, KIND, index.end)) as writer, stop_signals(then_exit=True) as stop:
            stop.polite = True
            with suppress(KeyboardInterrupt):  # asked a second time
                for found, seconds in self._simulated():
                    content, told = packed(found)
                    writer.append(content, **told)
                    self._tell(found, seconds)
                    if stop.requested:
                        break
                else:
                    return True
            self._view.show("stopped; go on with the same command", loud=True)
            return False

    def _tell(self, found: Sequence[SimulatedRun], seconds: float) -> None:
        failed = [each for each in found if each.reason == "error"]
        for each in failed:
            self._view.show(f"{each.id}: failed: {each.why}", loud=True)
        self._view.on_batch(len(found) - len(failed), [each.id for each in failed], seconds)
        self._view.tick()

    def _simulated(self) -> Iterator[tuple[list[SimulatedRun], float]]:
        """Batch after batch, in order, and the seconds that it took."""
        tables = _Tables(self._directory.path)
        batches = [(batch, [tables.of(run) for run in batch]) for batch in self._batches]
        if self._processes < 2 or not sys.executable:  # Python inside of another program
            yield from map(_simulated_batch, batches)
            return
        with closing(_Helpers(self._processes)) as helpers:
            waiting: deque[Future[tuple[list[SimulatedRun], float]]] = deque()
            for batch in batches:
                waiting.append(helpers.submit(batch))
                if len(waiting) >= _AHEAD * self._processes:
                    yield self._waited(waiting.popleft())
            while waiting:
                yield self._waited(waiting.popleft())

    def _waited(self, future: Future[tuple[list[SimulatedRun], float]]) -> tuple[list[SimulatedRun], float]:
        while not wait([future], _POLL).done:
            self._view.tick()
        return future.result()


class _Tables:
    """The tables of a study, each once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[tuple[str, int], LoadedTable] = {}

    def of(self, run: PlannedRun) -> LoadedTable:
        key = run.table, run.study_seed
        if key not in self._known:
            self._known[key] = LoadedTable(table_path(self._directory, run), run.study_seed)
        return self._known[key]


def _simulated_batch(batch: Batch) -> tuple[list[SimulatedRun], float]:
    began = time.monotonic()
    found = [simulated_run(run, table) for run, table in zip(*batch, strict=True)]
    return found, time.monotonic() - began


class _Helpers:
    """Processes that simulate, each with a thread here that waits for it."""

    def __init__(self, count: int) -> None:
        self._all = [_Helper() for _ in range(count)]
        self._free: SimpleQueue[_Helper] = SimpleQueue()
        for helper in self._all:
            self._free.put(helper)
        self._threads = ThreadPoolExecutor(count)

    def submit(self, batch: Batch) -> Future[tuple[list[SimulatedRun], float]]:
        """Have it simulated by the next that is free."""
        return self._threads.submit(self._by_one, batch)

    def _by_one(self, batch: Batch) -> tuple[list[SimulatedRun], float]:
        helper = self._free.get()
        try:
            return helper(batch)
        finally:
            self._free.put(helper)

    def close(self) -> None:
        """End them, whatever they are at."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for helper in self._all:
            helper.close()


class _Helper:
    """A process: a fresh interpreter, for which a caller's threads and script do not matter."""

    def __init__(self) -> None:
        code = _CHILD.format(path=[str(Path(__file__).resolve().parents[2]), *sys.path])
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the one that asked, which then ends it
        )

    def __call__(self, batch: Batch) -> tuple[list[SimulatedRun], float]:
        """Simulate; if the process died, here."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            pickle.dump(batch, stdin, protocol=pickle.HIGHEST_PROTOCOL)
            stdin.flush()
            found: tuple[list[SimulatedRun], float] = pickle.load(stdout)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            return _simulated_batch(batch)
        return found

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()


def serve() -> None:
    """Simulate what standard input says; for ``_Helper``."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may stand among the results
    tables: dict[LoadedTable, LoadedTable] = {}  # each loaded once
    with suppress(BrokenPipeError, EOFError, KeyboardInterrupt):
        while True:
            runs, given = pickle.load(sys.stdin.buffer)
            found = _simulated_batch((runs, [tables.setdefault(table, table) for table in given]))
            pickle.dump(found, output, protocol=pickle.HIGHEST_PROTOCOL)
            output.flush()
