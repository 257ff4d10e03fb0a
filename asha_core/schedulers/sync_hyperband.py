"""Synchronous Hyperband: brackets s = s_max ... 0 of successive halving, one after the other, in rounds.

Bracket s begins with ceil((s_max+1)/(s+1) * eta^s) configurations at floor(R/eta^s) units. s_max is the
largest s with R/eta^s >= r, by integer arithmetic. Of n configurations the best floor(n/eta^k) go on to
the k-th rung above, when all trials of the rung below have reported or failed. After bracket 0 comes
bracket s_max again, until the budget or ``max_trials`` ends it.

Source: Li et al. 2018, "Hyperband", JMLR 18(185), algorithm 1; idle slots begin the next bracket, as in
Falkner et al. 2018 (BOHB), arXiv:1807.01774.

How peers differ. HpBandSter, DEHB, NePS and Orion begin with floor((s_max+1)/(s+1)) * eta^s configurations,
as table 1 of the paper has it: 27, 9, 6 where its algorithm 1, and this, have 34, 15, 8. Syne Tune and
Keras Tuner round every rung up: ceil((s_max+1)/(s+1) * eta^(s-k)) go on to the k-th above, in Syne Tune
failed ones, too, where there are too few others. Ray Tune's ``HyperBandScheduler`` and Katib stall a
bracket when one of its trials dies (Ray from the bracket's second rung on, if the others wait for it); here
a failed trial is an entry with the worst value. Ray lets ceil(n/eta) go on, begins with the smallest
bracket, and rounds a floating-point logarithm to the nearest integer: at some R (47 to 80, with eta = 3) it
counts a bracket too many, which has no units, and the sizes are of so many. HpBandSter and others round it
down, and lose one at some R. Optuna's ``HyperbandPruner`` is asynchronous: see ``hyperband``.
"""

from __future__ import annotations

from collections.abc import Sequence

from asha_core.schedulers.levels import bracket_levels, bracket_size
from asha_core.schedulers.synchronous import SynchronousScheduler


class SynchronousHyperband(SynchronousScheduler):
    """Synchronous Hyperband; see the module for the rule and ``Scheduler`` for the arguments."""

    name = "sync-hyperband"

    @staticmethod
    def ladder(min_resource: int, max_resource: int, reduction_factor: int) -> tuple[int, ...]:
        """The levels at which brackets begin."""
        return bracket_levels(min_resource, max_resource, reduction_factor)

    def _shape(self, index: int) -> tuple[int, int]:
        count = len(self.levels)
        first = index % count
        return first, bracket_size(count - 1 - first, count, self.reduction_factor)

    @property
    def _round(self) -> int:
        return len(self.levels)

    @property
    def first_rungs(self) -> Sequence[int]:
        """The rungs at which trials begin: one a bracket."""
        return range(len(self.levels))

    @property
    def whole_bracket(self) -> int:
        """Configurations of one round through all brackets."""
        return sum(self._shape(index)[1] for index in range(len(self.levels)))

    def enough_trials(self, least: int) -> int:
        """Whole rounds, so that no bracket is cut short."""
        return -(-least // self.whole_bracket) * self.whole_bracket
