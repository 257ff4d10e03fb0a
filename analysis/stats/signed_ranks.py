"""Signed ranks: how their sum is distributed, and the estimate that belongs to their test.

The Hodges-Lehmann estimate of paired differences is the median of their Walsh averages (d_i + d_j) / 2,
i <= j: the shift at which the signed-rank test finds nothing left. Here the differences are logarithms of T /
baseline's T, and the estimate is told as a ratio. A ratio of medians sees how two middles lie, this one what
each pair says (docs/decisions/0050).

Source: Hodges and Lehmann 1963, doi:10.1214/aoms/1177704172; its interval: Hollander, Wolfe and Chicken 2014,
section 3.3; where values are tied it holds the truth at least as often as it says: Randles and Wolfe 1979.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats.arrays import Floats, Ints, numbers, same_length
from analysis.stats.effects import Ratio
from asha_core.arguments import number

DIGITS: Final = 12  # log ratios that agree to so many decimals are tied
EXACT: Final = 200  # pairs up to which the distribution of the rank sum is counted out: 10 ms
OF: Final = "paired times, by Hodges and Lehmann"
_HALVINGS = 60  # of an interval: to less than a rounding error


def log_ratios(base: ArrayLike, other: ArrayLike) -> Floats:
    """log(other / base) of each pair, rounded so that equal ratios are tied.

    Raises:
        SettingError: no pairs, different lengths, or what is no time.
    """
    x, y = numbers("base", base, positive=True), numbers("other", other, positive=True)
    same_length("other", len(y), "base", len(x))
    return np.asarray(np.round(np.log(y) - np.log(x), DIGITS), dtype=np.float64)


def hodges_lehmann_ratio(base: ArrayLike, other: ArrayLike, confidence: float = 0.95) -> Ratio:
    """Paired Hodges-Lehmann estimate of other / base, with the interval that inverts the signed-rank test.

    A pair of two censored times counts as equal, since both are the horizon; one of a single censored time as
    log(horizon / T), which is the least that it can be. Both draw the estimate towards 1.

    Args:
        base, other: (n,) positive times of the same seeds; censored ones at their budget.
    Returns:
        With no draws. The interval is exact up to 200 pairs if no two are tied, and else rather too wide;
        beyond 200 it is by the normal approximation. NaN for so few pairs (at 95% five) that none is so sure.
    Raises:
        SettingError: no pairs, different lengths, what is no time, or a confidence outside (0, 1).
    """
    differences = np.sort(log_ratios(base, other))
    number("confidence", confidence, above=0, below=1)
    n = len(differences)
    averages, outside = n * (n + 1) // 2, _left_out(n, confidence)
    places = [(averages - 1) // 2, averages // 2]
    if outside:
        places += [outside - 1, averages - outside]
    found = walsh_averages(differences, np.array(places))
    low, high = found[2:] if outside else (math.nan, math.nan)
    value, low, high = (math.exp(each) for each in ((found[0] + found[1]) / 2, low, high))
    return Ratio(value, low, high, OF, 0, 0.0, n)


def walsh_averages(ordered: Floats, places: Ints) -> Floats:
    """Which Walsh averages stand at these places, from 0, were they ordered; they are counted, not made.

    Args:
        ordered: (n,) in rising order, to ``DIGITS`` decimals.
        places: each of 0 .. n (n + 1) / 2 - 1.
    """
    n = len(ordered)
    low, high = np.full(len(places), ordered[0]), np.full(len(places), ordered[-1])
    wanted, first = places + 1, np.arange(n)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # of each i, how many j >= i have an average of at most the middle, with some room for rounding
        ends = np.searchsorted(ordered, 2 * middle[:, None] - ordered + 1e-14, side="right")
        enough = np.maximum(ends - first, 0).sum(axis=1) >= wanted
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(np.round(high, DIGITS + 1), dtype=np.float64)


def rank_sums(doubled: Ints) -> Floats:
    """P(sum = 0, 1, ...) of doubled ranks, each of which is in the sum with probability 1/2.

    Doubled, mid-ranks of ties are whole numbers: the distribution is built up rank by rank.
    """
    probability = np.zeros(int(doubled.sum()) + 1)
    probability[0] = 1.0
    top = 0
    for rank in doubled:
        moved = probability[: top + 1].copy() / 2
        probability[: top + 1] = moved
        probability[rank : rank + top + 1] += moved
        top += int(rank)
    return probability


def _left_out(n: int, confidence: float) -> int:
    """From which Walsh average, from 1, on either side the interval reaches; 0 if none is so sure."""
    alpha = (1 - confidence) / 2
    if n <= EXACT:
        below = np.cumsum(rank_sums(np.arange(1, n + 1)))  # P(W <= 0), P(W <= 1), ...
        return int(np.searchsorted(below, alpha + 1e-12, side="right"))
    half = float(stats.norm.ppf(1 - alpha)) * math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return max(math.floor(n * (n + 1) / 4 - half), 0)
