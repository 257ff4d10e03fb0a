"""Independent draws from the prior."""

from __future__ import annotations

from asha_core.space import Configuration, SearchSpace
from asha_core.streams import uniforms


class RandomSearch:
    """Configuration i is drawn from the stream (seed, "configuration", i), whatever came before.

    Args:
        space: where to draw.
        seed: the run's seed.
    Source: Bergstra and Bengio 2012, JMLR 13.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self.space = space
        self.seed = seed

    def propose(self, index: int) -> Configuration:
        """The configuration of trial ``index``."""
        return self.space.from_unit(uniforms(self.seed, "configuration", index, len(self.space)))
