"""Many reweightings of one sample at once: bootstrap draws and swaps within pairs, as matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from analysis.stats.arrays import Bools, Floats

EXACT_PAIRS = 16  # up to here every one of the 2^n ways to swap within pairs is counted
_ROUNDING = 1e-9
_CHUNK = 2_000_000  # numbers at a time: 16 MB


def bootstrap_weights(n: int, draws: int, seed: int) -> Floats:
    """How often each of n is drawn, with replacement, in each draw.

    Returns:
        (draws, n) whole numbers as floats; each row adds up to n.
    """
    chosen = np.random.default_rng(seed).integers(0, n, (draws, n))
    flat = chosen + n * np.arange(draws)[:, None]
    return np.bincount(flat.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Curves:
    """Kaplan-Meier curves of one sample under many weightings.

    No grouping of tied times is needed: events come first among them, and (n - d1) / n times
    (n - d1 - d2) / (n - d1) is (n - d1 - d2) / n.
    """

    times: Floats  # (n,) in order
    survival: Floats  # (draws, n) just after each

    def quantile(self, share: float) -> Floats:
        """(draws,) the smallest time by which ``share`` are there; infinite where it is never reached."""
        below = self.survival <= 1 - share + _ROUNDING
        return np.where(below.any(axis=1), self.times[np.argmax(below, axis=1)], np.inf)

    def restricted_means(self, horizon: float) -> Floats:
        """(draws,) the area up to ``horizon``; past its last observation a curve goes on flat."""
        edges = np.minimum(np.concatenate([[0.0], self.times, [horizon]]), horizon)
        widths = np.diff(edges)
        return np.asarray(widths[0] + self.survival @ widths[1:], dtype=np.float64)


def weighted_curves(times: Floats, censored: Bools, weights: Floats) -> Curves:
    """The Kaplan-Meier curve of each row of weights.

    Args:
        times, censored: (n,).
        weights: (draws, n), how often each observation counts.
    """
    order = np.lexsort((censored, times))
    w = weights[:, order]
    at_risk = np.cumsum(w[:, ::-1], axis=1)[:, ::-1]
    gone = np.zeros_like(w)
    np.divide(w, at_risk, out=gone, where=(at_risk > 0) & ~censored[order])
    return Curves(times[order], np.cumprod(1 - gone, axis=1, dtype=np.float64))


def sign_flip_p(differences: Floats, draws: int, seed: int) -> tuple[float, bool]:
    """Two-sided p of the mean of paired differences, if the sign of each were a toss of a coin.

    Returns:
        (p, exact): exact where all 2^n ways were counted, otherwise (1 + as extreme) / (1 + draws).
    """
    observed = abs(float(differences.sum()))
    rounding = 4 * len(differences) * np.finfo(np.float64).eps  # of a sum of so many
    threshold = observed - rounding * float(np.abs(differences).sum())
    found = (np.abs((1 - 2 * flips) @ differences) for flips in flip_rows(len(differences), draws, seed))
    return _share_as_extreme(found, threshold, len(differences))


def swapped_means_p(
    times: tuple[Floats, Floats], censored: tuple[Bools, Bools], horizon: float, draws: int, seed: int
) -> tuple[float, float, bool]:
    """The same for the difference of two restricted means, each the area under a Kaplan-Meier curve.

    Args:
        times, censored: of the baseline and of the other, (n,) each, pairs in one order.
    Returns:
        (difference, p, exact), the difference other minus baseline.
    """
    n = len(times[0])
    pooled, flags = np.concatenate(times), np.concatenate(censored)

    def difference(flips: Floats) -> Floats:
        base = weighted_curves(pooled, flags, np.hstack([1 - flips, flips])).restricted_means(horizon)
        other = weighted_curves(pooled, flags, np.hstack([flips, 1 - flips])).restricted_means(horizon)
        return other - base

    observed = float(difference(np.zeros((1, n)))[0])
    found = (np.abs(difference(flips)) for flips in flip_rows(n, draws, seed))
    p, exact = _share_as_extreme(found, abs(observed) - _ROUNDING * horizon, n)
    return observed, p, exact


def flip_rows(n: int, draws: int, seed: int) -> Iterator[Floats]:
    """Which of n pairs are swapped, (rows, n) zeros and ones at a time: all ways, or ``draws`` at random.

    Of all 2^n ways half are given, those that leave the last pair alone: the others are their mirror images.
    """
    rows = max(_CHUNK // (4 * n), 1)
    if n <= EXACT_PAIRS:
        numbers = np.arange(2 ** (n - 1))
        for start in range(0, len(numbers), rows):
            part = numbers[start : start + rows, None]
            yield ((part >> np.arange(n)) & 1).astype(np.float64)
    else:
        rng = np.random.default_rng(seed)
        for start in range(0, draws, rows):
            yield rng.integers(0, 2, (min(rows, draws - start), n)).astype(np.float64)


def _share_as_extreme(found: Iterator[Floats], threshold: float, n: int) -> tuple[float, bool]:
    as_extreme = total = 0
    for values in found:
        as_extreme += int((values >= threshold).sum())
        total += len(values)
    if n <= EXACT_PAIRS:
        return as_extreme / total, True
    return (1 + as_extreme) / (1 + total), False
