"""ASHA, the promotion rule: asynchronous successive halving.

When a slot is free, look from the top rung downwards (below the last). Of the n entries that a rung
has received, *promoted ones included*, the best of the top floor(n/eta) that was not promoted yet
goes up. If no rung has one, a new configuration starts at the bottom. Running trials do not count
until they report.

Source: Li, Jamieson, Rostamizadeh, Gonina, Ben-tzur, Hardt, Recht, Talwalkar 2020, "A System for
Massively Parallel Hyperparameter Tuning", arXiv:1810.05934, algorithm 2.

Peers mean other things by the name: Ray Tune's ``ASHAScheduler`` is the *stopping* rule (a trial
that is not among the best so far is stopped for good, nothing is ever resumed); Optuna's
``SuccessiveHalvingPruner`` stops as well, and lets max(floor(n/eta), 1) through.
"""

from __future__ import annotations

from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.rung import Rung
from asha_core.schedulers.state import TrialState


class ASHA(Scheduler):
    """Promotion ASHA; see the module for the rule and ``Scheduler`` for the arguments.

    >>> from asha_core import ASHA, Float, Report, SearchSpace
    >>> scheduler = ASHA(SearchSpace({"x": Float(0, 1)}), max_resource=9, max_trials=3)
    >>> for value in (0.1, 0.3, 0.2):
    ...     job = scheduler.ask()
    ...     verdict = scheduler.tell(Report(job.trial, job.attempt, job.until, value, seconds=1.0))
    >>> job = scheduler.ask()
    >>> job.trial, job.start, job.until
    (1, 1, 3)
    """

    name = "asha"

    def begin(self) -> None:
        """One rung a level."""
        # the last rung compares nobody: its trials are done
        self._rungs = [Rung(level, self.reduction_factor) for level in self.levels]
        self._highest = len(self._rungs) - 1  # nobody is promoted from here

    def promotable(self) -> TrialState | None:
        """The best that was not promoted yet, of the highest rung that has one."""
        for rung in range(self._highest - 1, -1, -1):
            number = self._rungs[rung].promotable()
            if number is not None:
                return self.trials[number]
        return None

    def promote(self, trial: TrialState) -> None:
        """It keeps its place in the rung."""
        self._rungs[trial.rung].promote()

    def arrived(self, trial: TrialState, loss: float) -> None:
        """It is an entry of its rung."""
        self._rungs[trial.rung].add(trial.id, loss, again=trial.retried)
