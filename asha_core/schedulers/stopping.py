"""ASHA, the stopping rule: a trial that is not among the best so far when it reaches a rung is over.

On reaching a rung, of the n trials that have reached it (itself and failed ones included), a trial among the
best max(floor(n/eta), 1) goes on; any other is stopped for good, whatever comes later. Nobody waits for
others, and whoever goes on does so at once, so that the checkpoints of running trials are all that is ever
needed; but what was decided early, when few had arrived, is never put right, which the promotion rule
(``asha``) does.

The floor of one is what lets the very first arrival go on, and a new best before eta have arrived:
stopping is for good, so the best trial so far is never stopped.

Source: the rule that Ray Tune's documentation calls ASHA; Li et al. 2020, arXiv:1810.05934, describe
promotion.

How peers differ. Ray Tune's ``AsyncHyperBandScheduler`` compares with an interpolated percentile of the
trials that came *before*. With the same entries and no ties it lets through whom this rule does, and at
times one rank more or two (with eta = 3 the second best of five, where 1/eta of five is one). A NaN is never
below its cutoff, so it runs on; a report beyond a level that is already entered counts at a lower one that
is not. Optuna's ``SuccessiveHalvingPruner`` is this rule, but lets all equals through, and ranks infinities
as numbers. Neither counts NaNs and failed trials in n. Here a rung is a place on the trial's way: a trial
passes each once and in order, and a NaN is stopped.
"""

from __future__ import annotations

from collections import deque

from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.rung import Rung
from asha_core.schedulers.state import Status, TrialState


class StoppingASHA(Scheduler):
    """Stopping ASHA; see the module for the rule and ``Scheduler`` for the arguments.

    A trial that goes on is handed out again at once, as a job to the next rung, before anything new begins.
    """

    name = "asha-stopping"
    stops = True
    survivors = 1

    def begin(self) -> None:
        """One rung a level, but for the last."""
        self._rungs = [Rung(level, self.reduction_factor, least=1) for level in self.levels[:-1]]
        self._onward: deque[TrialState] = deque()

    def promotable(self) -> TrialState | None:
        """Whoever was among the best and arrived first."""
        return self._onward[0] if self._onward else None

    def promote(self, trial: TrialState) -> None:
        """It is under way."""
        self._onward.popleft()

    def goes_on(self, trial: TrialState) -> bool:
        """Whoever is paused was among the best when it arrived."""
        return trial.status == Status.PAUSED

    def arrived(self, trial: TrialState, loss: float) -> None:
        """It goes on, or it is stopped."""
        if trial.rung == len(self._rungs):  # the last rung compares nobody
            return
        among_the_best = self._rungs[trial.rung].add(trial.id, loss, again=trial.retried)
        if trial.status == Status.FAILED:
            return
        if among_the_best:
            self._onward.append(trial)
        else:
            self.stop(trial)

    @property
    def least_trials(self) -> int:
        """With fewer trials than this nobody goes beyond the first rung."""
        return 1
