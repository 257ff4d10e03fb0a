"""PASHA: ASHA that spends more on each trial only while it is unclear who is better.

Promotion is ASHA's, but nobody goes beyond the *highest unlocked* rung, at first the second one (r*eta). Each
time a trial reaches that rung, the rankings of its trials there and at the rung below are compared;
where they disagree, the next rung is unlocked, in the end the last. While the ranking is stable nothing
more is unlocked: the search tries more configurations instead of training the best ones for longer.

The comparison is a soft ranking: position i agrees if its trial's loss at the rung below is within
epsilon of the i-th loss there. Epsilon is the 90th percentile of the distances, at the highest unlocked
rung, of pairs of trials whose learning curves crossed and crossed back on the way; it is kept where
there is no such pair, and is 0 at first. It is brought up to date when a trial reaches that rung, before
the comparison, from the trials that have (the 64 latest, and their pairs, where there are more).

A trial that failed on its way, also if it is tried again and comes after all, says nothing about the ranking
and is left out of the comparison (in
ASHA's rule it counts as the worst). A value that is NaN or infinite ranks last, which is a disagreement
unless its trial was the last below, too. Units that were not reported are left out of the curves.

Source: Bohdal, Balles, Wistuba, Ermis, Archambeau, Zappella 2023, "PASHA", arXiv:2207.06940, algorithm 1
and section 4.

How peers differ. The authors' code, Syne Tune's ``PASHA``, takes in the curves of trials that are still on
their way to the highest rung, each pair up to the last unit that both have, and compares at every report,
not only at arrivals. With one worker it has the same epsilon at every arrival; what it does with several is
measured in ``docs/results/pasha-epsilon.md``. It takes all pairs of trials, begins a rung lower, at r, if
there are but two rungs below R, fails with a ``KeyError`` if a unit was not reported, and with an
``IndexError`` if there is one rung.
"""

from __future__ import annotations

import math
from typing import Self

from asha_core.schedulers.asha import ASHA
from asha_core.schedulers.brackets import Bracket
from asha_core.schedulers.soft_ranking import Curve, CurveNoise, SoftRanking
from asha_core.schedulers.state import Status, TrialState
from asha_core.searchers.base import Searcher


class PASHA(ASHA):
    """PASHA; see the module for the rule and ``Scheduler`` for the arguments.

    ``unlocked`` is the level that trials can reach at present, ``epsilon`` the width of the soft ranking, in
    units of the metric.
    """

    name = "pasha"

    def begin(self) -> None:
        """As ASHA, with two rungs unlocked."""
        super().begin()
        self._highest = min(1, len(self.levels) - 1)
        self.epsilon = 0.0
        self._ranking, self._noise = SoftRanking(), CurveNoise()
        self._curves: dict[int, Curve] = {}
        self.observes = not self._complete

    @property
    def unlocked(self) -> int:
        """The resource of the highest unlocked rung."""
        return self.levels[self._highest]

    @property
    def _complete(self) -> bool:
        return self._highest == len(self.levels) - 1

    def observed(self, trial: TrialState, resource: int, loss: float) -> None:
        """The trial's curve goes on."""
        curve = self._curves.get(trial.id)
        if curve is None:
            curve = self._curves[trial.id] = Curve()
        curve.append(resource, loss)

    def arrived(self, trial: TrialState, loss: float) -> None:
        """As ASHA; at the highest unlocked rung rankings are compared."""
        super().arrived(trial, loss)
        if trial.status == Status.FAILED:
            self._curves.pop(trial.id, None)
        elif trial.rung == self._highest and not self._complete and not trial.retried:
            self._compare(trial, loss)

    def _compare(self, trial: TrialState, loss: float) -> None:
        curve = self._curves[trial.id]
        below = curve.at(self.levels[self._highest - 1])
        self._noise.add(curve)
        epsilon = self._noise.percentile()
        if epsilon is not None:
            self.epsilon = epsilon
        self._ranking.add(below, loss if math.isfinite(loss) else math.inf)
        if not self._ranking.agrees(self.epsilon):
            self._unlock()

    def _unlock(self) -> None:
        self._highest += 1
        self._ranking, self._noise = SoftRanking(), CurveNoise()
        if self._complete:  # nothing is compared any more
            self.observes = False
            self._curves.clear()

    def state(self) -> dict[str, int | float]:
        """The highest unlocked level, and the width of the soft ranking."""
        return {"unlocked": self.unlocked, "epsilon": self.epsilon}

    def rehearsal(self, trials: int | None, searcher: Searcher, *, longest: bool = False) -> Self:
        """On the rungs that are unlocked, or on all of them; on its way nothing more is unlocked."""
        twin = super().rehearsal(trials, searcher)
        if not longest:
            twin.levels = self.levels[: self._highest + 1]
            twin._set_out()
        twin._highest, twin.observes = len(twin.levels) - 1, False
        return twin

    def brackets(self, trials: int) -> list[Bracket]:
        """What ``trials`` configurations are expected to cost if nothing more is unlocked."""
        return [Bracket(self.levels[: self._highest + 1], trials)]

    def largest_brackets(self, trials: int) -> list[Bracket]:
        """The same if every rung is unlocked."""
        return [Bracket(self.levels, trials)]
