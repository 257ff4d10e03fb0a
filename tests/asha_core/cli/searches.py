"""Starts ``asha-run`` as people do, for tests that kill, stop and resume it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from asha_core.runtime.storage.journal import read_journal
from asha_core.runtime.storage.records import Record
from tests.faults.harness import processes_of

ROOT = Path(__file__).resolve().parents[3]
ASHA_RUN, ASHA_REPORT = (str(Path(sys.executable).with_name(name)) for name in ("asha-run", "asha-report"))
TASK = ["--task", "tests.asha_core.cli.odd_tasks:Paced"]
CPU = [*TASK, "--gpus", "cpu", "--workers-per-gpu", "2"]
PACED = [*CPU, "--task-option", "seconds=0.1"]
PATIENCE = 60.0


def environment() -> dict[str, str]:
    """Where commands find this package's tests from any directory; one thread a worker."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    with Command(cwd, *arguments) as command:
        out, err = command.process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(arguments, command.process.returncode, out, err)


class Command:
    """A command under way, whose processes all carry a mark; none of them outlives the context."""

    def __init__(self, cwd: Path, *arguments: str, **streams: Any) -> None:
        name, value = "SEARCH_MARK", uuid.uuid4().hex
        self.mark = f"{name}={value}"
        self.process = subprocess.Popen(
            [ASHA_RUN, *arguments],
            cwd=cwd,
            env={**environment(), name: value},
            text=True,
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        assert self.nobody_left(10) or kind is not None

    def wait_for(self, directory: Path, kind: str, count: int) -> None:
        """Until the journal has so many records of a type."""
        until = time.monotonic() + PATIENCE
        while len(records(directory, kind)) < count:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until, f"no {count} records of type {kind} in {PATIENCE:g} s"
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL for the engine alone."""
        self.process.kill()
        self.process.wait()

    def signal(self, number: int, times: int = 1) -> tuple[float, str]:
        """Send a signal; how long it took to end, and what it said on standard error."""
        began = time.monotonic()
        for _ in range(times):
            self.process.send_signal(number)
            time.sleep(0.3 if times > 1 else 0.0)
        _, err = self.process.communicate(timeout=PATIENCE)
        return time.monotonic() - began, err

    def nobody_left(self, seconds: float) -> bool:
        """Whether within so many seconds every process with the mark is gone."""
        until = time.monotonic() + seconds
        while processes_of(self.mark):
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True


def records(directory: Path, kind: str | None = None) -> list[Record]:
    """The journal's records, or those of one type."""
    path = directory / "journal.jsonl"
    if not path.exists() or b"\n" not in path.read_bytes():
        return []
    return [record for record in read_journal(path).records if kind in (None, record["type"])]


def results(directory: Path) -> dict[str, Any]:
    """The content of results.json."""
    content: dict[str, Any] = json.loads((directory / "results.json").read_text())
    return content
