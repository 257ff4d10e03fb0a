"""Rejects what explodes, and draws again, before anything is spent on it.

The configuration that is drawn instead comes from the space's prior, by the trial's own stream, so it
depends on (seed, trial) alone and the configurations of all other trials are what they would have been.
"""

from __future__ import annotations

import math

from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Configuration
from asha_core.streams import stream_seed
from warmstart.base import HELDOUT, Heldout, Outcome, Problem, at_least, one_of
from warmstart.strategies.probe import Probe, check_factor


class Screen:
    """Draw again while the virtual steps explode; of those drawn, the least bad one if all do.

    Args:
        factor: they explode where the held-out loss ends above this many times the initial one, or is not
            finite; above 1.
        limit: configurations to look at, the proposed one included; at least 1.
        lookahead: virtual steps H. heldout: see ``GradientStrategy``.
    """

    name = "screen"
    needs_losses = True

    def __init__(
        self, factor: float = 3.0, limit: int = 10, *, lookahead: int = 1, heldout: Heldout = "half"
    ) -> None:
        check_factor(factor)
        at_least("limit", limit, 1)
        at_least("lookahead", lookahead, 1)
        one_of("heldout", heldout, HELDOUT)
        self.factor, self.limit, self.lookahead = factor, limit, lookahead
        self.heldout: Heldout = heldout

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The first configuration that does not explode."""
        again = RandomSearch(problem.space, stream_seed(seed, "screen"))
        candidate = best = configuration
        ratios: list[float] = []
        for attempt in range(self.limit):
            if attempt:
                candidate = again.propose(attempt - 1)
            losses = problem.losses(candidate)
            ratios.append(Probe(losses, candidate, self.lookahead, self.heldout).ratio(candidate))
            if ratios[-1] < min(ratios[:-1], default=math.inf):
                best = candidate
            if ratios[-1] <= self.factor:
                break
        # all but the one that is kept
        diagnostics = {"strategy": self.name, "step": {}, "rejected": len(ratios) - 1, "ratio": ratios[0]}
        if not ratios[-1] <= self.factor:
            diagnostics["note"] = f"all of {self.limit} configurations explode: the least bad one is kept"
        return Outcome(best, diagnostics)
