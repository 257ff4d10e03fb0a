"""How far an average over simulated searches is from what other configurations would have given.

Thousands of searches that draw from one table of N recorded configurations tell very exactly what holds *of
these N*. What they tell of others is limited by N: that is measured here, by a jackknife over configurations.
Search s met, up to where its result was decided, the first m_s of its rows, each an independent draw from the
table. Had configuration i not been recorded, only searches that did not meet it could have been, each
(N / (N - 1))^m_s times as often. So its absence changes the mean of a number h_s by

    D_i = mean over s of (L_is - 1) (h_s - mean h),   L_is = (N / (N - 1))^m_s if s did not meet i, else 0

and the jackknife's variance over configurations is (N - 1) / N sum_i D_i^2, less what Monte-Carlo noise adds
to these squares: sum_i var_s((L_is - 1) h_s) / S. The variance over seeds, var(h) / S, comes on top. A few
configurations may decide all: the degrees of freedom of Student's t follow from how unequal the D_i^2 are.

Source: Efron 1992, doi:10.1111/j.2517-6161.1992.tb01866.x (jackknife after bootstrap); its Monte-Carlo
correction: Wager, Hastie and Efron 2014, arXiv:1311.4555; the degrees of freedom: Satterthwaite 1946,
doi:10.2307/3002019. Why this one, and how often its intervals hold the truth: decision 0038.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats.arrays import Floats, Ints, numbers, same_length
from asha_core.arguments import integer
from asha_core.errors import SettingError


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Of a mean over searches; NaN of a single search."""

    over_configurations: float  # variance: what is left however many searches there are
    over_seeds: float  # variance: shrinks with their number
    df: float  # degrees of freedom of Student's t

    @property
    def se(self) -> float:
        """Standard error."""
        return math.sqrt(self.over_configurations + self.over_seeds)

    def half(self, confidence: float = 0.95) -> float:
        """Half the width of the interval."""
        return float(stats.t.ppf((1 + confidence) / 2, self.df)) * self.se

    def p(self, mean: float) -> float | None:
        """Two-sided, of the mean being 0; None where nothing varies, or of a single search."""
        return float(2 * stats.t.sf(abs(mean) / self.se, self.df)) if self.se > 0 else None

    def beyond(self, distance: float) -> float:
        """The chance that the mean is more than ``distance`` larger."""
        if self.se > 0:
            return float(stats.t.sf(distance / self.se, self.df))
        return float(distance <= 0)


class MetRows:
    """Which rows of a table each of S searches has met.

    Args:
        configurations: N, the rows of the table; at least two.
        rows: of each search, in the order in which it met them, drawn with replacement.
        met: (S,) how many of these, from the first on, could play a part in its result.
    Raises:
        SettingError: no searches, rows outside the table, or more met than drawn.
    """

    def __init__(self, configurations: int, rows: Sequence[Sequence[int]], met: Sequence[int]) -> None:
        self.configurations = n = integer("configurations", configurations, 2)
        same_length("met", len(met), "rows", integer("searches", len(rows), 1))
        distinct = []
        for drawn, count in zip(rows, met, strict=True):
            if not 0 <= count <= len(drawn):
                raise SettingError(f"a search met {count} of the {len(drawn)} rows that were drawn for it")
            distinct.append(np.unique(np.asarray(drawn[:count], dtype=np.int64)))
        self._rows: Ints = np.concatenate(distinct)  # of all searches, one search after the other
        if len(self._rows) and not 0 <= self._rows.min() <= self._rows.max() < n:
            raise SettingError(
                f"rows reach from {self._rows.min()} to {self._rows.max()}: a table of {n} has 0 to {n - 1}"
            )
        self._distinct = np.array([len(each) for each in distinct])
        self._weight: Floats = (n / (n - 1)) ** np.asarray(met, dtype=np.float64)

    def __len__(self) -> int:
        return len(self._distinct)

    def uncertainty(self, values: ArrayLike) -> Uncertainty:
        """Of the mean of ``values`` over searches.

        Args:
            values: (S,) finite.
        Raises:
            SettingError: not one a search, NaN or infinite ones.
        """
        found = numbers("values", values)
        same_length("values", len(found), "the searches", len(self))
        s, n = len(found), self.configurations
        if s < 2:
            return Uncertainty(math.nan, math.nan, math.nan)
        centred = found - found.mean()
        weighted = self._weight * centred
        lost = np.bincount(self._rows, np.repeat(weighted, self._distinct), minlength=n)
        changes = (weighted.sum() - lost) / s
        squares = float((changes**2).sum())
        # of each search, the sum over configurations of (L - 1)^2
        sizes = (n - self._distinct) * (self._weight - 1) ** 2 + self._distinct
        noise = (float(sizes @ centred**2) / s - squares) / (s - 1)
        configurations = max(squares - noise, 0.0) * (n - 1) / n
        seeds = float(centred @ centred) / (s * (s - 1))
        df = _degrees(changes, noise, configurations, seeds, s)
        return Uncertainty(configurations, seeds, df)


def _degrees(changes: Floats, noise: float, configurations: float, seeds: float, searches: int) -> float:
    """Satterthwaite's, of the sum of both variances; at least 1.

    The one over configurations is a mean of N squares, whose own variance is that of these squares over N.
    Fourth powers are freed of noise as squares are: E (D + e)^4 = D^4 + 6 D^2 v + 3 v^2.
    """
    n, v = len(changes), noise / len(changes)
    squares = float((changes**2).sum())
    signal = squares - noise
    if configurations == 0 or signal <= 0:
        return searches - 1.0
    fourth = float((changes**4).sum()) - 6 * v * signal - 3 * n * v**2
    relative = min(max(fourth / signal**2 - 1 / n, 1 / n), 1.0)
    variance = configurations**2 * relative / 2 + seeds**2 / (searches - 1)
    return max((configurations + seeds) ** 2 / variance, 1.0)
