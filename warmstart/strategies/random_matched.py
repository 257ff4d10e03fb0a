"""A random step of the length that another strategy's step would have had: the control for its size."""

from __future__ import annotations

import math

from asha_core.space import Configuration
from warmstart.base import Outcome, Problem
from warmstart.moves import move, step_taken
from warmstart.strategies.control import Control
from warmstart.strategies.random_step import normals


class RandomMatched(Control):
    """Measures what another strategy would do, and goes as far in a random direction, over its dimensions.

    The length is Euclidean, in the coordinates of that strategy.
    """

    name = "random-matched"

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The configuration after a random step of the same length."""
        outcome = self.inner.refine(problem, configuration, seed)
        # what the strategy has a say in, whether or not it moved
        slopes = outcome.diagnostics["gradient"]
        names = list(slopes[0] if isinstance(slopes, list) else slopes)
        scale = {name: self.inner.scale(problem.space, name) for name in names}
        length = math.hypot(*(outcome.diagnostics["step"][name] / scale[name] for name in names), 0.0)
        direction = normals(seed, "random-matched", len(names))
        size = math.hypot(*direction, 0.0) or 1.0
        step = {n: length * d / size * scale[n] for n, d in zip(names, direction, strict=True)}
        refined = move(problem.space, configuration, step, reflect=self.inner.bounds == "reflect")
        diagnostics = {
            **outcome.diagnostics,
            "strategy": self.name,
            "step": step_taken(problem.space, configuration, refined),
        }
        return Outcome(refined, diagnostics)
