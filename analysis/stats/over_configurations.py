"""Ratios, means and tests of simulated searches whose uncertainty is over configurations, not seeds alone.

The estimates are those of ``analysis.stats.effects`` and ``analysis.stats.paired``; only their intervals and
p-values differ. Each estimate is a function of a few means over searches, whose covariance
``analysis.stats.configurations`` tells. Quantiles go by Woodruff's method: the share of searches that are there
by the time of the median is a mean, with an interval; the median's interval is where the curve has these shares.
Source: Woodruff 1952, doi:10.1080/01621459.1952.10483443.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats.arrays import Bools, Floats, cut, numbers, pairs, percentiles, same_length
from analysis.stats.configurations import MetRows, Uncertainty
from analysis.stats.effects import Ratio
from analysis.stats.paired import Difference, PermutationResult, WilcoxonResult, wilcoxon_log
from asha_core.arguments import number

_ROUNDING = 1e-9
_HALF = (0.5,)
_QUARTERS = (0.25, 0.75)


@dataclass(frozen=True, slots=True)
class MeanOver:
    """A mean over searches, with Student's interval over configurations; NaN where it cannot be had."""

    value: float
    low: float
    high: float
    p: float  # two-sided, of the mean being 0
    n: int  # searches


def mean_over(met: MetRows, values: ArrayLike, confidence: float = 0.95) -> MeanOver:
    """The mean of one number a search.

    Args:
        values: (S,) finite; of pairs, a difference.
    Raises:
        SettingError: not as many as searches, NaN or infinite ones.
    """
    found = _of(met, "values", values)
    mean, uncertain = float(found.mean()), met.uncertainty(found)
    half = uncertain.half(confidence)
    return MeanOver(mean, mean - half, mean + half, uncertain.p(mean), len(found))


def difference_over(
    met: MetRows, base: ArrayLike, other: ArrayLike, confidence: float = 0.95
) -> Difference:
    """Mean of paired differences, other minus base: as ``paired_difference``, its interval and p over configurations."""
    differences = _of(met, "other", other) - _of(met, "base", base)
    found = mean_over(met, differences, confidence)
    sd = float(differences.std(ddof=1)) if len(differences) > 1 else math.nan
    p = None if math.isnan(found.p) else found.p
    return Difference(found.value, found.low, found.high, p, sd, found.n, "")


def ratio_of_times_over(
    met: MetRows,
    base_times: ArrayLike,
    base_censored: ArrayLike,
    times: ArrayLike,
    censored: ArrayLike,
    horizon: float,
    draws: int = 2_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Ratio:
    """Ratio of the median times, or of restricted means where a median is not reached, other over baseline.

    Args:
        base_times, base_censored, times, censored: (S,) each, pairs in one order.
        horizon: where all that did not get there are censored.
        draws, seed: from the shares' distribution.
    Raises:
        SettingError: arrays or settings are not as they must be.
    """
    t0, c0, t1, c1 = pairs(base_times, base_censored, times, censored)
    same_length("times", len(t1), "the searches", len(met))
    data = [cut(t, c, number("horizon", horizon, above=0)) for t, c in ((t0, c0), (t1, c1))]
    medians = np.array([_quantiles(t, c, np.array(_HALF))[0] for t, c in data])
    if not np.isfinite(medians).all():
        (t0, _), (t1, _) = data
        value = float(t1.mean() / t0.mean())
        uncertain = met.uncertainty(t1 / t1.mean() - t0 / t0.mean())
        return _log_ratio(value, uncertain, "restricted means", confidence, len(t0))
    drawn = _drawn_quantiles(met, data, _HALF, draws, seed)
    undefined = float(np.isinf(drawn).any(axis=0).mean())
    at = np.minimum(drawn, horizon)
    low, high = percentiles(at[1] / at[0], confidence)
    return Ratio(float(medians[1] / medians[0]), low, high, "medians", draws, undefined, len(t0))


def spread_ratio_over(
    met: MetRows,
    base_times: ArrayLike,
    base_censored: ArrayLike,
    times: ArrayLike,
    censored: ArrayLike,
    draws: int = 2_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Ratio:
    """Ratio of the spreads of log T over seeds, as ``spread_ratio`` has it."""
    t0, c0, t1, c1 = pairs(base_times, base_censored, times, censored)
    if c0.any() or c1.any():
        data = [(t0, c0), (t1, c1)]
        with np.errstate(invalid="ignore", divide="ignore"):
            of_data = np.log([_quantiles(t, c, np.array(_QUARTERS)) for t, c in data])
            value = float(np.divide(*(of_data[::-1, 1] - of_data[::-1, 0])))
            drawn = np.log(_drawn_quantiles(met, data, _QUARTERS, draws, seed))
            ratios = (drawn[3] - drawn[2]) / (drawn[1] - drawn[0])
        defined = ratios[np.isfinite(ratios)] if math.isfinite(value) else ratios[:0]
        low, high = percentiles(defined, confidence)
        missing = 1 - np.isfinite(ratios).mean()
        value = value if math.isfinite(value) else math.nan
        return Ratio(value, low, high, "interquartile ranges of log time", draws, float(missing), len(t0))
    logs = [np.log(t) for t in (t0, t1)]
    sd = [float(each.std(ddof=1)) for each in logs]
    of = "standard deviations of log time"
    if min(sd) < _ROUNDING:
        return Ratio(math.nan, math.nan, math.nan, of, 0, 1.0, len(t0))
    parts = [((each - each.mean()) / s) ** 2 / 2 for each, s in zip(logs, sd, strict=True)]
    return _log_ratio(sd[1] / sd[0], met.uncertainty(parts[1] - parts[0]), of, confidence, len(t0))


def wilcoxon_over(met: MetRows, base: ArrayLike, other: ArrayLike) -> WilcoxonResult:
    """The signed-rank test of ``wilcoxon_log``, of the same statistic, its variance over configurations as well.

    The statistic is a mean over searches of signed ranks, which has an interval over configurations like any
    mean. p is that of Student's t, and never below the one over seeds.
    """
    over_seeds = wilcoxon_log(base, other)
    difference = np.round(np.log(_of(met, "other", other)) - np.log(_of(met, "base", base)), 12)
    ranks = stats.rankdata(np.abs(difference)) * np.sign(difference) / len(difference)
    uncertain = met.uncertainty(ranks)
    if over_seeds.p is None:
        return over_seeds
    return replace(over_seeds, p=max(over_seeds.p, uncertain.p(float(ranks.mean()))), exact=False)


def restricted_mean_over(
    met: MetRows, base_times: ArrayLike, times: ArrayLike, horizon: float
) -> PermutationResult:
    """Whether the mean of min(T, horizon) differs, over configurations."""
    end = number("horizon", horizon, above=0)
    differences = np.minimum(_of(met, "times", times), end) - np.minimum(_of(met, "base_times", base_times), end)
    found = mean_over(met, differences)
    return PermutationResult(found.value, None if math.isnan(found.p) else found.p, False, found.n, "")


def _of(met: MetRows, name: str, values: ArrayLike) -> Floats:
    found = numbers(name, values)
    same_length(name, len(found), "the searches", len(met))
    return found


def _log_ratio(value: float, uncertain: Uncertainty, of: str, confidence: float, n: int) -> Ratio:
    """A ratio with an interval of its logarithm."""
    half = uncertain.half(confidence)
    return Ratio(value, value * math.exp(-half), value * math.exp(half), of, 0, 0.0, n)


def _quantiles(times: Floats, censored: Bools, shares: Floats) -> Floats:
    """The smallest times by which these shares are there; infinite where they never are."""
    ordered = np.sort(np.where(censored, np.inf, times))
    places = np.ceil(shares * len(ordered) - _ROUNDING).astype(np.int64) - 1
    found = ordered[np.clip(places, 0, len(ordered) - 1)]
    return np.where(shares > 1, np.inf, found)


def _drawn_quantiles(
    met: MetRows, data: list[tuple[Floats, Bools]], shares: tuple[float, ...], draws: int, seed: int
) -> Floats:
    """(2 q, draws) quantiles of the baseline, then of the other, as they may be of other configurations."""
    wanted = np.array(shares)
    places = [_quantiles(t, c, wanted) for t, c in data]
    there = [(t <= at) & ~c for (t, c), ends in zip(data, places, strict=True) for at in ends]
    uncertain = met.uncertainty(np.stack(there, axis=1))
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(uncertain.covariance)
    normal = rng.standard_normal((draws, len(values))) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    scale = np.sqrt(uncertain.df / rng.chisquare(uncertain.df, draws))
    moved = np.tile(wanted, 2)[:, None] + (normal * scale[:, None]).T
    q = len(shares)
    return np.stack([_quantiles(*data[row // q], moved[row]) for row in range(2 * q)])
