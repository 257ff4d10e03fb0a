"""BOIL: Bayesian optimisation over configurations and lengths of training at once.

When a slot is free, a new trial begins: a configuration x and a number of units t, those of largest

    log EI(x, t) - log cost(x, t)

EI is the expected improvement of the score of the curve that would be seen on the best score that the model
expects where somebody has been; the score is a sum of the curve's values, weighted with a logistic function
that is fitted with the model; cost is a linear regression of the seconds that were reported. The trial is
trained from 0 to t in one job, and never goes on. Of each curve up to 10 t / R more points are given to the
model, where it is least certain, while the covariance stays well conditioned.

Source: Nguyen, Schulze and Osborne 2020, "Bayesian Optimization for Iterative Learning", arXiv:1909.09593.
They maximise EI / cost; their code (github.com/ntienvu/BOIL) takes the logarithms, which is the same.

What is otherwise here:

* Several trials at once. Those that run are points of the model with the score that is expected of them, so
  that no other slot goes there; what they have reported counts already.
* The first configurations, one more than there are dimensions (3 to 10), are the searcher's, trained to R;
  the authors take 3. And each time one of the searcher's proposals is among the candidates.
* Where the searcher comes to an end (a table, a grid) the candidates are its configurations, each once.
  Elsewhere they are drawn from the stream (seed, "boil", number), and near the best of these and of those
  known.
* t is one of at most 20 levels.
* The model is fitted in a thread beside the search: see ``asha_core.surrogates.boil``.
* A trial that failed, or was screened out, is as bad as the worst from there on.
* The model knows what was proposed: what a warm start makes of it is a part of what is measured.

So configuration i depends on what was reported before, and two searches with one seed meet the same
configurations only in the beginning.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asha_core.arguments import integer, one_of
from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.boil_candidates import Candidate, Candidates
from asha_core.schedulers.state import Status, TrialState
from asha_core.searchers.base import Searcher
from asha_core.space import Configuration, Constant, SearchSpace
from asha_core.surrogates import load
from asha_core.surrogates.known import Known

MOST_LEVELS = 20
MOST_POINTS = 300  # that the model is given; half of them of the best trials, the others of the latest
FIRST_FIT = 3  # arrivals before there is anything to fit
_MOST_RUNNING = 64  # of which the model is told


class BOIL(Scheduler):
    """BOIL; see the module for the rule and ``Scheduler`` for the arguments.

    ``reduction_factor`` has no effect; nobody is trained for less than ``min_resource`` units.

    Args:
        initial_trials: how many configurations are trained in full before the model is asked; None: one more
            than there are dimensions, from 3 to 10.
        cost: "seconds" as reported, as in the paper; or "units", with which a search on one slot depends on
            nothing but its seed and the values.
        settings: as for ``Scheduler``.
    """

    name = "boil"
    stops = True
    learns = True
    observes = True

    def __init__(
        self,
        space: SearchSpace | Mapping[str, Any],
        *,
        initial_trials: int | None = None,
        cost: str = "seconds",
        mode: str = "max",
        min_resource: int = 1,
        max_resource: int = 81,
        reduction_factor: int = 3,
        seed: int = 0,
        max_trials: int | None = None,
        max_retries: int = 2,
        searcher: Searcher | str | None = None,
    ) -> None:
        self.cost = one_of("cost", cost, ("seconds", "units"))
        self.initial_trials = None if initial_trials is None else integer("initial_trials", initial_trials, 1)
        super().__init__(
            space,
            mode=mode,
            min_resource=min_resource,
            max_resource=max_resource,
            reduction_factor=reduction_factor,
            seed=seed,
            max_trials=max_trials,
            max_retries=max_retries,
            searcher=searcher,
        )

    @staticmethod
    def ladder(min_resource: int, max_resource: int, reduction_factor: int) -> tuple[int, ...]:
        """All units from ``min_resource`` to ``max_resource``, or 20 of them, evenly spaced."""
        steps = min(MOST_LEVELS, max_resource - min_resource + 1)
        span = max_resource - min_resource
        return (*(min_resource + span * step // (steps - 1) for step in range(steps - 1)), max_resource)

    def begin(self) -> None:
        """Nothing is known yet."""
        self._model: Any = load("boil", "scheduler boil")(self.levels)
        if self.initial_trials is None:
            dimensions = sum(not isinstance(each, Constant) for each in self.space.values())
            self.initial_trials = min(max(3, dimensions + 1), 10)
        self._candidates: Candidates | None = None  # made with the first trial: the searcher may change
        self._firsts: list[int] = []  # of trial i, the level that it is trained to
        self._x: list[Sequence[float]] = []  # of trial i, as the model sees what was proposed
        self._losses: list[array[float]] = []  # of trial i, after each unit
        self._recalled: tuple[int, Configuration, int] | None = None
        self._running: dict[int, None] = {}
        self._arrived: list[int] = []  # trials, the latest last
        self._ranked: list[tuple[float, int]] = []  # (least loss, trial) of those that have arrived
        self._extra: dict[int, tuple[int, ...]] = {}

    # -- a new trial -----------------------------------------------------------------------------

    def configure(self, number: int) -> Configuration:
        """The searcher's configuration in the beginning, then the best of many candidates."""
        if self._candidates is None:
            self._candidates = Candidates(self.space, self.searcher, self.seed)
        candidates, last = self._candidates, len(self.levels) - 1
        own = candidates.own(number)
        if self._model is None:  # a rehearsal, of what can be spent
            self._note(number, (), last)
            return own.configuration
        if number < max(self.initial_trials or 0, candidates.listed) or not self._arrived:
            chosen, level = own, last
        else:
            self._model.settle(len(self._arrived))
            chosen, level = self._recall(number, candidates) or self._decide(number, candidates)
        candidates.take(chosen)
        self._note(number, chosen.x, level)
        return chosen.configuration

    def _decide(self, number: int, candidates: Candidates) -> tuple[Candidate, int]:
        running = list(self._running)[-_MOST_RUNNING:]
        decision = self._model.decision(
            [*self._known(), *self._under_way(running)],
            [(self._x[trial], self.levels[self._firsts[trial]]) for trial in running],
        )
        best = [self._x[trial] for _, trial in self._ranked[:4]]
        return candidates.best(number, decision, best, [self._x[trial] for trial in running])

    def recall(self, number: int, configuration: Configuration, until: int) -> None:
        """What the journal has was decided then, whatever the model would make of it on this machine."""
        self._recalled = number, configuration, until

    def _recall(self, number: int, candidates: Candidates) -> tuple[Candidate, int] | None:
        if self._recalled is None or self._recalled[0] != number:
            return None
        _, configuration, until = self._recalled
        self._recalled = None
        candidate = candidates.find(configuration)
        if candidate is None or until not in self.levels:
            return None
        return candidate, self.levels.index(until)

    def _note(self, number: int, x: Sequence[float], level: int) -> None:
        self._x.append(x)
        self._firsts.append(level)
        self._losses.append(array("d"))
        self._running[number] = None

    def first_rung(self, number: int) -> int:
        """The level that was chosen with the configuration."""
        return self._firsts[number]

    def promotable(self) -> TrialState | None:
        """Nobody ever is."""
        return None

    def promote(self, trial: TrialState) -> None:
        """Nobody ever is promotable."""

    # -- what is known -----------------------------------------------------------------------------

    def _known(self) -> list[Known]:
        """Of the trials that have arrived the best and the latest, as many as there is room for."""
        chosen: dict[int, Known] = {}
        points = 0
        for trial in self._best_and_latest():
            if trial not in chosen:
                chosen[trial] = self._of(trial)
                points += chosen[trial].points
                if points >= MOST_POINTS:
                    break
        return [chosen[trial] for trial in sorted(chosen)]

    def _best_and_latest(self) -> Iterator[int]:
        for (_, best), latest in zip(self._ranked, reversed(self._arrived), strict=True):
            yield best
            yield latest

    def _under_way(self, running: Sequence[int]) -> list[Known]:
        """What has been seen of those that run."""
        return [self._of(trial) for trial in running if self._losses[trial]]

    def _of(self, trial: int) -> Known:
        state = self.trials[trial]
        seconds = state.seconds if self.cost == "seconds" else 0.0
        timed = state.resource if math.isfinite(seconds) else 0
        return Known(self._x[trial], self._losses[trial], seconds, timed, self._extra.get(trial, ()))

    def observed(self, trial: TrialState, resource: int, loss: float) -> None:
        """Units that were not reported are taken to be like the next one."""
        losses = self._losses[trial.id]
        losses.extend([loss] * (resource - len(losses)))

    def arrived(self, trial: TrialState, loss: float) -> None:
        """It will not go on; the model hears of it, and is fitted, if that is due."""
        if trial.status == Status.PAUSED:
            self.stop(trial)
        self._ends(trial)

    def screened_out(self, trial: TrialState) -> None:
        """As bad as can be: nobody else shall go there."""
        self._ends(trial)

    def awaited(self, trial: TrialState) -> None:
        """What was taken to be bad of it is forgotten."""
        number, losses = trial.id, self._losses[trial.id]
        del self._extra[number]
        self._arrived.remove(number)
        del self._ranked[bisect_left(self._ranked, (_least(losses), number))]
        del losses[trial.resource :]
        self._running[number] = None

    def _ends(self, trial: TrialState) -> None:
        number, losses = trial.id, self._losses[trial.id]
        del self._running[number]
        losses.extend([math.nan] * (trial.until - len(losses)))
        self._extra[number] = self._extra_units(number)
        self._arrived.append(number)
        insort(self._ranked, (_least(losses), number))
        if self._model is not None and len(self._arrived) >= FIRST_FIT:
            self._model.fit(len(self._arrived), self._known())

    def _extra_units(self, trial: int) -> tuple[int, ...]:
        if self._model is None or not self._arrived:
            return ()
        found: tuple[int, ...] = self._model.extra_units(self._known(), self._of(trial))
        return found

    # -- what is expected --------------------------------------------------------------------------

    def rehearsal(self, trials: int | None, searcher: Searcher, *, longest: bool = False) -> BOIL:
        """Without a model: everybody is trained in full, which is the most that can be spent."""
        twin = super().rehearsal(trials, searcher, longest=longest)
        twin._model = None
        return twin

    @property
    def least_trials(self) -> int:
        """Each trial is trained for itself."""
        return 1

    @property
    def whole_bracket(self) -> int:
        """Each trial is trained for itself."""
        return 1

    @property
    def first_rungs(self) -> Sequence[int]:
        """Any level may be the one to which a trial is trained."""
        return range(len(self.levels))

    def describe(self) -> dict[str, Any]:
        """The resolved settings, JSON-able, for a run's manifest."""
        return {**super().describe(), "initial_trials": self.initial_trials, "cost": self.cost}

    def state(self) -> dict[str, int | float]:
        """What the model has been fitted to."""
        return {} if self._model is None else dict(self._model.described())


def _least(losses: Sequence[float]) -> float:
    return min((loss for loss in losses if math.isfinite(loss)), default=math.inf)
