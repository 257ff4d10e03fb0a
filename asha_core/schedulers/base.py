"""The ask/tell contract, and the bookkeeping that every scheduler shares.

    ask() -> Job | None      a free slot asks; None: nothing to run just now
    tell(event) -> Verdict   what happened; what becomes of the trial

A trial's life:

    ask: fresh ──> RUNNING ── Report at job.until, a rung's level ──> PAUSED ── ask: promoted ──> RUNNING
                     │  │                                  └── at max_resource ──> DONE
                     │  ├── Lost, attempts left ──> WAITING ── ask: next attempt ──> RUNNING
                     │  └── Lost, none left; Failed ──> FAILED (its rung counts it as the worst value)
                     └── Rejected by the warm start; Failed(kind="invalid") ──> REJECTED (counted nowhere)

Rules that hold for every scheduler:

* Deterministic: the same sequence of ask and tell gives the same jobs and verdicts. An ``ask`` that
  returns None changes nothing, so a journal of jobs and events rebuilds the scheduler exactly.
* Idempotent: a report for a resource already reported, or from an attempt that was given up, changes
  nothing; it is answered with what the trial is doing now.
* Maximising is turned into minimising here, at the boundary. Inside, a *loss* is lower-is-better.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from asha_core.errors import ReportError, SettingError
from asha_core.levels import rung_levels
from asha_core.messages import Event, Failed, Job, Lost, Refined, Rejected, Report, Verdict
from asha_core.searchers.base import Searcher
from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Configuration, SearchSpace
from asha_core.streams import stream_seed


class Status(IntEnum):
    """Where a trial is in its life; see the module's drawing."""

    RUNNING = 0
    WAITING = 1
    PAUSED = 2
    DONE = 3
    FAILED = 4
    REJECTED = 5


class TrialState:
    """What a scheduler knows of one trial. Owned by the scheduler; others only read it."""

    __slots__ = (
        "attempt",
        "configuration",
        "id",
        "refined",
        "resource",
        "rung",
        "seed",
        "start",
        "status",
        "until",
    )

    def __init__(self, trial: int, configuration: Configuration, seed: int, until: int) -> None:
        self.id = trial
        self.configuration = configuration
        self.seed = seed
        self.status = Status.RUNNING
        self.rung = 0  # the rung it is in (paused, done) or trains towards (running, waiting)
        self.start = 0
        self.until = until
        self.attempt = 0
        self.resource = 0  # the last unit reported
        self.refined = False


@dataclass(frozen=True, slots=True)
class RungCounts:
    """How many trials are where, for one rung.

    running: on their way to ``level`` (in a worker, or waiting for one after theirs was lost);
    paused: reached it and wait; promoted: went on from it;
    done: reached it and it is the last; failed: failed on the way to it.
    """

    level: int
    running: int = 0
    paused: int = 0
    promoted: int = 0
    done: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Best:
    """The best value reported so far, by whom, and after how many units."""

    trial: int
    resource: int
    value: float
    configuration: Configuration


_VERDICT_OF = {
    Status.RUNNING: Verdict.CONTINUE,
    Status.WAITING: Verdict.STOP,
    Status.PAUSED: Verdict.PAUSE,
    Status.DONE: Verdict.STOP,
    Status.FAILED: Verdict.STOP,
    Status.REJECTED: Verdict.STOP,
}


def _as_float(report: Report) -> float:
    try:
        if isinstance(report.value, str | bytes):
            raise TypeError
        return float(report.value)
    except (TypeError, ValueError, OverflowError):
        raise ReportError(
            f"trial {report.trial} reported {report.value!r} at resource {report.resource}: report a number"
        ) from None


class Scheduler(ABC):
    """Base of the schedulers: trials, retries, verdicts. Subclasses say who is promoted.

    Args:
        space: the search space.
        mode: "max" if larger values of the metric are better, "min" if smaller.
        min_resource: r, units before the first comparison (peers: ``grace_period``).
        max_resource: R, units of a complete trial (peers: ``max_t``).
        reduction_factor: eta, an integer of at least 2.
        seed: the run's seed; configuration i depends on (seed, i) alone.
        max_trials: how many configurations to start; None: without end. Rejected ones do not count.
        max_retries: how often a job that was lost with its worker is tried again.
        searcher: where configurations come from; random search by default.
    Raises:
        SettingError: an argument out of its range.
    """

    name = "scheduler"

    def __init__(
        self,
        space: SearchSpace,
        *,
        mode: str = "max",
        min_resource: int = 1,
        max_resource: int = 81,
        reduction_factor: int = 3,
        seed: int = 0,
        max_trials: int | None = None,
        max_retries: int = 2,
        searcher: Searcher | None = None,
    ) -> None:
        if mode not in ("max", "min"):
            raise SettingError(f'mode is {mode!r}: it must be "max" or "min"')
        if max_trials is not None and max_trials < 1:
            raise SettingError(f"max_trials is {max_trials}: it must be at least 1")
        if max_retries < 0:
            raise SettingError(f"max_retries is {max_retries}: it must be at least 0")
        self.levels = rung_levels(min_resource, max_resource, reduction_factor)
        self.space = space
        self.mode = mode
        self.reduction_factor = reduction_factor
        self.seed = seed
        self.max_trials = max_trials
        self.max_retries = max_retries
        self.searcher: Searcher = searcher or RandomSearch(space, seed)
        self.trials: list[TrialState] = []
        self.rejected = 0
        self.units = 0  # units of resource reported, each counted once
        self.best: Best | None = None
        self._best_loss = math.inf
        self._sign = -1.0 if mode == "max" else 1.0
        self._lost: deque[TrialState] = deque()
        self._running = [0] * len(self.levels)
        self._failed = [0] * len(self.levels)

        self._begin()

    # -- what a subclass decides ---------------------------------------------------------------

    @abstractmethod
    def _begin(self) -> None:
        """Make the subclass's own state; the arguments are checked and set."""

    @abstractmethod
    def _promotion(self) -> TrialState | None:
        """Choose a paused trial to go on, set its ``rung``, and return it; None changes nothing."""

    @abstractmethod
    def _arrived(self, trial: TrialState, loss: float) -> None:
        """A trial reached (or failed on its way to) ``levels[trial.rung]`` with this loss."""

    @abstractmethod
    def _promoted(self, rung: int) -> int:
        """How many trials went on from this rung."""

    @abstractmethod
    def _entries(self, rung: int) -> int:
        """How many trials entered this rung, failed ones included."""

    # -- ask -----------------------------------------------------------------------------------

    def ask(self) -> Job | None:
        """The next job for a free slot, or None if there is nothing to run just now."""
        if self._lost:
            trial = self._lost.popleft()
            trial.attempt += 1
            trial.start = trial.resource  # units that were reported are not trained again
            self._running[trial.rung] -= 1  # counted while it waited
        else:
            promoted = self._promotion()
            if promoted is not None:
                trial = promoted
                trial.start = trial.until
                trial.until = self.levels[trial.rung]
            elif self.max_trials is None or len(self.trials) - self.rejected < self.max_trials:
                number = len(self.trials)
                seed = stream_seed(self.seed, "trial", number)
                trial = TrialState(number, self.searcher.propose(number), seed, self.levels[0])
                self.trials.append(trial)
            else:
                return None
        trial.status = Status.RUNNING
        self._running[trial.rung] += 1
        refine = trial.start == 0 and not trial.refined
        return Job(trial.id, trial.configuration, trial.start, trial.until, trial.attempt, trial.seed, refine)

    # -- tell ----------------------------------------------------------------------------------

    def tell(self, event: Event) -> Verdict:
        """Take in what happened, and say what becomes of the trial.

        Raises:
            ReportError: the event names an unknown trial, or a report cannot be counted.
        """
        if not 0 <= event.trial < len(self.trials):
            known = f"only trials 0 to {len(self.trials) - 1} were" if self.trials else "no trial was"
            raise ReportError(
                f"{type(event).__name__} for trial {event.trial}: {known} asked for; ask() first"
            )
        trial = self.trials[event.trial]
        if isinstance(event, Report):
            self._tell_report(trial, event)
        elif trial.status == Status.RUNNING:
            if isinstance(event, Refined):
                if trial.resource == 0 and not trial.refined:
                    trial.configuration = event.configuration
                    trial.refined = True
            elif isinstance(event, Rejected):
                self._fail(trial, invalid=True)
            elif event.attempt == trial.attempt:
                if isinstance(event, Failed):
                    self._fail(trial, invalid=event.kind == "invalid")
                elif isinstance(event, Lost):
                    self._lose(trial)
        return _VERDICT_OF[trial.status]

    def _tell_report(self, trial: TrialState, report: Report) -> None:
        resource = report.resource
        if trial.status != Status.RUNNING or report.attempt != trial.attempt:
            return  # late: the trial is paused, over, or given to another worker
        if not isinstance(resource, int) or resource < 1:
            raise ReportError(
                f"trial {trial.id} reported resource {resource!r}: it must be an integer, units count from 1"
            )
        if resource <= trial.resource:
            return  # repeated after a restart from an older checkpoint
        if resource > trial.until:
            raise ReportError(
                f"trial {trial.id} reported resource {resource}, but its job ends at {trial.until}: "
                "stop at `job.until`, or report every unit"
            )
        value = report.value if type(report.value) is float else _as_float(report)
        self.units += resource - trial.resource
        trial.resource = resource
        loss = self._sign * value
        if loss < self._best_loss and math.isfinite(loss):
            self._best_loss = loss
            self.best = Best(trial.id, resource, value, trial.configuration)
        if resource == trial.until:
            self._running[trial.rung] -= 1
            last = trial.rung == len(self.levels) - 1
            trial.status = Status.DONE if last else Status.PAUSED
            self._arrived(trial, loss)

    def _fail(self, trial: TrialState, *, invalid: bool) -> None:
        if invalid and trial.rung == 0:
            self._reject(trial)
            return
        self._running[trial.rung] -= 1
        self._failed[trial.rung] += 1
        trial.status = Status.FAILED
        self._arrived(trial, math.nan)

    def _reject(self, trial: TrialState) -> None:
        self._running[trial.rung] -= 1
        trial.status = Status.REJECTED
        self.rejected += 1

    def _lose(self, trial: TrialState) -> None:
        if trial.attempt >= self.max_retries:
            self._fail(trial, invalid=False)
            return
        trial.status = Status.WAITING
        self._lost.append(trial)

    # -- looking in ----------------------------------------------------------------------------

    @property
    def failures(self) -> int:
        """How many trials failed for good."""
        return sum(self._failed)

    def counts(self) -> Sequence[RungCounts]:
        """One ``RungCounts`` a rung, bottom first; O(rungs)."""
        last = len(self.levels) - 1
        rows = []
        for rung, level in enumerate(self.levels):
            promoted, failed = self._promoted(rung), self._failed[rung]
            reached = self._entries(rung) - failed
            rows.append(
                RungCounts(
                    level,
                    running=self._running[rung],
                    paused=0 if rung == last else reached - promoted,
                    promoted=promoted,
                    done=reached if rung == last else 0,
                    failed=failed,
                )
            )
        return rows
