"""The checkpoint budget: what all checkpoints of a search may take, and who deletes what is beyond it.

The engine deletes, workers do not: it alone knows who may still be promoted. Files of running trials are left
alone, so a budget that is smaller than what these need is exceeded, and that is said once.
"""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from typing import ClassVar

from asha_core.messages import Failed, Finished, Job, Lost, Rejected, Report
from asha_core.runtime.executor import ExecutorEvent, Notice
from asha_core.runtime.observers import Observer, SearchView
from asha_core.runtime.storage.run_directory import RunDirectory
from asha_core.runtime.units import counted, format_bytes
from asha_core.schedulers.retention import KINDS, Retention, Stock

_SECONDS = 60.0  # between lines on what was deleted


class CheckpointPruner(Observer):
    """Deletes checkpoints, the least needed first, while all together are larger than the budget.

    Args:
        directory: the run's.
        budget: bytes.

    Sizes are those of the files, counted by inode: a best checkpoint that is a hard link to the last one
    takes nothing. What is being written, under a temporary name, is not counted, nor is ``best.pt``, the
    copy that is made when a search ends.
    """

    replays: ClassVar[bool] = True

    def __init__(self, directory: RunDirectory, budget: int) -> None:
        self.budget = budget
        self._directory = directory
        self._made: tuple[Retention, Stock] | None = None
        self._started = False
        self._deleted: set[int] = set()  # trials that have none left, since the last line
        self._freed = 0
        self._reported_at = -math.inf
        self._warned = False
        self._error = ""

    @property
    def total(self) -> int:
        """Bytes of all checkpoints."""
        return 0 if self._made is None else self._made[1].total

    def on_start(self, view: SearchView) -> None:
        """Take stock of what lies there, from an earlier session."""
        self._started = True
        _, stock = self._retention_and_stock(view)
        try:
            names = [entry.name for entry in os.scandir(self._directory.checkpoints)]
        except FileNotFoundError:
            names = []
        for name in names:
            if name.endswith(".pt.tmp"):  # left by a worker that was killed: nobody writes it now
                (self._directory.checkpoints / name).unlink(missing_ok=True)
        matches = (re.fullmatch(r"trial-(\d+)-\w+\.pt", name) for name in names)
        known = len(view.scheduler.trials)
        for trial in sorted({int(match[1]) for match in matches if match is not None}):
            if trial < known:
                self._update_sizes(stock, trial)
        self._prune(view)

    def on_job(self, view: SearchView, job: Job, slot: int) -> None:
        """The trial runs: what it has is left alone."""
        self._retention_and_stock(view)[0].on_job(job)

    def on_event(self, view: SearchView, event: ExecutorEvent) -> None:
        """Look what the trial has on disk now, and delete what is too much."""
        if not isinstance(event, Report | Finished | Failed | Lost | Rejected):
            return
        retention, stock = self._retention_and_stock(view)
        retention.on_event(event)
        if self._started:
            self._update_sizes(stock, event.trial)
            self._prune(view)

    def on_tick(self, view: SearchView) -> None:
        """Tell what was deleted meanwhile."""
        self._report_deletions(view)

    def _retention_and_stock(self, view: SearchView) -> tuple[Retention, Stock]:
        if self._made is None:
            retention = Retention(view.scheduler)
            self._made = retention, Stock(retention, self.budget)
        return self._made

    def _update_sizes(self, stock: Stock, trial: int) -> None:
        """The trial's files, as they are now."""
        files = {}
        for kind in KINDS:
            with suppress(OSError):  # it is not there
                stat = self._directory.trial_checkpoint(trial, kind).stat()
                files[kind] = stat.st_ino, stat.st_size
        stock.put(trial, files)

    def _prune(self, view: SearchView) -> None:
        _, stock = self._retention_and_stock(view)
        before = stock.total
        for trial, kinds in stock.excess():
            try:
                for kind in kinds:
                    self._delete(trial, kind)
            except OSError as error:
                self._error = f"{error.filename}: {error.strerror}"
                self._update_sizes(stock, trial)
            if not stock.of(trial):
                self._deleted.add(trial)
        self._freed += before - stock.total
        if stock.total > self.budget and not self._warned:
            self._warned = True
            why = self._error or "they are of running trials, or the best of all"
            view.notices.append(
                Notice(
                    f"the checkpoints that cannot be deleted take {format_bytes(stock.total)}, more than the "
                    f"checkpoint budget of {format_bytes(self.budget)} ({why})"
                )
            )
        self._report_deletions(view)

    def _delete(self, trial: int, kind: str) -> None:
        path = self._directory.trial_checkpoint(trial, kind)
        path.unlink(missing_ok=True)
        if kind == "best":
            path.with_suffix(".json").unlink(missing_ok=True)

    def _report_deletions(self, view: SearchView) -> None:
        """A line on what was deleted, at most one a minute."""
        if not self._freed or (view.now < self._reported_at + _SECONDS and not view.ending):
            return
        what = "of checkpoints that are needed least"
        if self._deleted:
            trials = counted(len(self._deleted), "trial")
            what = f"{what}, and {trials} would be trained from the first unit if promoted"
        limit, freed = format_bytes(self.budget), format_bytes(self._freed)
        view.notices.append(Notice(f"checkpoint budget of {limit}: {freed} deleted {what}"))
        self._reported_at, self._freed = view.now, 0
        self._deleted.clear()
