"""One variation's seeds summed up: interquartile means with bands, shares with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats.arrays import Floats, numbers, resampling, truths
from analysis.stats.resampling import bootstrap_weights
from asha_core.arguments import integer, number
from asha_core.errors import SettingError


def student_interval(values: Floats, confidence: float = 0.95) -> tuple[float, float, float]:
    """(mean, low, high): Student's interval, mean -+ t sd / sqrt(n); NaN for what cannot be had.

    Args:
        values: (n,) finite.
    """
    n = len(values)
    mean, half = float(values.mean()) if n else math.nan, math.nan
    if n > 1:
        half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * float(values.std(ddof=1)) / math.sqrt(n)
    return mean, mean - half, mean + half


def interquartile_mean(values: ArrayLike) -> float:
    """Mean of the middle half: floor(n / 4) values are left out at either end.

    Args:
        values: (n,) finite.
    Raises:
        SettingError: no values, NaN or infinite ones.
    Source: Agarwal et al. 2021, arXiv:2108.13264 (rliable), which uses scipy.stats.trim_mean(values, .25).
    """
    found = np.sort(numbers("values", values))
    cut = len(found) // 4
    return float(found[cut : len(found) - cut].mean())


@dataclass(frozen=True, slots=True)
class Band:
    """The interquartile mean at each point of a grid, (grid,); NaN where undefined."""

    centre: Floats
    low: Floats  # its pointwise interval
    high: Floats
    n: int  # seeds
    draws: int  # of the bootstrap
    confidence: float  # of the interval at each point


def interquartile_mean_band(
    matrix: ArrayLike, draws: int = 2_000, seed: int = 0, confidence: float = 0.95
) -> Band:
    """The interquartile mean over seeds at each point of a grid, with a percentile bootstrap over seeds.

    A seed is drawn with its whole curve. Where any seed has NaN (it has reported nothing yet) centre and
    band are NaN: a mean over those that have would be of other seeds at each point. For one seed the band
    is NaN.

    Args:
        matrix: (seeds, grid) finite or NaN.
    Raises:
        SettingError: it is no matrix, has no seeds, or infinite values.
    Source: Agarwal et al. 2021, arXiv:2108.13264, one task: stratified over seeds.
    """
    try:
        values = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SettingError(
            f"matrix must be numbers, (seeds, grid), all rows of one length; not {matrix!r:.80}"
        ) from error
    if values.ndim != 2 or not len(values):
        raise SettingError(f"matrix must be (seeds, grid) with at least one seed, not shape {values.shape}")
    if np.isinf(values).any():
        raise SettingError("matrix has infinite values: NaN stands for what is not known yet")
    draws, seed = resampling(draws, seed, confidence)
    n = len(values)
    centre, low, high = (np.full(values.shape[1], math.nan) for _ in range(3))
    weights = bootstrap_weights(n, draws, seed)
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    for point in np.flatnonzero(~np.isnan(values).any(axis=0)):
        column = values[:, point]
        centre[point] = interquartile_mean(column)
        if n > 1:
            low[point], high[point] = np.quantile(_trimmed_means(column, weights), tails)
    return Band(centre, low, high, n, draws, confidence)


@dataclass(frozen=True, slots=True)
class SuccessRate:
    """k of n got there."""

    k: int
    n: int
    low: float  # Wilson's interval of the share
    high: float

    @property
    def share(self) -> float:
        """Successes over attempts, k / n."""
        return self.k / self.n


def success_rate(reached: ArrayLike, confidence: float = 0.95) -> SuccessRate:
    """How many got there, with Wilson's score interval of the share.

    Args:
        reached: (n,) truth values.
    Raises:
        SettingError: none, or what is no truth value.
    Source: Wilson 1927, doi:10.2307/2276774; why not Wald's: Brown, Cai and DasGupta 2001.
    """
    found = truths("reached", reached)
    length, k = integer("values in reached", len(found), 1), int(found.sum())
    interval = stats.binomtest(k, length).proportion_ci(
        number("confidence", confidence, above=0, below=1), method="wilson"
    )
    return SuccessRate(k, length, float(interval.low), float(interval.high))


def _trimmed_means(column: Floats, weights: Floats) -> Floats:
    """(draws,) the interquartile mean of each draw, without sorting each: of n sorted values those at
    places floor(n / 4) to n - floor(n / 4) count, and weights tell which places a value takes.
    """
    n = len(column)
    cut = n // 4
    order = np.argsort(column)
    places = np.clip(np.cumsum(weights[:, order], axis=1), cut, n - cut)
    counted = np.diff(places, axis=1, prepend=cut)
    return np.asarray(counted @ column[order] / (n - 2 * cut), dtype=np.float64)
