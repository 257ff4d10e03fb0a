"""The control that steps the wrong way: if it helps as much, it is not the gradient that helps."""

from __future__ import annotations

from typing import Any

from asha_core.space import Configuration
from warmstart.base import Outcome, Problem
from warmstart.strategies.measuring import following


class Flipped:
    """Another strategy with the sign of its steps reversed.

    Args:
        of: "hypergradient" or "trust", or any strategy that follows a gradient. settings: of that strategy.
    """

    name = "flipped"
    needs_losses = True

    def __init__(self, of: str = "hypergradient", **settings: Any) -> None:
        self._inner = following(of, settings)
        self._inner.sign = -1

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The configuration after the reversed steps."""
        outcome: Outcome = self._inner.refine(problem, configuration, seed)
        return Outcome(outcome.configuration, {**outcome.diagnostics, "strategy": self.name})
