"""Asynchronous Hyperband: ASHA in several brackets, which differ in where the first comparison is made.

Bracket s begins at floor(R/eta^s) units and promotes by ASHA's rule among its own trials alone. Bracket s_max
begins at the bottom and halves most often; bracket 0 trains to R without any comparison. The bracket of
trial i is drawn from the stream (seed, "bracket", i) with probability proportional to (s_max+1)/(s+1) *
eta^s, so that each bracket is expected to spend about the same: an insurance against early values that
mislead.

When a slot is free, rungs are searched from the top down, at each level the bracket that began lowest first.

Source: Li et al. 2018, "Hyperband", JMLR 18(185), algorithm 1, for brackets and their sizes; Li et al. 2020,
arXiv:1810.05934, section 3.3, for running them asynchronously.

How peers differ. Ray Tune's ``AsyncHyperBandScheduler`` and Optuna's ``HyperbandPruner`` run *stopping*
rules in their brackets, at the levels r*eta^k; ours are floor(R/eta^s), as in the paper. Ray is told the
number of brackets, one by default, and draws a trial's with numpy's global generator, by a softmax of
their numbers of rungs; Optuna draws by a hash of the study's name and the trial's number, in
proportion to Hyperband's sizes. Both count by a floating-point logarithm: with eta = 3 and R = 243*r, or
eta = 10 and R = 1000*r, Optuna has one bracket too few, and all sizes change; Ray has one rung too few,
but it is the one at R, where nobody is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm

from asha_core.schedulers.base import Scheduler
from asha_core.schedulers.brackets import Bracket
from asha_core.schedulers.levels import bracket_levels
from asha_core.schedulers.rung import Rung
from asha_core.schedulers.state import TrialState
from asha_core.streams import uniforms


class Hyperband(Scheduler):
    """Asynchronous Hyperband; see the module for the rule and ``Scheduler`` for the arguments."""

    name = "hyperband"

    @staticmethod
    def ladder(min_resource: int, max_resource: int, reduction_factor: int) -> tuple[int, ...]:
        """The levels at which brackets begin."""
        return bracket_levels(min_resource, max_resource, reduction_factor)

    def begin(self) -> None:
        """One bracket of rungs a level, and how trials are shared out."""
        count, eta = len(self.levels), self.reduction_factor
        # a bracket is named by its first rung: bracket s of the paper begins at rung s_max - s
        self._brackets = [[Rung(level, eta) for level in self.levels[first:]] for first in range(count)]
        whole = lcm(*range(1, count + 1))
        self._weights = [whole // (count - first) * eta ** (count - 1 - first) for first in range(count)]
        # from the top down, and at each level the bracket that began lowest first; nobody leaves the last
        self._search = [
            self._brackets[first][rung - first]
            for rung in range(count - 2, -1, -1)
            for first in range(rung + 1)
        ]

    def first_rung(self, number: int) -> int:
        """Drawn from the trial's own stream."""
        # in integers: a uniform number has 53 bits, and the weights may be larger than any float
        draw = int(uniforms(self.seed, "bracket", number, 1)[0] * 2**53) * sum(self._weights) >> 53
        first = 0
        while draw >= self._weights[first]:
            draw -= self._weights[first]
            first += 1
        return first

    def promotable(self) -> TrialState | None:
        """The best of the first rung that has one, from the top down."""
        for rung in self._search:
            number = rung.promotable()
            if number is not None:
                return self.trials[number]
        return None

    def promote(self, trial: TrialState) -> None:
        """It keeps its place in the rung."""
        self._rung_of(trial).promote()

    def arrived(self, trial: TrialState, loss: float) -> None:
        """It is an entry of the rung of its bracket."""
        self._rung_of(trial).add(trial.id, loss, again=trial.retried)

    def _rung_of(self, trial: TrialState) -> Rung:
        return self._brackets[trial.first][trial.rung - trial.first]

    def brackets(self, trials: int) -> list[Bracket]:
        """How ``trials`` configurations are expected to be spread over brackets."""
        total = sum(self._weights)
        shares = [trials * weight // total for weight in self._weights]
        shares[0] += trials - sum(shares)
        return [Bracket(self.levels[first:], share) for first, share in enumerate(shares) if share]

    @property
    def first_rungs(self) -> Sequence[int]:
        """The rungs at which trials begin: one a bracket."""
        return range(len(self.levels))

    @property
    def units_to_first_promotion(self) -> int:
        """Units of resource until about eta trials have begun in the bracket that begins lowest."""
        units = sum(weight * level for weight, level in zip(self._weights, self.levels, strict=True))
        return int(self.reduction_factor * units // self._weights[0])

    @property
    def whole_bracket(self) -> int:
        """Configurations of which a whole bracket is expected to begin at the lowest rung."""
        own = int(self.reduction_factor ** (len(self.levels) - 1))
        share = sum(self._weights), self._weights[0]
        return int(-(-own * share[0] // share[1]))  # rounded up
