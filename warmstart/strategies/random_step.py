"""A random step: the control that costs nothing and knows nothing."""

from __future__ import annotations

import math

from asha_core.arguments import number
from asha_core.space import Configuration
from asha_core.streams import uniforms
from warmstart.base import Outcome, Problem
from warmstart.moves import movable, move, step_taken


class RandomStep:
    """Adds Gaussian noise to every real dimension, in search coordinates, clamped to the space.

    Args:
        sigma: standard deviation; above 0.
    """

    name = "random"
    needs_losses = False

    def __init__(self, sigma: float = 0.01) -> None:
        self.sigma = number("sigma", sigma, above=0)

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The configuration after one random step."""
        names = list(movable(problem.space, configuration))
        draws = normals(seed, "random-step", len(names))
        step = {name: self.sigma * draw for name, draw in zip(names, draws, strict=True)}
        refined = move(problem.space, configuration, step)
        diagnostics = {"strategy": self.name, "step": step_taken(problem.space, configuration, refined)}
        return Outcome(refined, diagnostics)


def normals(seed: int, name: str, count: int) -> list[float]:
    """Standard normal numbers of the stream (seed, name), by Box and Muller."""
    draws = uniforms(seed, name, 0, 2 * count)
    return [
        math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v)  # 1 - u is never 0
        for u, v in zip(draws[::2], draws[1::2], strict=True)
    ]
