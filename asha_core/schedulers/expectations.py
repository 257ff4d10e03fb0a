"""How far a scheduler can go, and what it expects to spend: for plans, progress and warnings."""

from __future__ import annotations

from collections.abc import Sequence

from asha_core.schedulers.brackets import Bracket, bracket_units
from asha_core.searchers.base import Searcher


class Expectations:
    """The part of ``Scheduler`` that says how far a search will go; subclasses say it for their rule."""

    survivors = 0  # the fewest that go on from a rung that somebody reached
    expectation_is_exact = False  # whether floor(n/eta) of a complete rung go on, if nothing fails

    levels: tuple[int, ...]
    reduction_factor: int
    max_trials: int | None
    searcher: Searcher

    def brackets(self, trials: int) -> list[Bracket]:
        """How ``trials`` configurations are expected to be spread over brackets."""
        return [Bracket(self.levels, trials)]

    def largest_brackets(self, trials: int) -> list[Bracket]:
        """The same where the scheduler decides on its way how far it goes: the most that it may spend."""
        return self.brackets(trials)

    @property
    def trial_limit(self) -> int | None:
        """How many configurations can begin: ``max_trials``, or all that the searcher has; None: no limit."""
        limits = [limit for limit in (self.max_trials, self.searcher.size) if limit is not None]
        return min(limits, default=None)

    @property
    def whole_bracket(self) -> int:
        """Configurations of a whole bracket: floor(n/eta) leaves one of them in the last rung."""
        return int(self.reduction_factor ** (len(self.levels) - 1))

    @property
    def cycle(self) -> int:
        """Configurations after which brackets of the same sizes come again."""
        return 1

    def enough_trials(self, least: int) -> int:
        """A sensible number of configurations where the user gave no limit: at least ``least``."""
        return max(least, self.whole_bracket)

    @property
    def least_trials(self) -> int:
        """With fewer trials than this nobody goes beyond the first rung."""
        return self.reduction_factor

    @property
    def units_to_first_promotion(self) -> int:
        """Units of resource before anybody goes on, if nothing fails."""
        return self.least_trials * self.levels[0]

    def expected_units(self, trials: int) -> int:
        """Units of resource that ``trials`` configurations take if floor(n/eta) go on from each rung.

        Asynchronous rules take more; ``asha_core.schedulers.forecast`` tells how much.
        """
        return self.bracket_units(self.brackets(trials))

    def bracket_units(self, brackets: Sequence[Bracket]) -> int:
        """Units of resource of brackets in which floor(n/eta) go on from each rung."""
        return bracket_units(brackets, self.reduction_factor, self.survivors)
