"""A rung: which of its entries are in the top floor(n/eta), kept in O(log n) an entry.

Theory of operation. n entries have arrived; k = floor(n/eta). The k best are in the *top*, all
others in the *rest*. An arrival changes k by at most one, so at most one entry crosses the border
each way:

    arrival, k unchanged:  if it beats the worst of the top, they change places; else it joins the rest
    arrival, k grows:      the best of the rest (the arrival included) joins the top

Two heaps hold the border (the top with its worst first, the rest with its best first). A third heap
orders the entries that are in the top and not yet promoted, best first; entries that left the top or
were promoted stay in it until they surface, and are then thrown away.

Promoted entries keep counting in n and keep their place in the top: taking them out before computing
k is the classic mistake (of 27 entries it promotes 7 or 8 where 9 are due).
"""

from __future__ import annotations

import math
from heapq import heappop, heappush, heappushpop

_IN_TOP = 1
_PROMOTED = 2


class Rung:
    """The entries of one rung, ranked by (loss, arrival). Lower loss is better.

    Args:
        level: the resource at which trials enter this rung.
        reduction_factor: eta; the top holds floor(n/eta) entries.
        least: the top holds at least so many, as soon as there are any.
    """

    __slots__ = ("_candidates", "_flags", "_least", "_rest", "_top", "eta", "level", "n", "promoted")

    def __init__(self, level: int, reduction_factor: int, least: int = 0) -> None:
        self.level = level
        self.eta = reduction_factor
        self._least = least
        self.n = 0  # entries, promoted ones included
        self.promoted = 0
        self._top: list[tuple[float, int, int]] = []  # (-loss, -arrival, trial): worst first
        self._rest: list[tuple[float, int, int]] = []  # (loss, arrival, trial): best first
        self._candidates: list[tuple[float, int, int]] = []
        self._flags = bytearray()

    def add(self, trial: int, loss: float, *, again: bool = False) -> bool:
        """Enter a trial. A loss that is NaN or infinite counts in n, ranks last, never goes up.

        Args:
            again: it is an entry already, because it failed, and n stays as it is.

        Returns:
            Whether the trial is in the top at this moment, with a finite loss.
        """
        if not math.isfinite(loss):
            loss = math.inf
        arrival = len(self._flags)
        self.n += not again
        self._flags.append(0)
        top = self._top
        if len(top) < self.n // self.eta or len(top) < self._least:
            best = heappushpop(self._rest, (loss, arrival, trial))
            heappush(top, (-best[0], -best[1], best[2]))
            self._admit(best)
            return best[1] == arrival and loss < math.inf
        if top and -top[0][0] > loss:  # an equal loss that came earlier keeps its place
            worst = heappushpop(top, (-loss, -arrival, trial))
            self._flags[-worst[1]] &= ~_IN_TOP
            heappush(self._rest, (-worst[0], -worst[1], worst[2]))
            self._admit((loss, arrival, trial))
            return True
        heappush(self._rest, (loss, arrival, trial))
        return False

    def _admit(self, entry: tuple[float, int, int]) -> None:
        flag = self._flags[entry[1]] | _IN_TOP
        self._flags[entry[1]] = flag
        if flag == _IN_TOP and entry[0] < math.inf:
            heappush(self._candidates, entry)

    def promotable(self) -> int | None:
        """The best trial of the top that was not promoted yet; ``None`` if there is none."""
        candidates = self._candidates
        while candidates:
            _, arrival, trial = candidates[0]
            if self._flags[arrival] == _IN_TOP:
                return trial
            heappop(candidates)
        return None

    def promote(self) -> int | None:
        """Mark ``promotable()`` as promoted and return it."""
        trial = self.promotable()
        if trial is not None:
            _, arrival, _ = heappop(self._candidates)
            self._flags[arrival] |= _PROMOTED
            self.promoted += 1
        return trial
