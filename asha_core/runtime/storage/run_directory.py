"""The results directory: who writes what where.

run.json             the manifest: resolved settings, versions, hardware, seeds (before the search)
journal.jsonl        every job and event (during)
results.json         best configurations, counts, time (after)
test.json            the chosen configuration on test data, once (``asha-test``)
trials/<id>/log.txt  what the trial printed, and its traceback if it failed
workers/<slot>.log   what a worker printed beside, and why the task cannot be set up there
checkpoints/         last, previous and best state of each trial; best.pt is the best of all
engine.lock          which process searches here; its lock ends with it
"""

from __future__ import annotations

import itertools
import os
import shutil
from contextlib import suppress
from pathlib import Path

from asha_core.errors import ResultsError
from asha_core.runtime.storage.json_files import read_optional_json


class RunDirectory:
    """The paths of one run.

    Args:
        path: the directory; ``create`` makes it.
        numbered: where the path is taken, one with a number after it is meant; ``claimed`` finds it.
    """

    def __init__(self, path: Path, *, numbered: bool = False) -> None:
        self.path = path
        self.numbered = numbered
        self.manifest = path / "run.json"
        self.journal = path / "journal.jsonl"
        self.results = path / "results.json"
        self.test = path / "test.json"
        self.trials = path / "trials"
        self.checkpoints = path / "checkpoints"
        self.workers = path / "workers"
        self.lock = path / "engine.lock"
        self.best_checkpoint = self.checkpoints / "best.pt"
        # of a study's run: written around it by ``asha-study``
        self.config = path / "config.yaml"
        self.outcome = path / "outcome.json"
        self.output = (path / "stdout.log", path / "stderr.log")

    def seen_from(self, folder: Path) -> RunDirectory:
        """The same one, by a path that does not begin where the process happens to be, but at ``folder``."""
        return RunDirectory(folder / self.path, numbered=self.numbered)

    @property
    def begun(self) -> bool:
        """Whether a search has begun here."""
        return self.manifest.exists()

    @property
    def by_script(self) -> bool:
        """Whether a script began a search here: it has no options from which ``asha-run`` could go on."""
        return read_optional_json(self.manifest).get("settings") == {}

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
        if self.path.exists() and not self.numbered:
            if not self.path.is_dir():
                raise ResultsError(f"results directory {self.path} is a file: name a new directory")
            if self.begun:
                how = "by tune(..., resume=True)" if self.by_script else "with --resume"
                raise ResultsError(
                    f"results directory {self.path} holds a search: go on with it {how}, or name a new one "
                    "with --results-dir"
                )
            if any(not self._ours(entry) for entry in self.path.iterdir()):
                raise ResultsError(
                    f"results directory {self.path} is not empty: name a new one with --results-dir, "
                    "or remove it"
                )
        parent, missing = self.path.absolute(), list[str]()
        while not parent.exists():
            missing.append(parent.name)
            parent = parent.parent
        for name in missing:
            with suppress(FileNotFoundError, NotADirectoryError):
                os.lstat(parent / name)  # says where the file system knows no such names
        if not parent.is_dir():
            raise ResultsError(f"results directory {self.path}: {parent} is not a directory")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise ResultsError(f"results directory {self.path} cannot be made: {parent} is not writable")

    def _ours(self, entry: Path) -> bool:
        """Whether it is what an engine makes before a search begins, and leaves if it is killed there."""
        if entry in (self.trials, self.checkpoints):
            return entry.is_dir() and not any(entry.iterdir())
        if entry == self.workers:  # what the workers said of a search that could not begin
            return entry.is_dir() and all(each.suffix == ".log" for each in entry.iterdir())
        return entry in (self.lock, self.manifest.with_name("run.json.tmp"), *self._of_a_study)

    @property
    def _of_a_study(self) -> tuple[Path, ...]:
        return (self.config, self.outcome, *self.output)

    def take_back(self, *, itself: bool) -> None:
        """Remove what an engine made here, but not what is a study's, nor what workers have said.

        Args:
            itself: the directory, too, if nothing is left in it.
        """
        with suppress(OSError):
            for entry in list(self.path.iterdir()):
                if entry in self._of_a_study:
                    continue
                if entry == self.workers and any(log.stat().st_size for log in entry.iterdir()):
                    itself = False
                elif entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)
            if itself:
                self.path.rmdir()

    def create(self) -> None:
        """Make the directory and its rooms, for a new search."""
        self.check()
        self.make_rooms()

    def claimed(self) -> RunDirectory:
        """The directory, made; of a numbered one the first whose name is free.

        Making it is what claims a name: of two searches that choose the same one, the second finds it taken.
        """
        if not self.numbered:
            self.make_rooms()
            return self
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            directory = RunDirectory(_first_made(self.path))
        except OSError as error:
            raise ResultsError(f"results directory {self.path} cannot be made: {error.strerror}") from None
        directory.make_rooms()
        return directory

    def make_rooms(self) -> None:
        """Make what is missing of the directory and its rooms."""
        rooms = (self.checkpoints, self.trials, self.path, *self.path.parents)
        missing = [each for each in rooms if not os.path.lexists(each)]
        try:
            self.trials.mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
        except OSError as error:
            for each in missing:
                with suppress(OSError):
                    each.rmdir()
            raise ResultsError(f"results directory {self.path} cannot be made: {error.strerror}") from None

    def trial_log(self, trial: int) -> Path:
        """Where a trial's output goes."""
        return self.trials / str(trial) / "log.txt"

    def trial_checkpoint(self, trial: int, kind: str = "last") -> Path:
        """Where a trial's checkpoint lies; ``kind`` is "last", "previous" or "best"."""
        return self.checkpoints / f"trial-{trial}-{kind}.pt"


def _first_made(path: Path) -> Path:
    """``path``, or ``path-2``, ``path-3``, ...: the first that is not there yet, made."""
    for number in itertools.count(1):
        made = path if number == 1 else path.with_name(f"{path.name}-{number}")
        with suppress(FileExistsError):
            made.mkdir()
            break
    return made
