"""The search that is being killed: a program that the harness starts, again and again, on one directory.

Faults are claimed: the harness puts a file with the name of a place into a folder, and whoever comes by that
place first and can take the file away is struck there.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from asha_core import ASHA, Float, SearchSpace, tune
from asha_core.runtime.storage.journal import JournalWriter
from trials.devices import parse_devices
from trials.executors import fork_server
from trials.trial import Trial

SPACE = SearchSpace({"x": Float(0.0, 1.0), "y": Float(1e-4, 1.0, log=True)})
WORKER_PLACES = ("begin", "before-save", "in-save", "before-report", "after-report")
RECORDS = ("job", "worker", "refined", "report", "failed", "lost", "resume", "end")
ENGINE_PLACES = tuple(f"{when}-{record}" for record in RECORDS for when in ("before", "within", "after"))
FAILS = 5  # this trial raises at its second unit


def value_of(total: float) -> float:
    """The metric: a function of all units so far, so that a lost or doubled one shows."""
    return total * 0.6180339887 % 1.0


def claimed(place: str) -> bool:
    try:
        Path(os.environ["FAULTS"], place).unlink()
    except FileNotFoundError:
        return False
    return True


def strike(place: str) -> None:
    if claimed(place):
        os.kill(os.getpid(), signal.SIGKILL)
    if claimed(f"stop-{place}"):
        os.kill(os.getpid(), signal.SIGSTOP)


def note(*words: object) -> None:
    """One line to the log of what was trained; whole, whoever else writes."""
    file = os.open(os.environ["FAULTS_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, (" ".join(map(str, words)) + "\n").encode())
    os.close(file)


def train(trial: Trial) -> None:
    strike("begin")
    _have_children()
    really_sync = os.fsync
    state = trial.resume_from() or {"total": 0.0}
    for unit in trial.units():
        note(trial.id, trial._attempt, unit)
        if trial.id % 12 == FAILS and unit == 2:
            raise ValueError("this trial always fails")
        state["total"] += unit * trial.config["x"] + trial.config["y"]
        time.sleep(float(os.environ.get("FAULTS_UNIT_SECONDS", "0")))
        strike("before-save")
        os.fsync = lambda file: (strike("in-save"), really_sync(file))[1]
        trial.save(state, wait=trial.id % 2 == 0)  # the others beside the next unit
        os.fsync = really_sync
        strike("before-report")
        trial.report(value_of(state["total"]))
        strike("after-report")


_children: list[Any] = []


def _have_children() -> None:
    """A child in the worker's group, and one in a session of its own, as data loaders and servers are."""
    in_worker = multiprocessing.parent_process() is not None
    if in_worker and not _children:
        _children.append(subprocess.Popen(["sleep", "1000"]))
        _children.append(subprocess.Popen(["sleep", "1000"], start_new_session=True))


def sabotage() -> None:
    """Let the engine be struck before, within and after the write of every kind of record."""
    put = JournalWriter._put

    def struck(self: JournalWriter, data: bytes, crc: int) -> None:
        kinds = [json.loads(line).get("type") for line in data.splitlines() if line]
        for kind in kinds:
            strike(f"before-{kind}")
            if claimed(f"within-{kind}"):
                os.pwrite(self._file, data[: len(data) // 2], self._end[0])
                os.kill(os.getpid(), signal.SIGKILL)
        put(self, data, crc)
        for kind in kinds:
            strike(f"after-{kind}")

    JournalWriter._put = struck  # type: ignore[method-assign]


def scheduler(seed: int) -> ASHA:
    return ASHA(SPACE, max_resource=9, max_trials=12, seed=seed, max_retries=1000)


def main(directory: str, slots: int, seed: int) -> None:
    resource_tracker.ensure_running()  # Python's own, one for every process that starts others
    if slots:  # likewise the one that workers are forked from, for this search and the next
        fork_server.server((), parse_devices("cpu", slots).slots[0].environment)
    before = _held()
    result = tune(
        train,
        scheduler(seed),
        gpus="cpu" if slots else "inline",
        workers_per_gpu=slots or None,
        variation="random-warm",
        results_dir=directory,
        resume=True,
        progress="none",
        heartbeat_timeout=4.0,
        start_timeout=4.0,
    )
    after = _held()
    print(json.dumps({"reason": result.outcome.reason, "before": before, "after": after}))


def _held() -> dict[str, int]:
    """What a process can leak: open files, threads, children."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "children": len(children),
    }


if __name__ == "__main__":
    importable = importlib.import_module("tests.faults.victim")  # workers import it by this name
    importable.sabotage()
    importable.main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
