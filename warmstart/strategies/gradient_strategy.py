"""What all strategies share that measure a hyper-gradient: their common settings, and one measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asha_core.arguments import integer, one_of, true_or_false
from asha_core.space import Configuration, Float, SearchSpace
from warmstart.base import COORDINATES, HELDOUT, WHEN, Batch, Coordinates, Heldout, Outcome, Problem, When
from warmstart.estimates.estimate import estimate
from warmstart.estimates.types import FORMER_ROUTES, ROUTES, Estimate, Route
from warmstart.masks import masked, no_match, optimizer_settings_of, read_mask
from warmstart.moves import move, step_taken
from warmstart.strategies.first_check import Beside, FirstCheck, by_differences, kind_of

BOUNDS = ("clamp", "reflect")


class GradientStrategy:
    """A strategy that measures hyper-gradients.

    Args:
        lookahead: virtual optimiser steps H. None: 1, or 2 where a wanted coordinate acts only from the
            second step on (heavy-ball momentum, Adam's betas).
        heldout: "half" of the mini-batch, "validation" samples, or the "same" ones (which is biased).
        mask: the dimensions that may be moved: names, or the optimiser settings that they move ("lr",
            "momentum", "weight_decay", "beta1", ...). None: all real ones.
        coordinates: "search" (log10 of a logarithmic dimension) or "unit" (the unit cube).
        route: how the hyper-gradient is had; "differences" works with any optimiser.
        bounds: "clamp" to the space's bounds, or "reflect" from them.
        when: "begin": before a trial's first unit; "promotion": each time that it is promoted, from its
            checkpoint; or "both".
        check: compare the first hyper-gradient of each kind of problem, in each process, with a difference
            through the real optimiser, and take differences where they disagree (``first_check``).
    """

    needs_losses = True
    sign = 1  # -1: the control that steps the wrong way

    def __init__(
        self,
        *,
        lookahead: int | None,
        heldout: Heldout,
        mask: Sequence[str] | str | None,
        coordinates: Coordinates,
        route: Route,
        bounds: str,
        check: bool,
        when: When,
    ) -> None:
        one_of("heldout", heldout, HELDOUT)
        one_of("coordinates", coordinates, COORDINATES)
        if isinstance(route, str):
            route = FORMER_ROUTES.get(route, route)
        one_of("route", route, ROUTES)
        self.lookahead = None if lookahead is None else integer("lookahead", lookahead, 1)
        self.heldout: Heldout = heldout
        self.mask = None if mask is None else read_mask(mask)
        self.coordinates: Coordinates = coordinates
        self.route: Route = route
        self.bounds = one_of("bounds", bounds, BOUNDS)
        self.check = true_or_false("check", check)
        one_of("when", when, WHEN)
        self.when: When = when

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The configuration after the strategy's steps."""
        raise NotImplementedError

    def scale(self, space: SearchSpace, name: str) -> float:
        """Search coordinates in one unit of the strategy's coordinates."""
        if self.coordinates == "search":
            return 1.0
        dimension = space[name]
        assert isinstance(dimension, Float)
        low, high = dimension.search_bounds
        return high - low


class Measurements:
    """The measurements that one refinement makes, and what is told about them."""

    def __init__(self, strategy: GradientStrategy, problem: Problem, configuration: Configuration) -> None:
        self._strategy = strategy
        self.space = problem.space
        self._before = configuration
        self.losses = problem.losses(configuration)
        self.settings = settings = optimizer_settings_of(self.losses, problem.space, configuration)
        self.names = masked(strategy.mask, problem.space, configuration, settings)
        # the closed form looks one step ahead, and no further
        late = strategy.route != "closed" and settings and any(map(settings.acts_late, self.names))
        self.lookahead = strategy.lookahead or (2 if late else 1)
        self._draw = 0
        self.gradients: list[dict[str, float]] = []
        self.non_finite = 0
        self._last: Estimate | None = None
        self._check = self._first_check()

    def _first_check(self) -> FirstCheck | None:
        """None: nothing is to be checked."""
        strategy, losses = self._strategy, self.losses
        if not strategy.check or strategy.route == "differences" or losses.network is None or not self.names:
            return None
        beside = Beside(losses, self.space, self.names, self.settings, strategy.route)
        return FirstCheck(beside, kind_of(losses, self.settings, strategy.route, self.lookahead, self.names))

    def measure(self, configuration: Configuration) -> Estimate:
        """One hyper-gradient, on samples that no other one has seen; in search coordinates."""
        trains, heldout = self.losses.samples(self._draw, self.lookahead, self._strategy.heldout)
        self._draw += self.lookahead
        found = self._estimated(configuration, trains, heldout)
        self.gradients.append(found.gradient)
        self.non_finite += not found.finite
        self._last = found
        return found

    def _estimated(self, configuration: Configuration, trains: Sequence[Batch], heldout: Batch) -> Estimate:
        steps = self.losses, self.space, configuration, trains, heldout
        check = self._check
        if check is None or check.reason is None:
            settings = self.settings if configuration is self._before else None
            found = estimate(*steps, route=self._strategy.route, only=self.names, settings=settings)
            if check is not None:
                check.look(found, configuration, trains, heldout)
        if check is not None and check.reason is not None:
            found = by_differences(*steps, self.names, check.reason)
        return found

    def move(self, configuration: Configuration, step: dict[str, float]) -> Configuration:
        """The configuration after a step in the strategy's coordinates."""
        strategy = self._strategy
        return move(
            self.space,
            configuration,
            {name: strategy.sign * change for name, change in step.items()},
            coordinates=strategy.coordinates,
            reflect=strategy.bounds == "reflect",
        )

    def diagnostics(self, name: str, after: Configuration) -> dict[str, Any]:
        """What the journal keeps of it."""
        diagnostics: dict[str, Any] = {
            "strategy": name,
            "lookahead": self.lookahead,
            "gradient": self.gradients if len(self.gradients) > 1 else (self.gradients or [{}])[0],
            "step": step_taken(self.space, self._before, after),
        }
        if not self.names:
            diagnostics |= no_match(self._strategy.mask, self.space, self._before)
        if self._last is not None:
            diagnostics |= {"route": self._last.route, "heldout_loss": self._last.final}
            if self._last.fallback is not None:
                diagnostics["fallback"] = self._last.fallback
            if self._last.ignored:
                diagnostics["ignored"] = list(self._last.ignored)
        if self._check is not None and self._check.record is not None:
            diagnostics["check"] = self._check.record
        if self.non_finite:
            diagnostics["non_finite"] = self.non_finite
            back = "no nudge" if after == self._before else "back by one step"
            diagnostics["note"] = f"non-finite hyper-gradient: {back}"
        return diagnostics
