"""No warm start: the baseline."""

from __future__ import annotations

from asha_core.space import Configuration
from warmstart.base import Outcome, Problem


class NoWarmStart:
    """Leaves every configuration as it is."""

    name = "none"
    needs_losses = False

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The same configuration."""
        return Outcome(configuration, {"strategy": self.name, "step": {}})
