"""The control that steps the wrong way: if it helps as much, it is not the gradient that helps."""

from __future__ import annotations

from asha_core.space import Configuration
from warmstart.base import Outcome, Problem
from warmstart.strategies.control import Control
from warmstart.strategies.gradient_strategy import GradientStrategy


class Flipped(Control):
    """Another strategy with the sign of its steps reversed."""

    name = "flipped"

    def __init__(self, inner: GradientStrategy) -> None:
        super().__init__(inner)
        inner.sign = -1

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The configuration after the reversed steps."""
        outcome = self.inner.refine(problem, configuration, seed)
        return Outcome(outcome.configuration, {**outcome.diagnostics, "strategy": self.name})
