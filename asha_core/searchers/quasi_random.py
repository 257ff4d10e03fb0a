"""Scrambled Sobol and Halton sequences: points that fill the space more evenly than random ones.

Owen-scrambled, from scipy. Configuration i is point i of the sequence that belongs to the seed: a function of
(seed, i) alone, but also of scipy, whose scrambling may change between its versions.

Source: Owen 1997 (scrambled nets), Owen 2017, arXiv:1706.02808 (randomised Halton); ``scipy.stats.qmc``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from asha_core.arguments import one_of
from asha_core.searchers.base import Searcher, space_and_seed
from asha_core.searchers.random_search import random_point
from asha_core.space import Configuration, SearchSpace
from asha_core.streams import stream_seed

if TYPE_CHECKING:
    from scipy.stats.qmc import QMCEngine

_BLOCK = 256  # a power of two, as Sobol's balance wants it
SEQUENCES = ("sobol", "halton")


class QuasiRandomSearch(Searcher):
    """Configuration i is point i of a scrambled Sobol or Halton sequence.

    Args:
        space: where to search. Where it has constraints, a point that they refuse is replaced by random
            draws from the stream of (seed, i).
        seed: the run's seed; it decides the scrambling.
        sequence: "sobol" (best balanced at powers of two; it has 2^30 points) or "halton".
    Raises:
        SettingError: another sequence.
    """

    def __init__(self, space: SearchSpace, seed: int, sequence: str = "sobol") -> None:
        self.space, self.seed = space_and_seed(space, seed)
        self.name = one_of("sequence", sequence, SEQUENCES)
        self._engine = self._new_engine()
        self._blocks: dict[int, list[list[float]]] = {}
        self._next = 0  # the block that the engine makes next

    def _new_engine(self) -> QMCEngine:
        from scipy.stats import qmc

        kind = qmc.Sobol if self.name == "sobol" else qmc.Halton
        return kind(len(self.space), scramble=True, seed=stream_seed(self.seed, self.name))

    def _point(self, index: int) -> list[float]:
        block, place = divmod(index, _BLOCK)
        if block not in self._blocks:
            if block < self._next:  # rarely: configurations are asked for in order
                self._engine, self._next = self._new_engine(), 0
            if block > self._next:
                self._engine.fast_forward((block - self._next) * _BLOCK)
            self._blocks = {block: self._engine.random(_BLOCK).tolist()}
            self._next = block + 1
        return self._blocks[block][place]

    def propose(self, index: int) -> Configuration:
        """The configuration of trial ``index``."""
        return self.space.first_allowed(
            lambda attempt: (
                self._point(index)
                if attempt == 0
                else random_point(self.seed, index, attempt, len(self.space))
            )
        )


# by the names that --searcher takes
sobol = partial(QuasiRandomSearch, sequence="sobol")
halton = partial(QuasiRandomSearch, sequence="halton")
