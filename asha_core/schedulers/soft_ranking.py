"""PASHA's two questions, answered as trials arrive: do two rungs rank alike, and how noisy are the curves?

Theory of operation. *Soft ranking*: let the trials of the top rung be sorted by their losses there, and
again by their losses at the rung below. The rankings agree if at every position i the trial of the first
list has, at the rung below, a loss within epsilon of the i-th loss of the second. A new trial enters at
position p of the first list and q of the second. Positions outside [p, q] pair the same trials as
before, so only those within are looked at again: none but one where the two ranks are the same, which is
what a stable ranking means.

*Noise*: a pair of learning curves that crosses and crosses back cannot be told apart; epsilon is the 90th
percentile of such pairs' distances. Each new curve is compared once with those of the trials before it.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from operator import gt


class SortedChunks:
    """Distinct tuples in order, found by position: O(sqrt(n)) for an insertion or a look.

    Args:
        size: the most that one chunk holds.
    """

    __slots__ = ("_chunks", "_lasts", "_size", "n")

    def __init__(self, size: int = 512) -> None:
        self._size = size
        self._chunks: list[list[tuple[float, ...]]] = []
        self._lasts: list[tuple[float, ...]] = []
        self.n = 0

    def add(self, entry: tuple[float, ...]) -> int:
        """Insert, and return the entry's position."""
        self.n += 1
        chunks, lasts = self._chunks, self._lasts
        if not chunks:
            chunks.append([entry])
            lasts.append(entry)
            return 0
        index = min(bisect_left(lasts, entry), len(lasts) - 1)
        chunk = chunks[index]
        at = bisect_left(chunk, entry)
        chunk.insert(at, entry)
        position = sum(map(len, chunks[:index])) + at
        if len(chunk) > self._size:
            half = len(chunk) // 2
            chunks[index : index + 1] = [chunk[:half], chunk[half:]]
            lasts[index : index + 1] = [chunk[half - 1], chunk[-1]]
        else:
            lasts[index] = chunk[-1]
        return position

    def between(self, first: int, last: int) -> list[tuple[float, ...]]:
        """The entries at positions ``first`` to ``last``, both included."""
        found: list[tuple[float, ...]] = []
        for chunk in self._chunks:
            if first < len(chunk):
                found += chunk[max(first, 0) : last + 1]
            first -= len(chunk)
            last -= len(chunk)
            if last < 0:
                break
        return found


class SoftRanking:
    """Whether the top rung ranks its trials as the rung below did.

    Args:
        chunk_size: of the sorted chunks that it keeps.
    """

    __slots__ = ("_above", "_below", "_dirty", "_gap", "_gap_is_exact", "_largest", "_smallest")

    def __init__(self, chunk_size: int = 512) -> None:
        self._above = SortedChunks(chunk_size)  # (loss, arrival, loss at the rung below)
        self._below = SortedChunks(chunk_size)  # (loss at the rung below, arrival)
        self._smallest, self._largest = math.inf, -math.inf  # losses at the rung below
        self._dirty: tuple[int, int] | None = None  # positions that pair others than when last looked at
        self._gap = 0.0  # at least the largest disagreement at any other position
        self._gap_is_exact = True

    def add(self, loss_below: float, loss: float) -> None:
        """Enter a trial of the top rung, with its losses at the rung below (finite) and there (not NaN)."""
        arrival = self._above.n
        p = self._above.add((loss, arrival, loss_below))
        q = self._below.add((loss_below, arrival))
        self._smallest, self._largest = min(self._smallest, loss_below), max(self._largest, loss_below)
        if self._dirty is not None:  # those behind the new one have moved by one
            self._dirty = min(self._dirty[0], p, q), max(self._dirty[1] + 1, p, q)
        elif p != q:
            self._dirty = min(p, q), max(p, q)

    def agrees(self, epsilon: float) -> bool:
        """Whether no position disagrees by more than ``epsilon``."""
        if self._largest - self._smallest <= epsilon:  # then nothing can; not worth a look
            return True
        if self._dirty is not None:
            self._gap = max(self._gap, self._largest_gap(*self._dirty))
            self._gap_is_exact = False  # the largest one may have been among those that moved
            self._dirty = None
        if self._gap > epsilon and not self._gap_is_exact:
            self._gap = self._largest_gap(0, self._above.n - 1)
            self._gap_is_exact = True
        return self._gap <= epsilon

    def _largest_gap(self, first: int, last: int) -> float:
        above, below = self._above.between(first, last), self._below.between(first, last)
        return max(abs(a[2] - b[0]) for a, b in zip(above, below, strict=True))


class Curve:
    """A learning curve: losses by unit, oldest first. Units may have been left out."""

    __slots__ = ("losses", "resources")

    def __init__(self) -> None:
        self.losses = array("d")
        self.resources: array[int] | None = None  # None: 1, 2, 3, ... as nearly always

    def append(self, resource: int, loss: float) -> None:
        """The loss after ``resource`` units, which is more than any before."""
        if self.resources is not None:
            self.resources.append(resource)
        elif resource != len(self.losses) + 1:
            self.resources = array("q", [*range(1, len(self.losses) + 1), resource])
        self.losses.append(loss)

    def at(self, resource: int) -> float:
        """The loss at a unit that was reported."""
        if self.resources is None:
            return self.losses[resource - 1]
        return self.losses[bisect_left(self.resources, resource)]


def crossing_distance(one: Sequence[float], other: Sequence[float]) -> float | None:
    """How far two learning curves end apart, if they crossed and crossed back; None if they did not.

    Args:
        one, other: losses at the same units, oldest first; equal or NaN ones count as no order.
    """
    lower, higher = (one, other) if one[-1] < other[-1] else (other, one)  # at the end
    as_at_the_end = False
    for low, high in zip(lower, higher, strict=False):
        if low < high:
            as_at_the_end = True
        elif low > high and as_at_the_end:
            distance = abs(one[-1] - other[-1])
            return distance if 0 < distance < math.inf else None
    return None


class CurveNoise:
    """Epsilon: the 90th percentile of the distances of pairs of curves that crossed and crossed back.

    Args:
        window: how many of the latest curves are compared with each other. Of more, the oldest are forgotten,
            so that time and memory do not grow with the square of the number of trials.
    """

    __slots__ = ("_distances", "_members", "_window")

    def __init__(self, window: int = 64) -> None:
        self._window = window
        # curves, each with the distances of its pairs with later ones
        self._members: deque[tuple[_Points, list[float]]] = deque()
        self._distances: list[float] = []

    def add(self, curve: Curve) -> None:
        """Compare a curve with those before it; all end at the same unit."""
        if len(self._members) == self._window:
            for distance in self._members.popleft()[1]:
                del self._distances[bisect_left(self._distances, distance)]
        points = _Points(curve)
        losses, resources, end = points.losses, points.resources, points.losses[-1]
        for earlier, with_later in self._members:
            if resources != earlier.resources:
                apart = crossing_distance(*earlier.common(points))
            else:
                theirs = earlier.losses
                # most pairs, most of the time: one is the better at every unit. Asked here, for speed
                if not any(map(gt, theirs, losses) if theirs[-1] < end else map(gt, losses, theirs)):
                    continue
                apart = crossing_distance(theirs, losses)
            if apart is not None:
                with_later.append(apart)
                insort(self._distances, apart)
        self._members.append((points, []))

    def percentile(self) -> float | None:
        """The 90th percentile, linearly interpolated; None if no pair crossed and crossed back."""
        distances = self._distances
        if not distances:
            return None
        below, tenths = divmod(9 * (len(distances) - 1), 10)
        if tenths == 0:
            return distances[below]
        return distances[below] + (distances[below + 1] - distances[below]) * tenths / 10


class _Points:
    """A curve as it was when it was compared; tuples, which are compared fastest."""

    __slots__ = ("losses", "resources")

    def __init__(self, curve: Curve) -> None:
        self.losses = tuple(curve.losses)
        self.resources = None if curve.resources is None else tuple(curve.resources)

    def common(self, other: _Points) -> tuple[list[float], list[float]]:
        """Both curves' losses at the units that both have; the last one among them."""
        ours, theirs = self._by_resource(), other._by_resource()
        both = sorted(ours.keys() & theirs.keys())
        return [ours[unit] for unit in both], [theirs[unit] for unit in both]

    def _by_resource(self) -> dict[int, float]:
        resources = self.resources or range(1, len(self.losses) + 1)
        return dict(zip(resources, self.losses, strict=True))
