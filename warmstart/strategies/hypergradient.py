"""One-shot hyper-gradient warm start (OHGW), as the proposal states it.

On one mini-batch, split into a training and a held-out half, take the derivative of the held-out loss
after a virtual optimiser step with respect to the configuration, and move the configuration one step
of eta_h against it. ``steps`` times, each with fresh samples.

The step is literal, and small: with eta_h = 1e-3 it moves ln(lr) of a sane configuration by some 1e-3,
and that of a diverging one by a great deal. It is measured as it is; better-scaled strategies stand
beside it under their own names.
"""

from __future__ import annotations

from collections.abc import Sequence

from asha_core.arguments import integer, number
from asha_core.space import Configuration
from warmstart.base import Coordinates, Heldout, Outcome, Problem, When
from warmstart.estimates.types import Route
from warmstart.strategies.gradient_strategy import GradientStrategy, Measurements


class HyperGradient(GradientStrategy):
    """psi <- psi - eta_h * dL/dpsi inside the space's bounds, ``steps`` times.

    Args:
        eta_h: step size; at least 0 (0: measure, change nothing).
        steps: hyper-gradient steps, each on a fresh mini-batch; at least 1.
        lookahead, heldout, mask, coordinates, route, bounds, check, when: see ``GradientStrategy``.
    """

    name = "hypergradient"

    def __init__(
        self,
        eta_h: float = 1e-3,
        steps: int = 1,
        lookahead: int | None = None,
        *,
        heldout: Heldout = "half",
        mask: Sequence[str] | str | None = None,
        coordinates: Coordinates = "search",
        route: Route = "auto",
        bounds: str = "clamp",
        check: bool = True,
        when: When = "begin",
    ) -> None:
        super().__init__(
            lookahead=lookahead,
            heldout=heldout,
            mask=mask,
            coordinates=coordinates,
            route=route,
            bounds=bounds,
            check=check,
            when=when,
        )
        self.eta_h = number("eta_h", eta_h, least=0)
        self.steps = integer("steps", steps, 1)

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The configuration after the hyper-gradient steps; one whose gradient is not finite is not kept."""
        measurements = Measurements(self, problem, configuration)
        current = before = configuration
        for _ in range(self.steps if measurements.names else 0):
            found = measurements.measure(current)
            if not found.finite:
                current = before
                break
            # the slope by a unit coordinate is the one by a search coordinate times the range
            step = {
                n: -self.eta_h * slope * self.scale(problem.space, n) for n, slope in found.gradient.items()
            }
            before, current = current, measurements.move(current, step)
        return Outcome(current, measurements.diagnostics(self.name, current))
