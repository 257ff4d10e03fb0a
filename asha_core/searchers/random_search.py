"""Independent draws from the prior."""

from __future__ import annotations

from asha_core.searchers.base import Searcher, space_and_seed
from asha_core.space import Configuration, SearchSpace
from asha_core.streams import uniforms


def random_point(seed: int, index: int, attempt: int, dimensions: int) -> list[float]:
    """Unit coordinates, shape (D,), of the ``attempt``-th draw for configuration ``index``."""
    name = "configuration" if attempt == 0 else f"configuration/{attempt}"
    return uniforms(seed, name, index, dimensions)


class RandomSearch(Searcher):
    """Configuration i is drawn from the stream (seed, "configuration", i), whatever came before.

    Args:
        space: where to draw; where it has constraints, i is drawn again until they allow it.
        seed: the run's seed.
    Source: Bergstra and Bengio 2012, JMLR 13.
    """

    name = "random"

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self.space, self.seed = space_and_seed(space, seed)

    def propose(self, index: int) -> Configuration:
        """The configuration of trial ``index``."""
        if not self.space.constraints:  # as below, and faster
            return self.space.from_unit(uniforms(self.seed, "configuration", index, len(self.space)))
        return self.space.first_allowed(
            lambda attempt: random_point(self.seed, index, attempt, len(self.space))
        )
