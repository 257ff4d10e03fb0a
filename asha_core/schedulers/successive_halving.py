"""Synchronous successive halving: n configurations, and floor(n/eta^k) of them k rungs further up.

All trials of a rung report or fail before the best of them go on; the others are stopped. How many go on is
counted from n: a rung that trials with NaN did not fill makes none above it smaller. The decisions are the
best that can be had at each rung, and the slots wait for stragglers: the same ladder as ``asha``, without its
haste.

Source: Jamieson and Talwalkar 2016, arXiv:1502.07943; as algorithm 1 in Li et al. 2020, arXiv:1810.05934.

How peers differ. Optuna's ``SuccessiveHalvingPruner`` is asynchronous, and a stopping rule. In scikit-learn's
``HalvingRandomSearchCV`` the last rung may lie below R; here it is always R.
"""

from __future__ import annotations

from typing import Any, Self

from asha_core.arguments import integer
from asha_core.schedulers.synchronous import SynchronousScheduler
from asha_core.searchers.base import Searcher


class SuccessiveHalving(SynchronousScheduler):
    """Synchronous successive halving; see the module for the rule.

    Args:
        bracket_size: n, configurations of a bracket. By default ``max_trials``, one bracket for the
            whole search; without a limit eta^(rungs - 1), of which one reaches the last rung, and
            then another bracket.
        others: see ``Scheduler``.
    Raises:
        SettingError: an argument out of its range.
    """

    name = "sh"

    def __init__(self, *args: Any, bracket_size: int | None = None, **others: Any) -> None:
        self._bracket_size = None if bracket_size is None else integer("bracket_size", bracket_size, 1)
        super().__init__(*args, **others)

    @property
    def bracket_size(self) -> int:
        """Configurations of a bracket."""
        return self._bracket_size or self.trial_limit or self.whole_bracket

    def rehearsal(self, trials: int | None, searcher: Searcher, *, longest: bool = False) -> Self:
        """Brackets of the same size, whatever number of trials is tried out."""
        twin = super().rehearsal(trials, searcher, longest=longest)
        twin._bracket_size = self.bracket_size
        return twin

    def describe(self) -> dict[str, Any]:
        """The resolved settings, JSON-able, for a run's manifest."""
        return {**super().describe(), "bracket_size": self.bracket_size}

    def _shape(self, index: int) -> tuple[int, int]:
        return 0, self.bracket_size
