"""The results directory: who writes what where.

run.json             the manifest: resolved settings, versions, hardware, seeds (before the search)
journal.jsonl        every job and event (during)
results.json         best configurations, counts, time (after)
test.json            the chosen configuration on test data, once (``asha-test``)
trials/<id>/log.txt  what the trial printed, and its traceback if it failed
checkpoints/         last, previous and best state of each trial; best.pt is the best of all
engine.lock          which process searches here; its lock ends with it
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from asha_core.errors import ResultsError
from asha_core.runtime.observers import Leaderboard, Outcome
from asha_core.runtime.storage.atomic import whole
from asha_core.runtime.storage.json_files import read_optional_json, write_json
from asha_core.schedulers.base import Scheduler

CHECKOUT = Path(__file__).resolve().parents[3]
_PACKAGES = ("asha-core", "torch", "torchvision", "numpy", "scipy", "scikit-learn")


def write_best_note(best: Path, value: float, resource: int) -> None:
    """Keep beside a trial's best checkpoint which value it had, and after how many units."""
    write_json(best.with_suffix(".json"), {"value": value, "resource": resource})


def read_best_note(best: Path) -> dict[str, Any] | None:
    """What ``write_best_note`` kept; None if there is none, or no checkpoint, or it cannot be read."""
    note = read_optional_json(best.with_suffix(".json"))
    try:
        return {"value": float(note["value"]), "resource": int(note["resource"])} if best.exists() else None
    except (ValueError, KeyError, TypeError):
        return None


class RunDirectory:
    """The paths of one run.

    Args:
        path: the directory; ``create`` makes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = path / "run.json"
        self.journal = path / "journal.jsonl"
        self.results = path / "results.json"
        self.test = path / "test.json"
        self.trials = path / "trials"
        self.checkpoints = path / "checkpoints"
        self.lock = path / "engine.lock"
        self.best_checkpoint = self.checkpoints / "best.pt"
        # of a study's run: written around it by ``asha-study``
        self.config = path / "config.yaml"
        self.outcome = path / "outcome.json"
        self.output = (path / "stdout.log", path / "stderr.log")

    @property
    def begun(self) -> bool:
        """Whether a search has begun here."""
        return self.manifest.exists()

    @property
    def used(self) -> bool:
        """Whether trials have left something here, or a search has ended."""
        rooms = (self.trials, self.checkpoints)
        return self.results.exists() or any(room.is_dir() and any(room.iterdir()) for room in rooms)

    def check(self) -> None:
        """Raise ``ResultsError`` if the directory is used already or cannot be written; makes nothing."""
        try:
            self._check()
        except OSError as error:
            raise ResultsError(f"results directory {self.path} cannot be used: {error.strerror}") from None

    def _check(self) -> None:
        if self.path.exists():
            if not self.path.is_dir():
                raise ResultsError(f"results directory {self.path} is a file: name a new directory")
            if self.begun:
                raise ResultsError(
                    f"results directory {self.path} holds a search: go on with it with --resume, or name a "
                    "new one with --results-dir"
                )
            if any(not self._ours(entry) for entry in self.path.iterdir()):
                raise ResultsError(
                    f"results directory {self.path} is not empty: name a new one with --results-dir, "
                    "or remove it"
                )
        parent = self.path.absolute()
        while not parent.exists():
            parent = parent.parent
        if not parent.is_dir():
            raise ResultsError(f"results directory {self.path}: {parent} is not a directory")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise ResultsError(f"results directory {self.path} cannot be made: {parent} is not writable")

    def _ours(self, entry: Path) -> bool:
        """Whether it is what an engine makes before a search begins, and leaves if it is killed there."""
        if entry in (self.trials, self.checkpoints):
            return entry.is_dir() and not any(entry.iterdir())
        return entry in (self.lock, self.manifest.with_name("run.json.tmp"), *self._of_a_study)

    @property
    def _of_a_study(self) -> tuple[Path, ...]:
        return (self.config, self.outcome, *self.output)

    def take_back(self, *, itself: bool) -> None:
        """Remove what an engine made here, but not what is a study's.

        Args:
            itself: the directory, too, if nothing is left in it.
        """
        with suppress(OSError):
            for entry in list(self.path.iterdir()):
                if entry in self._of_a_study:
                    continue
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)
            if itself:
                self.path.rmdir()

    def create(self) -> None:
        """Make the directory and its rooms, for a new search."""
        self.check()
        self.make_rooms()

    def make_rooms(self) -> None:
        """Make what is missing of the directory and its rooms."""
        try:
            self.trials.mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            raise ResultsError(f"results directory {self.path} cannot be made: {error.strerror}") from None

    def trial_log(self, trial: int) -> Path:
        """Where a trial's output goes."""
        return self.trials / str(trial) / "log.txt"

    def trial_checkpoint(self, trial: int, kind: str = "last") -> Path:
        """Where a trial's checkpoint lies; ``kind`` is "last", "previous" or "best"."""
        return self.checkpoints / f"trial-{trial}-{kind}.pt"


def keep_best(directory: RunDirectory, scheduler: Scheduler) -> dict[str, Any] | None:
    """Copy the best trial's best checkpoint to ``checkpoints/best.pt``.

    Returns:
        Which value it had and after how many units; None if the trial saved none, or went on to save one that
        it could not report any more. A task that does not
        save every unit may have saved another than its best.
    """
    if scheduler.best is None:
        return None
    source = directory.trial_checkpoint(scheduler.best.trial, "best")
    note = read_best_note(source)
    if note is None or note["resource"] > scheduler.trials[scheduler.best.trial].resource:
        return None  # of a unit whose report never arrived
    with open(source, "rb") as best, whole(directory.best_checkpoint) as file:
        shutil.copyfileobj(best, file)
    return note


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def hardware(devices: list[str], names: list[str]) -> dict[str, Any]:
    """What the search runs on. ``names``: the GPUs' product names, if any."""
    return {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "devices": devices,
        "gpus": names,
    }


def commit(checkout: Path = CHECKOUT) -> str | None:
    """The commit of the checkout that this package runs from; None if it is installed, or git cannot tell."""
    if not (checkout / ".git").exists():
        return None
    # without the lock of its index, which somebody who works there would run into
    command = ["git", "--no-optional-locks", "-C", str(checkout)]
    command += ["status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    number = re.search(r"^# branch\.oid ([0-9a-f]+)$", said, re.MULTILINE)
    if number is None:  # there is none yet
        return None
    return number[1] + "-dirty" * any(not line.startswith("#") for line in said.splitlines())


def manifest(**sections: Any) -> dict[str, Any]:
    """The content of run.json: schema, time, command, versions, commit, then ``sections``."""
    created = datetime.now(UTC).isoformat()
    return {
        "schema": 1,
        "created": created,
        "command": sys.argv,
        "versions": versions(),
        "commit": commit(),
        **sections,
    }


def summarise(
    outcome: Outcome,
    scheduler: Scheduler,
    leaderboard: Leaderboard,
    metric: str,
    checkpoint: dict[str, Any] | None,
    count: int = 10,
) -> dict[str, Any]:
    """The content of results.json: how it ended, and the best configurations.

    Args:
        checkpoint: what ``keep_best`` returned. count: how many configurations.
    """
    top = [
        {
            "trial": standing.trial,
            "value": standing.value,
            "resource": standing.resource,
            "reached": standing.reached,
            "configuration": dict(scheduler.trials[standing.trial].configuration),
        }
        for standing in leaderboard.top(count)
    ]
    return {
        "schema": 1,
        "reason": outcome.reason,
        "metric": metric,
        "mode": scheduler.mode,
        "best": top[0] if top else None,
        "best_checkpoint": checkpoint,
        "top": top,
        "trials": outcome.trials,
        "rejected": scheduler.rejected,
        "failed": outcome.failures,
        "units": outcome.units,
        "seconds": outcome.seconds,
        "gpu_hours": outcome.gpu_seconds / 3600,
        "training_seconds": outcome.training_seconds,
        "warm_start_seconds": outcome.warm_start_seconds,
        "scheduler_state": scheduler.state(),
        "rungs": [
            {"level": row.level, "reached": row.reached, "promoted": row.promoted}
            for row in scheduler.counts()
        ],
    }
