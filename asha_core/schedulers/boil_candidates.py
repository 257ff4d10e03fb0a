"""The configurations among which BOIL chooses the next one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from asha_core.searchers.base import Searcher
from asha_core.searchers.listed import Listed
from asha_core.space import Choice, Configuration, SearchSpace
from asha_core.streams import uniforms
from asha_core.surrogates.encoding import encode

DRAWN = 128  # configurations of a space without end, and again NEAR of each of BEST in ROUNDS
POOL = 512  # of a list with an end; all, if there are fewer; and NEAREST to the best known
NEAREST = 64
BEST = 8
NEAR = 6
ROUNDS = (0.2, 0.05)  # how far from it, in parts of a dimension's range
_MOST_LISTED = 5_000  # a longer list is not looked through


class Candidate(NamedTuple):
    """A configuration, and where it is.

    Attributes:
        x: as the model sees it.
        place: in a list with an end, which one it is; -1: it is not of one.
    """

    configuration: Configuration
    x: Sequence[float]
    place: int = -1


class Candidates:
    """Where BOIL's configurations come from.

    Args:
        searcher: where it comes to an end, and does not learn, each of its configurations is given once.
            Elsewhere its proposal is one candidate of many.
    Attributes:
        listed: how many of the searcher's first proposals somebody has asked for: they come first.
    """

    def __init__(self, space: SearchSpace, searcher: Searcher, seed: int) -> None:
        self._space, self._searcher, self._seed = space, searcher, seed
        self._size = None if searcher.learns else searcher.size
        self.listed = searcher.given if isinstance(searcher, Listed) else 0
        self._taken: set[int] = set()
        self._next = 0  # of a list, the first that nobody has taken
        self._list: list[Candidate] = []

    def own(self, number: int) -> Candidate:
        """What the searcher has for trial ``number``: of a list, the first that nobody has taken."""
        place = number if self._size is None else self._next
        return self._candidate(self._searcher.propose(place), -1 if self._size is None else place)

    def find(self, configuration: Configuration) -> Candidate | None:
        """What was given as this configuration; None: it is not of the list, or that is too long."""
        if self._size is None:
            return self._candidate(configuration, -1)
        left = self._left() if self._size <= _MOST_LISTED else []
        return next((each for each in left if each.configuration == configuration), None)

    def take(self, chosen: Candidate) -> None:
        """It is not offered again, if it is of a list."""
        if chosen.place >= 0:
            self._taken.add(chosen.place)
            while self._next in self._taken:
                self._next += 1

    def best(
        self, number: int, decision: Any, best: Sequence[Sequence[float]], running: Sequence[Sequence[float]]
    ) -> tuple[Candidate, int]:
        """The candidate to train next, and to which level.

        Args:
            decision: the model's, ``asha_core.surrogates.boil:Decision``.
            best: where the best known ones are.
            running: where those are that run: nobody else goes there, if there is another place.
        """
        there = {tuple(x) for x in running}
        if self._size is not None:
            found = self._of_list(number, decision, best)
            return self._choose(decision, found, there)[0]
        drawn = uniforms(self._seed, "boil", number, DRAWN * len(self._space))
        found = [self.own(number), *self._allowed(_points(drawn, len(self._space)))]
        top = self._choose(decision, found, there)
        for round_, far in enumerate(ROUNDS):
            places = [self._space.to_unit(each.configuration) for each, _ in top]
            found = [each for each, _ in top]
            found += self._allowed(self._near(places, far, f"boil/{round_}", number))
            top = self._choose(decision, found, there)
        return top[0]

    def _choose(
        self, decision: Any, found: Sequence[Candidate], there: set[tuple[float, ...]]
    ) -> list[tuple[Candidate, int]]:
        found = [each for each in found if tuple(each.x) not in there] or found
        chosen = decision.best([each.x for each in found], BEST)
        return [(found[each.candidate], each.level) for each in chosen]

    def _of_list(self, number: int, decision: Any, best: Sequence[Sequence[float]]) -> list[Candidate]:
        size = self._size or 0
        if size <= _MOST_LISTED:
            left = self._left()
            if len(left) <= POOL:
                return left
            chosen = dict.fromkeys(int(u * len(left)) for u in uniforms(self._seed, "boil", number, POOL))
            chosen |= dict.fromkeys(decision.nearest([each.x for each in left], best, NEAREST))
            return [left[place] for place in chosen]
        places = dict.fromkeys(int(u * size) for u in uniforms(self._seed, "boil", number, POOL))
        some = [self._candidate(self._searcher.propose(i), i) for i in places if i not in self._taken]
        return [self.own(number), *some]

    def _left(self) -> list[Candidate]:
        if not self._list:
            self._list = [self._candidate(self._searcher.propose(i), i) for i in range(self._size or 0)]
        return [each for each in self._list if each.place not in self._taken]

    def _near(
        self, places: Sequence[Sequence[float]], far: float, stream: str, number: int
    ) -> Iterator[list[float]]:
        """Points around places: about half of the coordinates moved, options drawn again."""
        dimensions = list(self._space.values())
        count = NEAR * len(places)
        draws = _points(
            uniforms(self._seed, stream, number, 3 * count * len(dimensions)), 3 * len(dimensions)
        )
        for i, draw in enumerate(draws):
            point = list(places[i % len(places)])
            for d, dimension in enumerate(dimensions):
                moves, one, other = draw[3 * d : 3 * d + 3]
                if isinstance(dimension, Choice):
                    point[d] = one if moves < 0.2 else point[d]
                elif moves < 0.5:
                    point[d] = min(max(point[d] + far * (one + other - 1.0), 0.0), 1.0)
            yield point

    def _allowed(self, points: Iterator[list[float]]) -> list[Candidate]:
        found: dict[tuple[float, ...], Candidate] = {}
        for point in points:
            configuration = self._space.from_unit(point)
            if self._space.allows(configuration):
                candidate = self._candidate(configuration, -1)
                found.setdefault(tuple(candidate.x), candidate)
        return list(found.values())

    def _candidate(self, configuration: Configuration, place: int) -> Candidate:
        return Candidate(configuration, encode(self._space, configuration), place)


def _points(draws: Sequence[float], dimensions: int) -> Iterator[list[float]]:
    for first in range(0, len(draws), dimensions):
        yield list(draws[first : first + dimensions])
