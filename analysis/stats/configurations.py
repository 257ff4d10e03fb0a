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
doi:10.2307/3002019. Why this one, and how often its intervals hold the truth: docs/decisions/0038.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats.arrays import Floats, Ints
from asha_core.arguments import integer
from asha_core.errors import SettingError


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Of the means of q numbers over searches."""

    over_configurations: Floats  # (q, q) covariance; no eigenvalue below 0
    over_seeds: Floats  # (q, q), of the mean over as many searches: shrinks with their number
    df: float  # degrees of freedom of the sum; infinite: normal

    @property
    def covariance(self) -> Floats:
        """(q, q) of both together."""
        return self.over_configurations + self.over_seeds

    @property
    def se(self) -> float:
        """Standard error of the first."""
        return math.sqrt(self.covariance[0, 0])

    def half(self, confidence: float = 0.95) -> float:
        """Half the width of the first one's interval."""
        return float(stats.t.ppf((1 + confidence) / 2, self.df)) * self.se

    def p(self, mean: float) -> float:
        """Two-sided, of the first one's mean being 0."""
        if self.se == 0:
            return 1.0 if mean == 0 else 0.0
        return float(2 * stats.t.sf(abs(mean) / self.se, self.df))


class MetRows:
    """Which rows of a table each of S searches has met.

    Args:
        configurations: N, the rows of the table; at least two.
        rows: of each search, in the order in which it met them, drawn with replacement.
        met: (S,) how many of these, from the first on, could play a part in its result.
    Raises:
        SettingError: no searches, rows outside the table, or more met than drawn.
    """

    def __init__(self, configurations: int, rows: Sequence[ArrayLike], met: ArrayLike) -> None:
        self.configurations = n = integer("configurations", configurations, 2)
        self.met: Ints = np.asarray(met, dtype=np.int64)
        if not len(rows) or self.met.shape != (len(rows),):
            raise SettingError(f"met has shape {self.met.shape}: one number for each of {len(rows)} searches")
        distinct = [
            np.unique(np.asarray(each, dtype=np.int64)[: max(count, 0)])
            for each, count in zip(rows, self.met.tolist(), strict=True)
        ]
        flat = np.concatenate(distinct)
        if len(flat) and (flat[0] < 0 or flat.min() < 0 or flat.max() >= n):
            raise SettingError(f"rows reach from {flat.min()} to {flat.max()}: a table of {n} has 0 to {n - 1}")
        if any(count < 0 or count > np.size(each) for each, count in zip(rows, self.met.tolist(), strict=True)):
            raise SettingError("met is more than the rows drawn, or negative: give how many of them were met")
        self._flat = flat  # the distinct rows of all searches, one search after the other
        self._count = np.array([len(each) for each in distinct])
        self._weight = (n / (n - 1)) ** self.met.astype(np.float64)

    def __len__(self) -> int:
        return len(self.met)

    def uncertainty(self, numbers: ArrayLike) -> Uncertainty:
        """Of the means of ``numbers`` over searches.

        The degrees of freedom are those of the last minus the first where there are several.

        Args:
            numbers: (S,) or (S, q), finite.
        """
        values = np.asarray(numbers, dtype=np.float64).reshape(len(self), -1)
        centred = values - values.mean(axis=0)
        s, n = len(self), self.configurations
        if s < 2:
            unknown = np.full((values.shape[1],) * 2, math.nan)
            return Uncertainty(unknown, unknown, math.nan)
        seeds = centred.T @ centred / (s * (s - 1))
        changes = self._changes(centred)
        noise = self._noise(centred, changes)
        shrunk = (n - 1) / n
        configurations = _without_negative(shrunk * (changes.T @ changes - noise))
        contrast = np.zeros(values.shape[1])
        contrast[0], contrast[-1] = (-1.0, 1.0) if len(contrast) > 1 else (1.0, 1.0)
        parts = [float(contrast @ each @ contrast) for each in (configurations, seeds)]
        df = self._df(changes @ contrast, float(contrast @ noise @ contrast), *parts)
        return Uncertainty(configurations, seeds, df)

    def _changes(self, centred: Floats) -> Floats:
        """(N, q): what the absence of each configuration changes."""
        weighted = self._weight[:, None] * centred
        repeated = np.repeat(weighted, self._count, axis=0)
        lost = [np.bincount(self._flat, column, minlength=self.configurations) for column in repeated.T]
        return (weighted.sum(axis=0) - np.stack(lost, axis=1)) / len(self)

    def _noise(self, centred: Floats, changes: Floats) -> Floats:
        """(q, q): what the squares of these have more, since searches are so many and not more."""
        missed = (self.configurations - self._count) * (self._weight - 1) ** 2 + self._count
        squares = centred.T @ (missed[:, None] * centred) / len(self)
        return (squares - changes.T @ changes) / (len(self) - 1)

    def _df(self, changes: Floats, noise: float, configurations: float, seeds: float) -> float:
        """Satterthwaite's: the variance over configurations is a sum of few squares, or of many.

        The fourth powers are freed of noise, too: E (d + e)^4 = d^4 + 6 d^2 v + 3 v^2.
        """
        n, v = self.configurations, noise / self.configurations
        squares = float((changes**2).sum())
        fourth = float((changes**4).sum()) - 6 * v * (squares - noise) - 3 * n * v**2
        signal = squares - noise
        if configurations <= 0 or signal <= 0:
            return len(self) - 1.0
        relative = min(max(fourth / signal**2 - 1 / n, 1 / n), 1.0)  # variance of the variance, over its square
        spread = configurations**2 * relative / 2 + seeds**2 / (len(self) - 1)
        return max((configurations + seeds) ** 2 / spread, 1.0)


def _without_negative(matrix: Floats) -> Floats:
    """The nearest matrix that can be a covariance."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T, dtype=np.float64)
