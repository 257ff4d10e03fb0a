"""The ask/tell contract, and the bookkeeping that every scheduler shares.

    ask() -> Job | None      a free slot asks; None: nothing to run just now
    tell(event) -> Verdict   what happened; what becomes of the trial

A trial's life:

    ask: fresh ──> RUNNING ── Report at job.until, a rung's level ──> PAUSED ── ask: promoted ──> RUNNING
                     │  │                             │             └── it can never go on ──> STOPPED
                     │  │                             ├── not good enough, decided at once ──> STOPPED
                     │  │                             └── at max_resource ──> DONE
                     │  ├── Finished, before job.until ──> PAUSED or DONE, as if it were there
                     │  ├── Lost, retries left; out of memory once ──> WAITING ── ask: again ──> RUNNING
                     │  └── Lost, none left; Failed ──> FAILED (its rung counts it as the worst value)
                     │                                  └── Retried ──> WAITING
                     └── before any report: Rejected; Failed(kind="invalid") ──> REJECTED (counts nowhere)

Rules that hold for every scheduler:

* Deterministic: the same sequence of ask and tell gives the same jobs and verdicts. An ``ask`` that
  returns None changes nothing, so a journal of jobs and events rebuilds the scheduler exactly.
* Idempotent: a report for a resource already reported, or from an attempt that was given up, changes
  nothing; it is answered with what the trial is doing now.
* A trial that has finished needs no job: as soon as it is the next to go on, it goes on, and arrives at the
  next rung with its last value. So no ``ask`` finds it, and nothing is decided otherwise than if its units
  took no time.
* Maximising is turned into minimising here, at the boundary. Inside, a *loss* is lower-is-better.
* The searcher hears of every report that counts, and of every failure, before the rung does.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Self

from asha_core.arguments import instance, integer, one_of, parameters
from asha_core.errors import SettingError, nearest
from asha_core.messages import (
    EARLIER,
    Event,
    Failed,
    Finished,
    Job,
    Lost,
    Refined,
    Rejected,
    Report,
    Retried,
    Verdict,
)
from asha_core.schedulers.attempts import job_ended
from asha_core.schedulers.event_checks import check_finished, check_report, check_trial, value_of
from asha_core.schedulers.expectations import Expectations
from asha_core.schedulers.hook_checks import check_next, check_stopped, levels_of
from asha_core.schedulers.levels import check_levels, rung_levels
from asha_core.schedulers.state import VERDICT_OF, Best, RungCounts, Status, TrialState
from asha_core.schedulers.tally import RungTally
from asha_core.searchers import make_searcher
from asha_core.searchers.base import Searcher, space_and_seed
from asha_core.space import Configuration, SearchSpace
from asha_core.streams import stream_seed

_SEARCHER = (
    "an object of a subclass of asha_core.Searcher, such as RandomSearch(space, seed), or a name such as "
    '"sobol"'
)


class _TakenByInit:
    """What a class takes, for ``help`` and editors, which would show what ``__new__`` takes: anything."""

    def __get__(self, _: object, kind: type[Scheduler]) -> inspect.Signature:
        taken = inspect.signature(kind.__init__)
        return taken.replace(parameters=list(taken.parameters.values())[1:])


class Scheduler(Expectations, ABC):
    """Base of the schedulers: trials, retries, verdicts. Subclasses say who is promoted.

    Args:
        space: the search space; a plain dictionary of dimensions is made into one.
        mode: "max" if larger values of the metric are better, "min" if smaller.
        min_resource: r, units before the first comparison (peers: ``grace_period``).
        max_resource: R, units of a complete trial (peers: ``max_t``).
        reduction_factor: eta, an integer of at least 2.
        seed: the run's seed; configuration i depends on (seed, i) alone.
        max_trials: how many configurations to start; None: without end. Rejected ones do not count.
        max_retries: how often a trial whose worker died or hung is tried again.
        searcher: where configurations come from, or the name of one that comes with the package ("sobol");
            ``usual_searcher`` by default: random search, but for schedulers that say otherwise.
    Raises:
        SettingError: an argument out of its range.
    """

    name = "scheduler"
    _made_with: tuple[Sequence[Any], Mapping[str, Any]]
    rules = 1  # raised where a scheduler's decisions change: a search goes on by those that it was begun with
    stops = False  # whether trials can be stopped at a rung for good
    learns = False  # whether it chooses configurations itself, by what was reported: see ``configure``
    usual_searcher = "random"  # where configurations come from if nobody says it
    refines_promoted = False  # whether a warm start acts again where a trial is promoted; said before ``ask``
    extends = True  # whether a search with a larger max_trials decides alike up to where the smaller one ends

    __signature__ = _TakenByInit()

    def __init_subclass__(cls, **others: Any) -> None:
        """A rule that has ``observed`` is told every unit, unless it says itself whether it observes."""
        super().__init_subclass__(**others)
        if "observed" in vars(cls) and "observes" not in vars(cls):
            cls.observes = True

    def __new__(cls, *arguments: Any, **settings: Any) -> Self:
        """Keep what a scheduler is made with, whatever its kind takes: a rehearsal is made with the same."""
        if cls.__module__.startswith(
            "asha_core."
        ):  # another's class may take what it likes out of **settings
            taken = parameters(cls) or ()
            for name in settings:
                if name not in taken:
                    raise TypeError(f"{cls.__name__} has no setting {name!r}{nearest(name, taken)}")
        scheduler = super().__new__(cls)
        scheduler._made_with = arguments, settings
        return scheduler

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Any],
        *,
        mode: str = "max",
        min_resource: int = 1,
        max_resource: int = 81,
        reduction_factor: int = 3,
        seed: int = 0,
        max_trials: int | None = None,
        max_retries: int = 2,
        searcher: Searcher | str | None = None,
    ) -> None:
        self.space, self.seed = space_and_seed(space, seed)
        self.mode = one_of("mode", mode, ("max", "min"))
        self.max_trials = None if max_trials is None else integer("max_trials", max_trials, 1)
        self.max_retries = integer("max_retries", max_retries, 0)
        if searcher is None:
            searcher = self.usual_searcher
        if isinstance(searcher, str):
            searcher = make_searcher(searcher, self.space, self.seed)
        else:
            instance("searcher", searcher, Searcher, _SEARCHER)
            if getattr(searcher, "space", None) != self.space:
                raise SettingError("the searcher has another space than the scheduler: give both the same")
        least, most, self.reduction_factor = check_levels(min_resource, max_resource, reduction_factor)
        self.levels = levels_of(self, self.ladder(least, most, self.reduction_factor), most)
        self.searcher: Searcher = searcher
        self.searcher.take()
        self._sign = -1.0 if self.mode == "max" else 1.0
        self._set_out()

    def _set_out(self) -> None:
        """Nothing has happened yet; the settings stand."""
        self.trials: list[TrialState] = []
        self.rejected = 0
        self.units = 0  # units of resource reported, each counted once
        self.best: Best | None = None
        self._best_loss = math.inf
        self._lost: deque[TrialState] = deque()
        self._learned: deque[Any] = deque(maxlen=EARLIER)  # by warm starts, as it came in
        self._any_finished = False
        self._tally = RungTally(len(self.levels))
        self.begin()

    # -- what a subclass decides: begin, promotable, promote, arrived; the others may stay as they are

    @staticmethod
    def ladder(min_resource: int, max_resource: int, reduction_factor: int) -> tuple[int, ...]:
        """The levels of the rungs, growing, the last of them ``max_resource``; the arguments are checked."""
        return rung_levels(min_resource, max_resource, reduction_factor)

    @abstractmethod
    def begin(self) -> None:
        """Make the subclass's own state; the settings are checked and set, and no trial has begun."""

    def configure(self, number: int) -> Configuration:
        """The configuration of trial ``number``, which is about to begin; ahead of ``first_rung``."""
        return self.searcher.propose(number)

    def recall(self, number: int, configuration: Configuration, until: int) -> None:
        """Told, when a search is resumed, what its trial ``number`` began as, which is asked for next.

        A rule whose choices take long can make this one, and be resumed in no time.
        """
        if not self.learns:
            self.searcher.recall(number, configuration)

    def first_rung(self, number: int) -> int:
        """The rung at which trial ``number``, which is about to begin, will first be compared."""
        return 0

    @abstractmethod
    def promotable(self) -> TrialState | None:
        """The paused trial that is the next to go on to the next rung; None: a new one begins.

        Changes nothing: asked twice, it says the same.
        """

    @abstractmethod
    def promote(self, trial: TrialState) -> None:
        """Take note that ``promotable()``, which is ``trial``, goes on."""

    @abstractmethod
    def arrived(self, trial: TrialState, loss: float) -> None:
        """A trial reached ``levels[trial.rung]``, or failed on its way there: then ``loss`` is NaN.

        Its status is PAUSED, DONE at the last rung, or FAILED; a paused one may be given to ``stop``. One
        that is ``retried`` was there as failed before.
        """

    def screened_out(self, trial: TrialState) -> None:
        """A trial was screened out on its way to its first rung, and counts nowhere."""

    def awaited(self, trial: TrialState) -> None:
        """A trial that failed on its way to ``levels[trial.rung]`` may arrive there after all."""

    observes = False  # whether ``observed`` is called; True where a subclass has one

    def observed(self, trial: TrialState, resource: int, loss: float) -> None:
        """A unit was reported, or carried on by a trial that has finished; ahead of ``arrived``."""

    def stop(self, trial: TrialState) -> None:
        """For ``arrived``: a paused trial never goes on from its rung. Such a class has ``stops = True``."""
        check_stopped(self, trial)
        trial.status = Status.STOPPED
        self._tally.stopped[trial.rung] += 1

    def rehearsal(self, trials: int | None, searcher: Searcher, *, longest: bool = False) -> Self:
        """A new scheduler with the same settings, on which ``forecast`` tries out what will happen.

        Args:
            trials: its ``max_trials``.
            longest: as in ``largest_brackets``.
        Raises:
            SettingError: it cannot be made a second time with what it was made with.
        """
        # what is not copied: the space; and the search's own searcher, which hears nothing of a rehearsal
        whole = {id(self.space): self.space, id(self.searcher): searcher}
        try:
            arguments, settings = deepcopy(self._made_with, whole)  # of which it may change something
            twin = type(self)(*arguments, **settings)
        except Exception as error:  # whatever a user's kind of scheduler does
            raise SettingError(
                f"{type(self).__name__} cannot be made a second time with what it was made with "
                f"({type(error).__name__}: {error}), and so not be rehearsed: give it no iterators or open "
                "files, and leave its arguments as they are"
            ) from error
        twin.max_trials, twin.searcher, twin.rules = trials, searcher, self.rules
        return twin

    # -- ask -----------------------------------------------------------------------------------

    def ask(self) -> Job | None:
        """The next job for a free slot, or None if there is nothing to run just now.

        Raises:
            SettingError: ``promotable`` gave what cannot go on.
        """
        if self._lost:
            trial = self._lost.popleft()
            trial.attempt += 1
            trial.start = trial.resource  # units that were reported are not trained again
            self._tally.running[trial.rung] -= 1  # counted while it waited
        else:
            promoted = self.promotable()
            if promoted is not None:
                trial = promoted
                self._go_up(trial)
            elif self.may_begin():
                trial = self._fresh(len(self.trials))
            else:
                return None
        trial.status = Status.RUNNING
        self._tally.running[trial.rung] += 1
        self._let_finished_go_on()
        refine = trial.start == trial.entered and not trial.refined
        return Job(
            trial.id,
            trial.configuration,
            trial.start,
            trial.until,
            trial.attempt,
            trial.seed,
            refine,
            trial.alone,
            tuple(self._learned) if refine else (),
        )

    def _go_up(self, trial: TrialState) -> None:
        check_next(self, trial)
        self.promote(trial)
        self._tally.promoted[trial.rung] += 1
        trial.rung += 1
        trial.start = trial.until
        if self.refines_promoted:
            trial.entered, trial.refined = trial.until, False
        trial.until = self.levels[trial.rung]

    def _let_finished_go_on(self) -> None:
        """As long as the next to go on has finished, it is at its next rung at once."""
        while self._any_finished and (trial := self.promotable()) is not None and trial.finished:
            self._go_up(trial)
            self._tally.running[trial.rung] += 1  # for no time
            self._reach(trial)

    def may_begin(self) -> bool:
        """Whether limits allow another configuration."""
        begun = len(self.trials)
        if self.max_trials is not None and begun - self.rejected >= self.max_trials:
            return False
        return self.searcher.size is None or begun < self.searcher.size

    def _fresh(self, number: int) -> TrialState:
        configuration = self.configure(number)  # may raise: nothing has changed yet
        first = self.first_rung(number)
        seed = stream_seed(self.seed, "trial", number)
        trial = TrialState(number, configuration, seed, first, self.levels[first])
        self.trials.append(trial)
        return trial

    # -- tell ----------------------------------------------------------------------------------

    def tell(self, event: Event) -> Verdict:
        """Take in what happened, and say what becomes of the trial.

        Raises:
            ReportError: the event names an unknown trial, or a report cannot be counted.
        """
        check_trial(event, len(self.trials))
        trial = self.trials[event.trial]
        if isinstance(event, Report):
            self._tell_report(trial, event)
        elif isinstance(event, Retried):
            self._retry(trial)
        elif trial.status == Status.RUNNING:
            if isinstance(event, Refined):
                if trial.resource == trial.entered == event.resource and not trial.refined:
                    self._refine(trial, event)
            elif isinstance(event, Finished):
                self._tell_finished(trial, event)
            elif isinstance(event, Rejected) or event.attempt == trial.attempt:
                self._end_job(trial, event)
        self._let_finished_go_on()
        return VERDICT_OF[trial.status]

    def _refine(self, trial: TrialState, event: Refined) -> None:
        if trial.resource:
            trial.before = (*trial.before, (trial.resource, trial.configuration))
        trial.configuration = self.space.restored(event.configuration)
        trial.refined = True
        if (learned := event.diagnostics.get("learned")) is not None:
            self._learned.append(learned)

    def _tell_report(self, trial: TrialState, report: Report) -> None:
        resource = report.resource
        if trial.status != Status.RUNNING or report.attempt != trial.attempt:
            return  # late: the trial is paused, over, or given to another worker
        check_report(report, trial.until)
        if resource <= trial.resource:
            return  # repeated after a restart from an older checkpoint
        value = value_of(report)
        self.units += resource - trial.resource
        trial.resource = resource
        if self.learns:
            trial.seconds += round(report.seconds, 6)  # as the journal has it
        loss = trial.loss = self._sign * value
        self.searcher.observe(trial, resource, loss)
        if loss < self._best_loss and math.isfinite(loss):
            self._best_loss = loss
            self.best = Best(trial.id, resource, value, trial.configuration)
        if self.observes:
            self.observed(trial, resource, loss)
        if resource == trial.until:
            self._reach(trial)

    def _tell_finished(self, trial: TrialState, event: Finished) -> None:
        if event.attempt != trial.attempt:
            return
        check_finished(event, trial.resource, trial.until)
        self._any_finished = trial.finished = True
        if event.resource < trial.until:
            self._reach(trial)

    def _reach(self, trial: TrialState) -> None:
        """The trial is at ``levels[trial.rung]``, with its last loss."""
        rung = trial.rung
        self._tally.running[rung] -= 1
        self._tally.reached[rung] += 1
        self._tally.carried[rung] += trial.resource < trial.until
        trial.status = Status.DONE if rung == len(self.levels) - 1 else Status.PAUSED
        if self.observes and trial.resource < trial.until:
            self.observed(trial, trial.until, trial.loss)
        self.arrived(trial, trial.loss)
        trial.retried = False

    def _end_job(self, trial: TrialState, event: Rejected | Failed | Lost) -> None:
        """The trial's job is over without its last report."""
        trial.finished = False  # that it would have, with that report
        trial.status, trial.faults, trial.alone = job_ended(
            event,
            reached=trial.resource or trial.retried,  # whose failure counts already
            faults=trial.faults,
            alone=trial.alone,
            max_retries=self.max_retries,
        )
        if trial.status == Status.WAITING:
            self._lost.append(trial)
            return
        self._tally.running[trial.rung] -= 1
        self.searcher.observe(trial, trial.resource + 1, math.nan)
        if trial.status == Status.REJECTED:
            self.rejected += 1
            self.screened_out(trial)
        else:
            self._tally.failed[trial.rung] += 1
            self.arrived(trial, math.nan)
            trial.retried = False

    def _retry(self, trial: TrialState) -> None:
        if trial.status != Status.FAILED:
            return
        trial.status, trial.faults, trial.alone, trial.retried = Status.WAITING, 0, False, True
        self._tally.failed[trial.rung] -= 1
        self._tally.running[trial.rung] += 1
        self._lost.append(trial)
        self.awaited(trial)

    # -- looking in ----------------------------------------------------------------------------

    @property
    def failures(self) -> int:
        """How many trials failed for good."""
        return sum(self._tally.failed)

    def counts(self) -> Sequence[RungCounts]:
        """One ``RungCounts`` a rung, bottom first; O(rungs)."""
        return self._tally.counts(self.levels)

    def describe(self) -> dict[str, Any]:
        """The resolved settings, JSON-able, for a run's manifest."""
        return {
            "name": self.name,
            **({"rules": self.rules} if self.rules > 1 else {}),
            "levels": list(self.levels),
            "reduction_factor": self.reduction_factor,
            "brackets": [self.levels[first] for first in self.first_rungs],
            "seed": self.seed,
            "max_trials": self.max_trials,
            "max_retries": self.max_retries,
            "searcher": self.searcher.name,
            **({"searcher_learns": True} if self.searcher.learns or self.learns else {}),
        }

    def go_on_as(self, described: Mapping[str, Any]) -> None:
        """Decide by the rules of the search that ``described`` is of; before the first ``ask``.

        Args:
            described: what ``describe`` said when it was begun, perhaps by an earlier version.
        Raises:
            SettingError: its rules are none that this version knows.
        """
        rules = described.get("rules", 1)
        if type(rules) is not int or not 1 <= rules <= type(self).rules:
            raise SettingError(
                f"the search decides by rules {rules!r} of {self.name}, and this version of asha-core knows "
                f"1 to {type(self).rules}: go on with it in the version that began it"
            )
        self.rules = rules

    def state(self) -> dict[str, int | float]:
        """What the scheduler has settled for itself up to now, by name, for people and for results.json."""
        return {}

    def bracket_of(self, trial: TrialState) -> int:
        """Which trials a trial is compared with at its rungs: those with the same number."""
        return trial.first

    def goes_on(self, trial: TrialState) -> bool:
        """Whether a paused trial is certain to go on, at once: on the worker that it has left."""
        return False

    def is_due(self, trial: TrialState) -> bool:
        """Whether a paused trial is certain to go on when its turn comes; many may be."""
        return False

    @property
    def first_rungs(self) -> Sequence[int]:
        """The rungs at which trials begin: one a bracket."""
        return (0,)
