"""Ratios, means and tests of simulated searches, uncertain over configurations and not over seeds alone.

The estimates are those of ``analysis.stats.effects`` and ``analysis.stats.paired``; their intervals and
p-values differ. Each estimate changes, to first order, like a mean over searches of its influence function,
and ``analysis.stats.configurations`` tells how uncertain a mean is. Of a quantile the influence is the share
of searches that are there by then, over the slope of that share. The slope is taken, on the logarithmic
scale, over the share's own interval of 95%, as Woodruff's method has it: shares jump where times are whole
units.
Source: Woodruff 1952, doi:10.1080/01621459.1952.10483443; Francisco and Fuller 1991,
doi:10.1214/aos/1176347993; influence functions: Hampel 1974, doi:10.1080/01621459.1974.10482962.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats.arrays import Bools, Floats, cut, numbers, pairs, same_length, too_few
from analysis.stats.configurations import MetRows, Uncertainty
from analysis.stats.effects import Ratio
from analysis.stats.paired import Difference, PermutationResult, WilcoxonResult, wilcoxon_log
from analysis.stats.signed_ranks import OF, hodges_lehmann_ratio, log_ratios, walsh_averages
from asha_core.arguments import number

_ROUNDING = 1e-9
_SLOPE = 0.05, 0.4  # the least and the most that a slope is taken over, on either side, in shares


def mean_over(met: MetRows, values: ArrayLike, confidence: float = 0.95) -> tuple[float, float, float]:
    """(mean, low, high) with Student's interval over configurations; NaN for what cannot be had.

    Args:
        values: (S,) finite, one a search.
    Raises:
        SettingError: not one a search, NaN or infinite values.
    """
    found = numbers("values", values)
    mean, half = float(found.mean()), met.uncertainty(found).half(confidence)
    return mean, mean - half, mean + half


def difference_over(met: MetRows, base: ArrayLike, other: ArrayLike, confidence: float = 0.95) -> Difference:
    """Mean of paired differences, other minus base, with Student's interval and test over configurations.

    Args:
        base, other: (S,) finite, pairs in the order of ``met``.
    Raises:
        SettingError: not one a search, NaN or infinite values.
    """
    x, y = numbers("base", base), numbers("other", other)
    same_length("other", len(y), "base", len(x))
    differences = y - x
    mean, uncertain, n = float(differences.mean()), met.uncertainty(differences), len(x)
    half = uncertain.half(confidence)
    sd = float(differences.std(ddof=1)) if n > 1 else math.nan
    note = too_few(n)
    return Difference(mean, mean - half, mean + half, None if note else _p(uncertain, mean), sd, n, note)


def ratio_of_times_over(
    met: MetRows,
    base_times: ArrayLike,
    base_censored: ArrayLike,
    times: ArrayLike,
    censored: ArrayLike,
    horizon: float,
    confidence: float = 0.95,
) -> Ratio:
    """Ratio of the median times, or of restricted means where a median is not reached, other over baseline.

    Args:
        base_times, base_censored, times, censored: (S,) each, pairs in the order of ``met``.
        horizon: all later times are censored there; no censored one is earlier.
    Returns:
        With no draws; ``undefined`` is the chance that of other configurations a median is not reached.
    Raises:
        SettingError: arrays or settings are not as they must be.
    """
    t0, c0, t1, c1 = pairs(base_times, base_censored, times, censored)
    end = number("horizon", horizon, above=0)
    data = cut(t0, c0, end), cut(t1, c1, end)
    base, other = (_log_quantile(met, t, c, 0.5) for t, c in data)
    undefined = max(base[2], other[2])
    if not math.isfinite(base[0] + other[0]):
        value, uncertain = _restricted(met, data[0][0], data[1][0])
        return _ratio(value, uncertain, "restricted means", 0.0, confidence, len(t0))
    uncertain = met.uncertainty(other[1] - base[1])
    return _ratio(other[0] - base[0], uncertain, "medians", undefined, confidence, len(t0))


def spread_ratio_over(
    met: MetRows,
    base_times: ArrayLike,
    times: ArrayLike,
    base_censored: ArrayLike,
    censored: ArrayLike,
    confidence: float = 0.95,
) -> Ratio:
    """Ratio of the interquartile ranges of log T over seeds.

    Not of standard deviations, as ``spread_ratio`` has it where none is censored: a few configurations that
    are there at once decide these, and their intervals were found to be too narrow (decision 0038).

    Args:
        base_times, times, base_censored, censored: (S,) each, pairs in the order of ``met``.
    Returns:
        With no draws; NaN where fewer than three quarters get there, or there is no spread.
    Raises:
        SettingError: arrays are not as they must be.
    """
    t0, c0, t1, c1 = pairs(base_times, base_censored, times, censored)
    of = "interquartile ranges of log time"
    spreads = [_log_quartiles(met, t, c) for t, c in ((t0, c0), (t1, c1))]
    (base, base_influence, base_undefined), (other, influence, undefined) = spreads
    if not (math.isfinite(base + other) and min(base, other) > _ROUNDING):
        return Ratio(math.nan, math.nan, math.nan, of, 0, 1.0, len(t0))
    uncertain = met.uncertainty(influence / other - base_influence / base)
    missing = max(base_undefined, undefined)
    return _ratio(math.log(other / base), uncertain, of, missing, confidence, len(t0))


def wilcoxon_over(met: MetRows, base: ArrayLike, other: ArrayLike) -> WilcoxonResult:
    """The signed-rank test of ``wilcoxon_log``, its statistic's variance taken over configurations as well.

    The sum of signed ranks is a mean over searches, with an uncertainty like any mean; p is Student's of it,
    and never below the one over seeds.
    """
    seeds = wilcoxon_log(base, other)
    if seeds.p is None:
        return seeds
    difference = log_ratios(base, other)
    ranks = stats.rankdata(np.abs(difference)) * np.sign(difference) / len(difference)
    p = _p(met.uncertainty(ranks), float(ranks.mean()))
    return replace(seeds, p=seeds.p if p is None else max(p, seeds.p), exact=False)


def hodges_lehmann_over(met: MetRows, base: ArrayLike, other: ArrayLike, confidence: float = 0.95) -> Ratio:
    """The paired Hodges-Lehmann estimate of other / base, with an interval over configurations.

    It is where half of the Walsh averages lie below. How many do is, to first order, a mean over searches of
    twice the share of differences that lie below this search's mirror image: its uncertainty says between
    which Walsh averages the interval reaches.

    Args:
        base, other: (S,) positive times, pairs in the order of ``met``; censored ones at the horizon.
    Returns:
        With no draws; NaN ends for a single search.
    Raises:
        SettingError: arrays or settings are not as they must be.
    """
    found = hodges_lehmann_ratio(base, other, confidence)
    difference = log_ratios(base, other)
    ordered, mirrored = np.sort(difference), 2 * math.log(found.value) - difference
    below = np.searchsorted(ordered, mirrored - _ROUNDING, side="left")
    upto = np.searchsorted(ordered, mirrored + _ROUNDING, side="right")
    reach = met.uncertainty((below + upto) / len(ordered)).half(confidence)
    if math.isnan(reach):
        return Ratio(found.value, math.nan, math.nan, OF, 0, 0.0, found.n)
    averages = len(ordered) * (len(ordered) + 1) // 2
    shares = np.clip([0.5 - reach, 0.5 + reach], 0.0, 1.0)
    places = np.clip((shares * averages).astype(np.int64), 0, averages - 1)
    low, high = np.exp(walsh_averages(ordered, places))
    return Ratio(found.value, float(low), float(high), OF, 0, 0.0, found.n)


def restricted_mean_over(
    met: MetRows, base_times: ArrayLike, times: ArrayLike, horizon: float
) -> PermutationResult:
    """Whether the mean of min(T, horizon) differs: Student's test of the logarithm of their ratio.

    Args:
        base_times, times: (S,) positive, pairs in the order of ``met``; censored ones at the horizon.
    """
    end = number("horizon", horizon, above=0)
    x, y = (np.minimum(numbers(name, t, positive=True), end) for name, t in _named(base_times, times))
    value, uncertain = _restricted(met, x, y)
    note = too_few(len(x))
    p = None if note else _p(uncertain, value)
    return PermutationResult(float((y - x).mean()), p, False, len(x), note)


def _named(base_times: ArrayLike, times: ArrayLike) -> tuple[tuple[str, ArrayLike], ...]:
    return ("base_times", base_times), ("times", times)


def _p(uncertain: Uncertainty, mean: float) -> float | None:
    """Where nothing varies: 1 for no difference, else nothing can be said."""
    return 1.0 if mean == 0 and uncertain.se == 0 else uncertain.p(mean)


def _restricted(met: MetRows, base: Floats, other: Floats) -> tuple[float, Uncertainty]:
    """Logarithm of the ratio of means."""
    value = math.log(other.mean() / base.mean())
    return value, met.uncertainty(other / other.mean() - base / base.mean())


def _ratio(log: float, uncertain: Uncertainty, of: str, undefined: float, confidence: float, n: int) -> Ratio:
    half = uncertain.half(confidence)
    return Ratio(math.exp(log), math.exp(log - half), math.exp(log + half), of, 0, undefined, n)


def _quantiles(times: Floats, censored: Bools, shares: Floats) -> Floats:
    """The smallest times by which these shares are there; infinite where they never are."""
    ordered = np.sort(np.where(censored, np.inf, times))
    places = np.ceil(shares * len(ordered) - _ROUNDING).astype(np.int64) - 1
    return np.asarray(ordered[np.clip(places, 0, len(ordered) - 1)], dtype=np.float64)


def _log_quantile(met: MetRows, times: Floats, censored: Bools, share: float) -> tuple[float, Floats, float]:
    """(log of the time by which ``share`` are there, its influences, the chance that so many never are)."""
    (at,) = _quantiles(times, censored, np.array([share]))
    there = ((times <= at) & ~censored).astype(np.float64)
    uncertain = met.uncertainty(there)
    if len(times) < 2:
        return float(np.log(at)), there, math.nan
    reach = min(max(uncertain.half(), _SLOPE[0]), _SLOPE[1])
    ends = np.clip([share - reach, share + reach], 0.0, 1.0)
    low, high = np.log(np.minimum(_quantiles(times, censored, ends), times.max()))
    missing = uncertain.beyond(float((~censored).mean()) - share)
    return float(np.log(at)), -there * (high - low) / (ends[1] - ends[0]), missing


def _log_quartiles(met: MetRows, times: Floats, censored: Bools) -> tuple[float, Floats, float]:
    """The same of the distance of the quartiles."""
    low, high = (_log_quantile(met, times, censored, share) for share in (0.25, 0.75))
    return high[0] - low[0], high[1] - low[1], high[2]
