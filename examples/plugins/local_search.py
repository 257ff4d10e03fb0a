"""Local search: most configurations are drawn near the best one so far, the others from the whole space."""

import math
import random

from asha_core import RandomSearch, Searcher


class LocalSearch(Searcher):
    """Every third configuration is random; the others are the best one, moved a little.

    Args:
        radius: standard deviation of a move, as a share of each dimension's range.
    """

    name = "local-search"

    def __init__(self, space, seed, radius=0.1):
        self.space = space
        self.seed = seed
        self.radius = radius
        self._random = RandomSearch(space, seed)
        self._best = None  # its configuration
        self._rank = (0, math.inf)  # and how far it got, with which loss

    def observe(self, trial, resource, loss):
        rank = (-resource, loss)  # who was trained for longer says more
        if math.isfinite(loss) and rank < self._rank:
            self._best, self._rank = trial.configuration, rank

    def propose(self, index):
        if self._best is None or index % 3 == 0:
            return self._random.propose(index)
        return self.space.first_allowed(lambda attempt: self._near(index, attempt))

    def _near(self, index, attempt):
        luck = random.Random(f"{self.seed} {index} {attempt}")
        moved = (unit + luck.gauss(0, self.radius) for unit in self.space.to_unit(self._best))
        return [min(max(unit, 0.0), 1.0) for unit in moved]
