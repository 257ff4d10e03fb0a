"""A random step: the control that costs nothing and knows nothing."""

from __future__ import annotations

import math

from asha_core.errors import SettingError
from asha_core.space import Configuration
from asha_core.streams import uniforms
from warmstart.base import Outcome, Problem, movable, moved, taken


class RandomStep:
    """Adds Gaussian noise to every real dimension, in search coordinates, clamped to the space.

    Args:
        sigma: standard deviation; above 0.
    """

    name = "random"
    needs_losses = False

    def __init__(self, sigma: float = 0.01) -> None:
        if not (sigma > 0 and math.isfinite(sigma)):
            raise SettingError(f"sigma is {sigma!r}: it must be a number above 0")
        self.sigma = sigma

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The configuration after one random step."""
        names = list(movable(problem.space, configuration))
        draws = uniforms(seed, "random-step", 0, 2 * len(names))
        step = {
            # Box-Muller; 1 - u is never 0
            name: self.sigma * math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v)
            for name, u, v in zip(names, draws[::2], draws[1::2], strict=True)
        }
        refined = moved(problem.space, configuration, step)
        diagnostics = {"strategy": self.name, "step": taken(problem.space, configuration, refined)}
        return Outcome(refined, diagnostics)
