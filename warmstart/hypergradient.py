"""One-shot hyper-gradient warm start (OHGW), as the proposal states it.

On one mini-batch, split into a training and a held-out half, take the derivative of the held-out loss
after a virtual optimiser step with respect to the configuration, and move the configuration one step
of eta_h against it, in search coordinates. ``steps`` times, each with fresh samples.

The step is literal, and small: with eta_h = 1e-3 it moves ln(lr) of a sane configuration by some 1e-3,
and that of a diverging one by a great deal. It is measured as it is; better-scaled strategies stand
beside it under their own names.
"""

from __future__ import annotations

import math
from typing import Any

from asha_core.errors import SettingError
from asha_core.space import Configuration
from warmstart.base import Losses, Outcome, Problem, moved, taken
from warmstart.lookahead import HyperGradient as Estimate
from warmstart.lookahead import one_step, unrolled


class HyperGradient:
    """psi <- clamp(psi - eta_h * dL/dpsi), ``steps`` times.

    Args:
        eta_h: step size in search coordinates; at least 0 (0: measure, change nothing).
        steps: hyper-gradient steps, each on a fresh mini-batch; at least 1.
        lookahead: virtual optimiser steps H behind each of them. None: 1, or 2 where heavy-ball momentum
            is used (its derivative is exactly 0 at H = 1).
    """

    name = "hypergradient"
    needs_losses = True

    def __init__(self, eta_h: float = 1e-3, steps: int = 1, lookahead: int | None = None) -> None:
        if not (eta_h >= 0 and math.isfinite(eta_h)):
            raise SettingError(f"eta_h is {eta_h!r}: it must be a finite number of at least 0")
        if steps < 1:
            raise SettingError(f"steps is {steps!r}: it must be at least 1")
        if lookahead is not None and lookahead < 1:
            raise SettingError(f"lookahead is {lookahead!r}: it must be at least 1")
        self.eta_h = eta_h
        self.steps = steps
        self.lookahead = lookahead

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The configuration after the hyper-gradient steps; unchanged from a non-finite gradient on."""
        losses = problem.losses(configuration)
        ahead = self.lookahead or _default_lookahead(losses, configuration)
        current, draw = configuration, 0
        gradients: list[dict[str, float]] = []
        diagnostics: dict[str, Any] = {"strategy": self.name, "lookahead": ahead}
        for _ in range(self.steps):
            estimate = self._estimate(losses, problem, current, draw, ahead)
            draw += ahead
            gradients.append(estimate.gradient)
            if not all(map(math.isfinite, (*estimate.gradient.values(), estimate.final))):
                diagnostics["note"] = "non-finite hyper-gradient: no nudge"
                break
            step = {name: -self.eta_h * slope for name, slope in estimate.gradient.items()}
            current = moved(problem.space, current, step)
            diagnostics["heldout_loss"] = estimate.final
        diagnostics["gradient"] = gradients[0] if self.steps == 1 else gradients
        diagnostics["step"] = taken(problem.space, configuration, current)
        return Outcome(current, diagnostics)

    @staticmethod
    def _estimate(
        losses: Losses, problem: Problem, configuration: Configuration, draw: int, ahead: int
    ) -> Estimate:
        train, heldout = losses.batches(draw)
        if ahead == 1:
            return one_step(losses, problem.space, configuration, train, heldout)
        further = [losses.batches(draw + step)[0] for step in range(1, ahead)]
        return unrolled(losses, problem.space, configuration, [train, *further], heldout)


def _default_lookahead(losses: Losses, configuration: Configuration) -> int:
    groups = losses.settings(configuration)
    return 2 if any(group.momentum > 0 and not group.nesterov for group in groups) else 1
