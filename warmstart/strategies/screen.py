"""Rejects what explodes, and draws again, before anything is spent on it.

The configuration that is drawn instead comes from the space's prior, by the trial's own stream, so it
depends on (seed, trial) alone and the configurations of all other trials are what they would have been.
"""

from __future__ import annotations

import math

from asha_core.searchers.random_search import RandomSearch
from asha_core.space import Configuration
from asha_core.streams import stream_seed
from warmstart.base import Heldout, Outcome, Problem
from warmstart.strategies.explosion import ExplosionStrategy


class Screen(ExplosionStrategy):
    """Draw again while the virtual steps explode; of those drawn, the least bad one if all do.

    Args:
        limit: configurations to look at, the proposed one included; at least 1.
        factor, lookahead, heldout: see ``ExplosionStrategy``.
    """

    name = "screen"

    def __init__(
        self, factor: float = 3.0, limit: int = 10, *, lookahead: int = 1, heldout: Heldout = "half"
    ) -> None:
        super().__init__(factor, limit, lookahead, heldout)

    def refine(self, problem: Problem, configuration: Configuration, seed: int) -> Outcome:
        """The first configuration that does not explode."""
        again = RandomSearch(problem.space, stream_seed(seed, "screen"))
        candidate = best = configuration
        ratios: list[float] = []
        for attempt in range(self.limit):
            if attempt:
                candidate = again.propose(attempt - 1)
            ratios.append(self.probe(problem.losses(candidate), candidate).ratio(candidate))
            if ratios[-1] < min(ratios[:-1], default=math.inf):
                best = candidate
            if not self.explodes(ratios[-1]):
                break
        # all but the one that is kept
        diagnostics = {"strategy": self.name, "step": {}, "rejected": len(ratios) - 1, "ratio": ratios[0]}
        if self.explodes(ratios[-1]):
            diagnostics["note"] = f"all of {self.limit} configurations explode: the least bad one is kept"
        return Outcome(best, diagnostics)
