"""A bounded step in the direction of the hyper-gradient's sign, where the sign can be trusted.

The size of a one-step hyper-gradient says next to nothing about how far to go: it is small for nearly every
sane configuration and huge for one that diverges. Its sign says on which side of the one-step optimum a
configuration lies. So the step has a fixed length in the unit cube, it can be made to wait for a sign that is
significant over several mini-batches, and it shrinks when the sign turns (as in Rprop: Riedmiller and
Braun 1993, "A direct adaptive method for faster backpropagation learning").

The defaults are the best of some thirty settings tried on the digits task
(docs/results/warm-starts-first-study.md): looking three steps ahead tells more of a learning rate than one
step does, and mini-batches are better spent on further steps than on making sure of each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from asha_core.arguments import integer, number
from asha_core.space import Configuration
from warmstart.base import Heldout, Outcome, Problem, When
from warmstart.estimates.types import Route
from warmstart.strategies.gradient_strategy import GradientStrategy, Measurements


class Trust(GradientStrategy):
    """Up to ``steps`` steps of at most ``delta`` of the unit cube, by the sign of the hyper-gradient.

    Args:
        delta: length of a step in each coordinate, as a share of its range; in [0, 1].
        steps: how many; at least 1.
        batches: mini-batches K behind each step; at least 1. With one, every sign is taken.
        threshold: a coordinate moves where its mean gradient exceeds this many standard errors.
        shrink: what ``delta`` is multiplied by in a coordinate whose sign has turned; in (0, 1].
        lookahead, heldout, mask, route, bounds, check, when: see ``GradientStrategy``.
    """

    name = "trust"

    def __init__(
        self,
        delta: float = 0.15,
        steps: int = 4,
        batches: int = 1,
        *,
        threshold: float = 2.0,
        shrink: float = 0.5,
        lookahead: int | None = 3,
        heldout: Heldout = "half",
        mask: Sequence[str] | str | None = ("lr",),
        route: Route = "first-order",
        bounds: str = "clamp",
        check: bool = True,
        when: When = "begin",
    ) -> None:
        super().__init__(
            lookahead=lookahead,
            heldout=heldout,
            mask=mask,
            coordinates="unit",
            route=route,
            bounds=bounds,
            check=check,
            when=when,
        )
        self.delta = number("delta", delta, least=0, most=1)
        self.steps = integer("steps", steps, 1)
        self.batches = integer("batches", batches, 1)
        self.threshold = number("threshold", threshold, least=0)
        self.shrink = number("shrink", shrink, above=0, most=1)

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The configuration after the steps; one with a gradient that is not finite is not kept."""
        measurements = Measurements(self, problem, configuration)
        current = before = configuration
        lengths = dict.fromkeys(measurements.names, self.delta)
        signs: dict[str, float] = {}
        for _ in range(self.steps if measurements.names else 0):
            estimates = [measurements.measure(current) for _ in range(self.batches)]
            if not all(found.finite for found in estimates):
                current = before
                break
            step = {}
            for name in measurements.names:
                sign = self._sign([found.gradient[name] for found in estimates])
                if sign and sign == -signs.get(name, 0.0):
                    lengths[name] *= self.shrink
                if sign:
                    signs[name] = sign
                step[name] = -lengths[name] * sign
            if not any(step.values()):
                break
            before, current = current, measurements.move(current, step)
        return Outcome(current, measurements.diagnostics(self.name, current))

    def _sign(self, slopes: list[float]) -> float:
        """The sign of the mean slope, or 0 where it cannot be told from noise."""
        mean = fmean(slopes)
        error = stdev(slopes) / math.sqrt(len(slopes)) if len(slopes) > 1 else 0.0
        return math.copysign(1.0, mean) if abs(mean) > self.threshold * error and mean else 0.0
