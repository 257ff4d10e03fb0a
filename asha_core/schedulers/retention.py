"""Which checkpoints to do without first, when there is no room for all of them.

The order is that of what can least likely be promoted, and what is least likely missed:

1. the *previous* checkpoint of every trial that does not run: it was for a crash of its worker;
2. all of trials that failed or were rejected, then of those that were stopped, have finished early or are
   done and not among the leaders, the worst first: they train no more;
3. the *best* checkpoint of trials that are not among the leaders, the worst first;
4. all of paused trials, by their relative position in their rung, the last first: (rank + 1) / n, with rank 0
   for the best of n entries. ASHA promotes whoever has a position of at most 1/eta, so whoever could be
   promoted next is dropped after everybody who could not. Of equal positions the lower rung is first,
   which costs less to train again, then the younger trial. The last are those of a closed rung (``sh``,
   ``sync-hyperband``), which are certain to go on, but may be more than any budget has room for;
5. all of leaders that are done, the worst first.

Never dropped: anything of a trial that runs, or whose worker was lost, or that goes on at once
(``asha-stopping``), of which there are no more than workers; and the best checkpoint of the best trial. A
trial whose checkpoints were dropped can be promoted all the same, and is then trained again from its last
kept unit.

An entry costs a binary search, and a shift of the list that it goes into. What is in order is looked for only
when something has to go, among the trials that hold something.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from heapq import nsmallest

from asha_core.messages import Event, Finished, Job, Report, closes
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.state import Status, TrialState

KINDS = ("last", "previous", "best", "unfinished")
LEADERS = 10  # as many as results.json names
ENOUGH = 0.9  # of the budget, once something has to go: so that not every checkpoint is a search for the next

Files = Mapping[
    str, tuple[int, int]
]  # kind: (which bytes, how many); two kinds may be names of the same bytes


class Retention:
    """The order in which a search can do without its checkpoints; see the module.

    Args:
        scheduler: only looked at. It may be ahead of the jobs and events that are told here, as it is when
            they are those of a search that is resumed.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._rung_at = {level: rung for rung, level in enumerate(scheduler.levels)}
        self._running: dict[int, Job] = {}
        self._rungs: dict[tuple[int, int], list[tuple[float, int]]] = {}  # (bracket, rung): (loss, arrival)
        self._entry: dict[int, tuple[int, float, int]] = {}  # trial: its last rung, and its entry there
        self._best: dict[int, float] = {}  # trial: its best loss
        self._seen: dict[int, int] = {}  # trial: the last unit that was counted

    def on_job(self, job: Job) -> None:
        """Take in a job that the scheduler gave out."""
        self._running[job.trial] = job

    def on_event(self, event: Event) -> None:
        """Take in an event that the scheduler was told."""
        job = self._running.get(event.trial)
        if job is None:
            return
        trial = self._scheduler.trials[event.trial]
        if isinstance(event, Report):
            if event.attempt == job.attempt and event.resource > self._seen.get(trial.id, 0):
                self._count(trial, job, event)  # otherwise it is late, or trained again
        elif closes(event, job):
            del self._running[trial.id]
            if isinstance(event, Finished):
                loss = trial.loss if math.isfinite(trial.loss) else math.inf
                self._enter(trial, self._rung_at[job.until], loss)
            # a trial that failed for good did so in its last attempt
            elif trial.status == Status.FAILED and job.attempt == trial.attempt:
                self._enter(trial, trial.rung, math.inf)

    def _count(self, trial: TrialState, job: Job, report: Report) -> None:
        self._seen[trial.id] = report.resource
        value = float(report.value)
        if self._scheduler.mode == "max":
            value = -value
        loss = value if math.isfinite(value) else math.inf
        self._best[trial.id] = min(loss, self._best.get(trial.id, math.inf))
        if report.resource == job.until:
            del self._running[trial.id]
            self._enter(trial, self._rung_at[job.until], loss)

    def _enter(self, trial: TrialState, rung: int, loss: float) -> None:
        entries = self._rungs.setdefault(self._place(trial, rung), [])
        arrival = len(entries)
        insort(entries, (loss, arrival))
        self._entry[trial.id] = rung, loss, arrival

    def _place(self, trial: TrialState, rung: int) -> tuple[int, int]:
        """The trials that a trial is compared with: its bracket and rung."""
        return self._scheduler.bracket_of(trial), rung

    def position(self, trial: TrialState) -> float:
        """(rank + 1) / n of a trial that reached its rung: at most 1; 1 if its value was no finite number."""
        rung, loss, arrival = self._entry.get(trial.id, (0, math.inf, 0))
        if loss == math.inf:
            return 1.0
        entries = self._rungs[self._place(trial, rung)]
        return (bisect_left(entries, (loss, arrival)) + 1) / len(entries)

    def needed(self, trial: TrialState) -> bool:
        """Whether a trial runs, or goes on as soon as there is a worker."""
        if trial.status in (Status.RUNNING, Status.WAITING):
            return True
        return trial.status == Status.PAUSED and not trial.finished and self._scheduler.goes_on(trial)

    def order(self, holders: Iterable[int]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """What to drop, first to last: (trial, which of its ``KINDS``).

        Args:
            holders: the trials that have checkpoints.
        """
        best = None if self._scheduler.best is None else self._scheduler.best.trial
        trials = [self._scheduler.trials[number] for number in holders]
        by_status: dict[Status, list[TrialState]] = {status: [] for status in Status}
        idle = []
        for trial in sorted((each for each in trials if not self.needed(each)), key=self._worst_first):
            idle.append(trial)
            early = trial.finished and trial.status == Status.PAUSED  # it never needs what it saved to go on
            by_status[Status.STOPPED if early else trial.status].append(trial)
            yield trial.id, ("previous",)
        leaders = {
            each.id for each in nsmallest(LEADERS, trials, key=lambda each: (self._loss(each), each.id))
        }
        done = by_status[Status.DONE]
        over = by_status[Status.STOPPED] + [each for each in done if each.id not in leaders]
        gone = by_status[Status.FAILED] + by_status[Status.REJECTED] + sorted(over, key=self._worst_first)
        paused = sorted(by_status[Status.PAUSED], key=self._least_likely_first)
        for trial in gone:
            yield trial.id, _all_but_best(trial.id == best)
        for trial in idle:
            if trial.id not in leaders and trial.id != best:
                yield trial.id, ("best",)
        for trial in paused + [each for each in done if each.id in leaders]:
            yield trial.id, _all_but_best(trial.id == best)

    def _loss(self, trial: TrialState) -> float:
        return self._best.get(trial.id, math.inf)

    def _worst_first(self, trial: TrialState) -> tuple[float, int]:
        """By the loss in its last rung; of equal ones the younger trial first."""
        entry = self._entry.get(trial.id)
        return (-math.inf if entry is None else -entry[1]), -trial.id

    def _least_likely_first(self, trial: TrialState) -> tuple[bool, float, int, int]:
        return self._scheduler.is_due(trial), -self.position(trial), trial.rung, -trial.id


def _all_but_best(is_best: bool) -> tuple[str, ...]:
    return tuple(kind for kind in KINDS if kind != "best") if is_best else KINDS


class Stock:
    """What lies on a disk, and what has to go.

    Args:
        retention: in which order.
        budget: how much there may be.
    """

    def __init__(self, retention: Retention, budget: float) -> None:
        self.budget = budget
        self.total = 0
        self._retention = retention
        self._files: dict[int, Files] = {}

    def put(self, trial: int, files: Files) -> None:
        """The trial has these files now, and no others."""
        self.total += _size(files) - _size(self._files.pop(trial, {}))
        if files:
            self._files[trial] = files

    def of(self, trial: int) -> Files:
        """What the trial has."""
        return self._files.get(trial, {})

    def excess(self) -> Iterator[tuple[int, list[str]]]:
        """What has to go until there is room again: (trial, kinds), taken off the account as it is given."""
        if self.total <= self.budget:
            return
        for trial, kinds in self._retention.order(list(self._files)):
            files = self.of(trial)
            left = {kind: file for kind, file in files.items() if kind not in kinds}
            if _size(left) < _size(files):  # else they are other names of what stays
                self.put(trial, left)
                yield trial, [kind for kind in files if kind not in left]
            if self.total <= ENOUGH * self.budget:
                return


def _size(files: Files) -> int:
    return sum(dict(files.values()).values())
